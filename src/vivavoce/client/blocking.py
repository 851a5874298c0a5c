"""Speak through a server with blocking calls. `wire` builds the requests and reads the answers."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, Self, Unpack

import httpx

from vivavoce.client import wire
from vivavoce.client.answers import (
    Audio,
    AudioStream,
    Explanation,
    Health,
    ModelEntry,
    Outcome,
    TimedAudio,
    TimedChunk,
    TimedStream,
    VoiceEntry,
)
from vivavoce.client.jobs import Jobs
from vivavoce.client.voice_calls import Call
from vivavoce.client.voices import Voices


class Client:
    """A blocking client. Use it as a context manager, or call `close`.

        with Client() as client:
            client.speak("Hello there.").save("hello.wav")

    `timeout_s` limits the wait for each next byte, not the whole answer. `transport` replaces the
    network, as in `httpx.Client`. Every method raises the errors of `vivavoce.errors`, by the code
    in the server's answer. `NotReady` also means that no server answers.
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
            headers = wire.auth_headers(api_key)
            self._http = httpx.Client(
                base_url=base_url, headers=headers, timeout=timeout_s, transport=transport,
                limits=wire.kept_connections(),
            )  # fmt: skip
            self.jobs = Jobs(self._http, base_url)
        self.voices = Voices(self._send, self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def speak(self, text: str, **options: Unpack[wire.SpeechOptions]) -> Audio:
        """Return `text` as one file of speech.

        Example: `client.speak("Hello.", speaker="af_heart", format="mp3").save("hello.mp3")`.
        """
        body = wire.speech_body(text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = self._http.post(wire.SYNTHESIZE, json=body)
        return wire.read_audio(wire.successful(response), options)

    @contextmanager
    def stream(self, text: str, **options: Unpack[wire.SpeechOptions]) -> Iterator[AudioStream]:
        """Yield speech while it is made.

        Example: `with client.stream("Hello.") as speech: for chunk in speech: player.write(chunk)`.
        Leaving the block early cancels the rest on the server.
        """
        body = wire.speech_body(text, options, stream=True)
        with self._opened(body) as response:
            facts = wire.read_facts(response, options)
            with closing(self._chunks(response)) as chunks:
                yield AudioStream(chunks=chunks, **facts)

    def speak_timed(self, text: str, **options: Unpack[wire.TimedOptions]) -> TimedAudio:
        """Return `text` as one file of speech, with the times of its words.

        Example: `client.speak_timed("Hello.", subtitles="vtt").end.subtitles`. `timestamps` may be
        `phone` or `char`. A long text is refused: stream it.
        """
        body = wire.timed_body(text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = self._http.post(wire.SYNTHESIZE, json=body, headers=wire.OBJECT)
        return wire.read_timed(wire.successful(response), options)

    @contextmanager
    def stream_timed(
        self, text: str, **options: Unpack[wire.TimedOptions]
    ) -> Iterator[TimedStream]:
        """Yield speech while it is made, with the times of its words.

        Each chunk has `data`, and the `words` that begin in it. The last one has an `end`.
        """
        body = wire.timed_body(text, options, stream=True)
        with self._opened(body, wire.EVENTS) as response:
            facts = wire.read_facts(response, options)
            with closing(self._timed_chunks(response)) as chunks:
                yield TimedStream(chunks=chunks, **facts)

    def explain(self, text: str, **options: Unpack[wire.SpeechOptions]) -> Explanation:
        """Return what `speak` would say, word by word, without speaking."""
        body = wire.speech_body(text, options, stream=False)
        with wire.network_errors(self.base_url):
            response = self._http.post(wire.EXPLAIN, json=body)
        return wire.read_explanation(wire.successful(response))

    def speakers(self, model: str | None = None) -> tuple[str, ...]:
        """Return the speaker names of `model`, or of the default model."""
        return wire.read_names(self._get(wire.SPEAKERS, model), "speakers")

    def languages(self, model: str | None = None) -> tuple[str, ...]:
        """Return the language names of `model`, or of the default model."""
        return wire.read_names(self._get(wire.LANGUAGES, model), "languages")

    def models(self) -> tuple[ModelEntry, ...]:
        """Return the server's models and their states."""
        return wire.read_models(self._get(wire.MODELS))

    def fields(self) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each field of a speech request: `minimum`, `enum` and so on."""
        return wire.read_fields(self._get(wire.DESCRIPTION))

    def outcome(self, request_id: str) -> Outcome:
        """Return the outcome of a recent request.

        Raises `UnknownRequest` if the server does not remember it.
        """
        return wire.read_outcome(self._get(wire.request_path(request_id)))

    def health(self) -> Health:
        """Return the server's state. Loading and draining are states, not errors."""
        with wire.network_errors(self.base_url):
            response = self._http.get(wire.HEALTH)
        return wire.read_health(response)

    def _entries(self, model: str | None) -> tuple[VoiceEntry, ...]:
        return wire.read_voices(self._get(wire.VOICES, model))

    def _send(self, call: Call) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = self._http.request(call.method, call.path, json=call.body)
        return wire.successful(response)

    def _get(self, path: str, model: str | None = None) -> httpx.Response:
        with wire.network_errors(self.base_url):
            response = self._http.get(path, params=wire.model_query(model))
        return wire.successful(response)

    @contextmanager
    def _opened(
        self, body: dict[str, object], headers: dict[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Yield a response that is still being received, if it is no error."""
        with wire.network_errors(self.base_url):
            request = self._http.build_request("POST", wire.SYNTHESIZE, json=body, headers=headers)
            response = self._http.send(request, stream=True)
        try:
            if response.is_error:
                with wire.network_errors(self.base_url):
                    response.read()
            yield wire.successful(response)
        finally:
            response.close()

    def _chunks(self, response: httpx.Response) -> Generator[bytes]:
        with wire.network_errors(self.base_url):
            yield from response.iter_bytes()

    def _timed_chunks(self, response: httpx.Response) -> Generator[TimedChunk]:
        with wire.network_errors(self.base_url):
            for line in response.iter_lines():
                if (chunk := wire.timed_chunk(line)) is not None:
                    yield chunk
