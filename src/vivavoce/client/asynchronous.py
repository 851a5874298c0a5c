"""Speak through a server with asyncio. `wire` builds the requests and reads the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self, Unpack

import httpx

from vivavoce.client import wire
from vivavoce.client.answers import (
    AsyncAudioStream,
    AsyncTimedStream,
    Audio,
    Explanation,
    Health,
    ModelEntry,
    Outcome,
    TimedAudio,
    TimedChunk,
    VoiceEntry,
)
from vivavoce.client.jobs import AsyncJobs
from vivavoce.client.live import LiveSpeech, begin_message, live_url
from vivavoce.client.voice_calls import Call
from vivavoce.client.voices import AsyncVoices


class AsyncClient:
    """A client for asyncio. Use it as an async context manager, or await `aclose`.

    Arguments, results and errors are those of `Client`.
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
            self._headers = wire.auth_headers(api_key)
            self._http = httpx.AsyncClient(
                base_url=base_url, headers=self._headers, timeout=timeout_s, transport=transport,
                limits=wire.kept_connections(),
            )  # fmt: skip
            self.jobs = AsyncJobs(self._http, base_url)
        self.voices = AsyncVoices(self._send, self._entries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self._http.aclose()

    async def speak(self, text: str, **options: Unpack[wire.SpeechOptions]) -> Audio:
        """Return `text` as one file of speech, as `Client.speak` does."""
        body = await asyncio.to_thread(wire.speech_body, text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = await self._http.post(wire.SYNTHESIZE, json=body)
        return wire.read_audio(wire.successful(response), options)

    @asynccontextmanager
    async def stream(
        self, text: str, **options: Unpack[wire.SpeechOptions]
    ) -> AsyncIterator[AsyncAudioStream]:
        """Yield speech while it is made, as `Client.stream` does. Iterate it with `async for`."""
        body = await asyncio.to_thread(wire.speech_body, text, options, stream=True)
        async with self._opened(body) as response:
            facts = wire.read_facts(response, options)
            async with aclosing(self._chunks(response)) as chunks:
                yield AsyncAudioStream(chunks=chunks, **facts)

    async def speak_timed(self, text: str, **options: Unpack[wire.TimedOptions]) -> TimedAudio:
        """Return one file of speech with the times of its words, as `Client.speak_timed` does."""
        body = await asyncio.to_thread(wire.timed_body, text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = await self._http.post(wire.SYNTHESIZE, json=body, headers=wire.OBJECT)
        return wire.read_timed(wire.successful(response), options)

    @asynccontextmanager
    async def stream_timed(
        self, text: str, **options: Unpack[wire.TimedOptions]
    ) -> AsyncIterator[AsyncTimedStream]:
        """Yield speech while it is made, with the times of its words, as `Client` does."""
        body = await asyncio.to_thread(wire.timed_body, text, options, stream=True)
        async with self._opened(body, wire.EVENTS) as response:
            facts = wire.read_facts(response, options)
            async with aclosing(self._timed_chunks(response)) as chunks:
                yield AsyncTimedStream(chunks=chunks, **facts)

    @asynccontextmanager
    async def live(self, **options: Unpack[wire.SpeechOptions]) -> AsyncIterator[LiveSpeech]:
        """Yield a connection that speaks texts while they are written. The format is `pcm`.

        Raises `NotReady` if no server answers, and while it is used if the connection breaks.
        """
        begin = await asyncio.to_thread(begin_message, options)
        live = LiveSpeech(live_url(self.base_url), self._headers, begin)
        await live.connect()
        try:
            yield live
        finally:
            await live.aclose()

    async def explain(self, text: str, **options: Unpack[wire.SpeechOptions]) -> Explanation:
        """Return what `speak` would say, word by word, without speaking."""
        body = await asyncio.to_thread(wire.speech_body, text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = await self._http.post(wire.EXPLAIN, json=body)
        return wire.read_explanation(wire.successful(response))

    async def speakers(self, model: str | None = None) -> tuple[str, ...]:
        """Return the speaker names of `model`, or of the default model."""
        return wire.read_names(await self._get(wire.SPEAKERS, model), "speakers")

    async def languages(self, model: str | None = None) -> tuple[str, ...]:
        """Return the language names of `model`, or of the default model."""
        return wire.read_names(await self._get(wire.LANGUAGES, model), "languages")

    async def models(self) -> tuple[ModelEntry, ...]:
        """Return the server's models and their states."""
        return wire.read_models(await self._get(wire.MODELS))

    async def fields(self) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each field of a speech request: `minimum`, `enum` and so on."""
        return wire.read_fields(await self._get(wire.DESCRIPTION))

    async def outcome(self, request_id: str) -> Outcome:
        """Return the outcome of a recent request.

        Raises `UnknownRequest` if the server does not remember it.
        """
        return wire.read_outcome(await self._get(wire.request_path(request_id)))

    async def health(self) -> Health:
        """Return the server's state. Loading and draining are states, not errors."""
        with wire.network_errors(self.base_url):
            response = await self._http.get(wire.HEALTH)
        return wire.read_health(response)

    async def _entries(self, model: str | None) -> tuple[VoiceEntry, ...]:
        return wire.read_voices(await self._get(wire.VOICES, model))

    async def _send(self, call: Call) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = await self._http.request(call.method, call.path, json=call.body)
        return wire.successful(response)

    async def _get(self, path: str, model: str | None = None) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = await self._http.get(path, params=wire.model_query(model))
        return wire.successful(response)

    @asynccontextmanager
    async def _opened(
        self, body: dict[str, object], headers: dict[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Yield a response that is still being received, if it is no error."""
        with wire.network_errors(self.base_url):
            request = self._http.build_request("POST", wire.SYNTHESIZE, json=body, headers=headers)
            response = await self._http.send(request, stream=True)
        try:
            if response.is_error:
                with wire.network_errors(self.base_url):
                    await response.aread()
            yield wire.successful(response)
        finally:
            await response.aclose()

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        with wire.network_errors(self.base_url):
            async for chunk in response.aiter_bytes():
                yield chunk

    async def _timed_chunks(self, response: httpx.Response) -> AsyncGenerator[TimedChunk]:
        with wire.network_errors(self.base_url):
            async for line in response.aiter_lines():
                if (chunk := wire.timed_chunk(line)) is not None:
                    yield chunk
