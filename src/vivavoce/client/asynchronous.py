"""The client for asyncio: sends what `wire` builds, awaits, and returns what `wire` reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from vivavoce.client import wire
from vivavoce.client.answers import AsyncAudioStream, Audio, Health, ModelEntry, Outcome, VoiceEntry

if TYPE_CHECKING:  # `types` brings numpy, which a client has no use for at run time
    from vivavoce.types import AudioFormat


class AsyncClient:
    """The client for asyncio; use it as an async context manager, or await `aclose`.

    Takes, returns and raises what `Client` does.
    """

    def __init__(
        self,
        base_url: str = wire.DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        with wire.network_errors(base_url):
            self._http = httpx.AsyncClient(
                base_url=base_url, headers=wire.auth_headers(api_key), timeout=timeout_s, transport=transport
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections to the server."""
        await self._http.aclose()

    async def speak(
        self,
        text: str,
        *,
        speaker: str | None = None,
        language: str | None = None,
        instruct: str | None = None,
        model: str | None = None,
        format: AudioFormat = "wav",
        sample_rate: int | None = None,
        speed: float | None = None,
        seed: int | None = None,
        ref_audio: Path | bytes | None = None,
        ref_text: str | None = None,
        x_vector_only: bool | None = None,
    ) -> Audio:
        """Returns `text` as one file of speech. What is `None` the server chooses.

        `ref_audio` is a recording of the voice to speak with, a file or its bytes, and `ref_text` what is said in it.
        """
        recording = await asyncio.to_thread(wire.recording_fields, ref_audio, ref_text, x_vector_only)
        body = wire.speech_body(
            text, speaker, language, instruct, model, format, sample_rate, speed, seed, recording, stream=False
        )
        with wire.network_errors(self.base_url):
            response = await self._http.post(wire.SYNTHESIZE, json=body)
        return wire.read_audio(wire.checked(response), format)

    @asynccontextmanager
    async def stream(
        self,
        text: str,
        *,
        speaker: str | None = None,
        language: str | None = None,
        instruct: str | None = None,
        model: str | None = None,
        format: AudioFormat = "wav",
        sample_rate: int | None = None,
        speed: float | None = None,
        seed: int | None = None,
        ref_audio: Path | bytes | None = None,
        ref_text: str | None = None,
        x_vector_only: bool | None = None,
    ) -> AsyncIterator[AsyncAudioStream]:
        """Yields speech while it is spoken, as `Client.stream` does; iterate it with `async for`."""
        recording = await asyncio.to_thread(wire.recording_fields, ref_audio, ref_text, x_vector_only)
        body = wire.speech_body(
            text, speaker, language, instruct, model, format, sample_rate, speed, seed, recording, stream=True
        )
        with wire.network_errors(self.base_url):
            response = await self._http.send(self._http.build_request("POST", wire.SYNTHESIZE, json=body), stream=True)
        try:
            if response.is_error:
                with wire.network_errors(self.base_url):
                    await response.aread()
            facts = wire.read_facts(wire.checked(response), format)
            async with aclosing(self._chunks(response)) as chunks:
                yield AsyncAudioStream(chunks=chunks, **facts)
        finally:
            await response.aclose()

    async def voices(self, model: str | None = None) -> tuple[VoiceEntry, ...]:
        """Returns every voice of `model`, or of all models."""
        return wire.read_voices(await self._get(wire.VOICES, model))

    async def speakers(self, model: str | None = None) -> tuple[str, ...]:
        """Returns the names that `speaker` takes for `model`, or for the one that answers by default."""
        return wire.read_names(await self._get(wire.SPEAKERS, model), "speakers")

    async def languages(self, model: str | None = None) -> tuple[str, ...]:
        """Returns the names that `language` takes for `model`, or for the one that answers by default."""
        return wire.read_names(await self._get(wire.LANGUAGES, model), "languages")

    async def models(self) -> tuple[ModelEntry, ...]:
        """Returns the server's models and how each stands."""
        return wire.read_models(await self._get(wire.MODELS))

    async def outcome(self, request_id: str) -> Outcome:
        """Returns how the request of that `request_id` went. Raises `UnknownRequest` if it is none of the latest."""
        return wire.read_outcome(await self._get(wire.request_path(request_id)))

    async def health(self) -> Health:
        """Returns how the server stands. A server that is loading or draining is an answer, not an error."""
        with wire.network_errors(self.base_url):
            response = await self._http.get(wire.HEALTH)
        return wire.read_health(response)

    async def _get(self, path: str, model: str | None = None) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = await self._http.get(path, params=wire.model_query(model))
        return wire.checked(response)

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        with wire.network_errors(self.base_url):
            async for chunk in response.aiter_bytes():
                yield chunk
