"""The blocking client: sends what `wire` builds, waits, and returns what `wire` reads."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from vivavoce.client import wire
from vivavoce.client.answers import Audio, AudioStream, Health, ModelEntry, Outcome, VoiceEntry

if TYPE_CHECKING:  # `types` brings numpy, which a client has no use for at run time
    from vivavoce.types import AudioFormat


class Client:
    """A blocking client; use it as a context manager, or call `close`.

    `timeout_s` bounds the wait for each next byte, not the whole answer. `transport` replaces the network, as
    `httpx.Client` takes it. Every method raises the errors of `vivavoce.errors`, chosen by the code in the
    server's answer; `NotReady` also stands for a server that does not answer.
    """

    def __init__(
        self,
        base_url: str = wire.DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        with wire.network_errors(base_url):
            self._http = httpx.Client(
                base_url=base_url, headers=wire.auth_headers(api_key), timeout=timeout_s, transport=transport
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections to the server."""
        self._http.close()

    def speak(
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
        recording = wire.recording_fields(ref_audio, ref_text, x_vector_only)
        body = wire.speech_body(
            text, speaker, language, instruct, model, format, sample_rate, speed, seed, recording, stream=False
        )
        with wire.network_errors(self.base_url):
            response = self._http.post(wire.SYNTHESIZE, json=body)
        return wire.read_audio(wire.checked(response), format)

    @contextmanager
    def stream(
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
    ) -> Iterator[AudioStream]:
        """Yields speech while it is spoken: `with client.stream("Hello") as speech: for chunk in speech: ...`.

        Leaving the block early cancels the rest on the server.
        """
        recording = wire.recording_fields(ref_audio, ref_text, x_vector_only)
        body = wire.speech_body(
            text, speaker, language, instruct, model, format, sample_rate, speed, seed, recording, stream=True
        )
        with wire.network_errors(self.base_url):
            response = self._http.send(self._http.build_request("POST", wire.SYNTHESIZE, json=body), stream=True)
        try:
            if response.is_error:
                with wire.network_errors(self.base_url):
                    response.read()
            facts = wire.read_facts(wire.checked(response), format)
            with closing(self._chunks(response)) as chunks:
                yield AudioStream(chunks=chunks, **facts)
        finally:
            response.close()

    def voices(self, model: str | None = None) -> tuple[VoiceEntry, ...]:
        """Returns every voice of `model`, or of all models."""
        return wire.read_voices(self._get(wire.VOICES, model))

    def speakers(self, model: str | None = None) -> tuple[str, ...]:
        """Returns the names that `speaker` takes for `model`, or for the one that answers by default."""
        return wire.read_names(self._get(wire.SPEAKERS, model), "speakers")

    def languages(self, model: str | None = None) -> tuple[str, ...]:
        """Returns the names that `language` takes for `model`, or for the one that answers by default."""
        return wire.read_names(self._get(wire.LANGUAGES, model), "languages")

    def models(self) -> tuple[ModelEntry, ...]:
        """Returns the server's models and how each stands."""
        return wire.read_models(self._get(wire.MODELS))

    def outcome(self, request_id: str) -> Outcome:
        """Returns how the request of that `request_id` went. Raises `UnknownRequest` if it is none of the latest."""
        return wire.read_outcome(self._get(wire.request_path(request_id)))

    def health(self) -> Health:
        """Returns how the server stands. A server that is loading or draining is an answer, not an error."""
        with wire.network_errors(self.base_url):
            response = self._http.get(wire.HEALTH)
        return wire.read_health(response)

    def _get(self, path: str, model: str | None = None) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = self._http.get(path, params=wire.model_query(model))
        return wire.checked(response)

    def _chunks(self, response: httpx.Response) -> Generator[bytes]:
        with wire.network_errors(self.base_url):
            yield from response.iter_bytes()
