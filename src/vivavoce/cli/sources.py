"""Open a stream of speech from a model in this process or from a server.

It knows neither files nor the terminal.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from vivavoce.cli.in_process import open_pool
from vivavoce.client import (
    AsyncAudioStream,
    AsyncClient,
    Explanation,
    SpeechFacts,
    SpeechOptions,
    wire,
)

if TYPE_CHECKING:
    from vivavoce.serving.pool import Pool
    from vivavoce.settings import Settings
    from vivavoce.synthesis.speech import Speech
    from vivavoce.synthesis.synthesizer import Synthesizer
    from vivavoce.types import SpeechRequest, TimedWord, Timing

# The fields of words, which the client and the models name alike.
_SHARED = ("word", "spoken", "start", "end", "start_s", "end_s")


@dataclass(frozen=True, slots=True)
class Remote:
    """A server to speak through, and its API key."""

    url: str
    key: str | None = None


class SpeechTimer:
    """Timing of one speech.

    The clock starts when the request goes to a loaded model, or to the server.
    """

    def __init__(self) -> None:
        self.load_s = 0.0
        self.first_audio_s: float | None = None
        self.audio_s: float | None = None  # None: unknown, because the server compresses
        self._started = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._started

    def mark_loaded(self) -> None:
        """Restart the clock, and count the time before as loading."""
        self.load_s = self.elapsed_s
        self._started = time.perf_counter()

    def add_audio(self, audio_s: float | None) -> None:
        """Record that more audio has arrived, with its length if it is known."""
        if self.first_audio_s is None:
            self.first_audio_s = self.elapsed_s
        if audio_s is not None:
            self.audio_s = (self.audio_s or 0.0) + audio_s


@dataclass(slots=True)
class HeardWords:
    """The words of one speech and the source of their times, complete when it has ended."""

    words: "list[TimedWord]" = field(default_factory=list)
    timing: "Timing" = "estimated"


def open_speech(
    request: "SpeechRequest",
    *,
    settings: "Settings | None",
    server: Remote | None,
    timer: SpeechTimer,
    heard: HeardWords,
) -> AbstractAsyncContextManager[AsyncAudioStream]:
    """Return a context manager that yields the encoded speech, from `server` if given.

    Without a server, `settings` says which models to open here. `heard` is filled if the request
    asks for times.
    """
    if server is not None:
        timed = request.timestamps is not None
        return _timed(request, server, timer, heard) if timed else _audio(request, server, timer)
    assert settings is not None
    return _in_process(request, settings, timer, heard)


async def explain(
    request: "SpeechRequest", *, settings: "Settings | None", server: Remote | None
) -> Explanation:
    """Return what `request` would say, by `server` if given, else by the models of `settings`."""
    if server is not None:
        async with AsyncClient(server.url, api_key=server.key) as client:
            return await client.explain(request.text, **_options(request))
    assert settings is not None
    from vivavoce.api.schemas.answers import Explained

    async with open_pool(settings) as pool:
        found = await synthesizer_of(pool, settings).explain(replace(request, manages=True))
        return wire.explanation(Explained.of(found, request).model_dump())


@asynccontextmanager
async def _in_process(
    request: "SpeechRequest", settings: "Settings", timer: SpeechTimer, heard: HeardWords
) -> AsyncGenerator[AsyncAudioStream]:
    from vivavoce.provenance.mark import HEADER
    from vivavoce.synthesis.outlet import mark_headers

    async with (
        open_pool(settings) as pool,
        aclosing(
            await synthesizer_of(pool, settings).open(replace(request, manages=True))
        ) as speech,
        aclosing(_encoded(speech, request, timer)) as chunks,
    ):
        timer.mark_loaded()  # `open` loads the model, then queues the first segment
        yield AsyncAudioStream(
            format=request.format,
            model=speech.model,
            voice=speech.voice,
            language=speech.language,
            sample_rate_hz=speech.sample_rate_hz,
            ignored=speech.ignored,
            request_id="",
            synthetic=mark_headers(speech).get(HEADER, ""),
            chunks=chunks,
        )
        heard.words, heard.timing = list(speech.words), speech.timing


def synthesizer_of(pool: "Pool", settings: "Settings") -> "Synthesizer":
    """Return what speaks in this process as a server with `settings` would."""
    from vivavoce.provenance import Provenance
    from vivavoce.synthesis.alignment import Aligner
    from vivavoce.synthesis.synthesizer import Synthesizer
    from vivavoce.text.lexicon import FILE_NAME, LiveLexicon
    from vivavoce.voices.library import FOLDER, VoiceLibrary

    synthesizer = Synthesizer(
        pool,
        lexicon=LiveLexicon(settings.data_dir / FILE_NAME),
        default_model=settings.default_model,
        default_language=settings.default_language,
        max_text_chars=settings.max_text_chars,
        aligner=Aligner.if_installed() if settings.align == "auto" else None,
    )
    synthesizer.provenance = Provenance(marks=settings.provenance != "off")
    synthesizer.saved.library = VoiceLibrary(settings.data_dir / FOLDER)
    return synthesizer


async def _encoded(
    speech: "Speech", request: "SpeechRequest", timer: SpeechTimer
) -> AsyncGenerator[bytes]:
    from vivavoce.synthesis.outlet import open_outlet

    encoder = open_outlet(speech, request.format, whole=True)
    try:
        async with aclosing(speech.samples()) as parts:
            async for samples in parts:
                if samples.size:
                    timer.add_audio(samples.size / speech.sample_rate_hz)
                yield encoder.write(samples)
        yield encoder.finish()
    finally:
        encoder.close()


@asynccontextmanager
async def _audio(
    request: "SpeechRequest", server: Remote, timer: SpeechTimer
) -> AsyncGenerator[AsyncAudioStream]:
    async with AsyncClient(server.url, api_key=server.key) as client:
        if request.format == "m4a":  # which is not streamed
            audio = await client.speak(request.text, **_options(request))
            yield AsyncAudioStream(chunks=_measured(_one(audio.data), 0, timer), **_facts(audio))
            return
        async with client.stream(request.text, **_options(request)) as stream:
            chunks = _measured(stream.chunks, _byte_rate(request, stream), timer)
            yield replace(stream, chunks=chunks)


@asynccontextmanager
async def _timed(
    request: "SpeechRequest", server: Remote, timer: SpeechTimer, heard: HeardWords
) -> AsyncGenerator[AsyncAudioStream]:
    from vivavoce.types import TimedWord

    async with (
        AsyncClient(server.url, api_key=server.key) as client,
        client.stream_timed(request.text, **_options(request)) as stream,
    ):

        async def data() -> AsyncIterator[bytes]:
            async for chunk in stream:
                heard.words += [TimedWord(*(getattr(w, f) for f in _SHARED)) for w in chunk.words]
                heard.timing = chunk.end.timing if chunk.end else heard.timing
                yield chunk.data

        chunks = _measured(data(), _byte_rate(request, stream), timer)
        yield AsyncAudioStream(chunks=chunks, **_facts(stream))


def _facts(speech: SpeechFacts) -> dict[str, Any]:
    """Return the fields that all answers share. Any: of their types."""
    return {field.name: getattr(speech, field.name) for field in fields(SpeechFacts)}


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _byte_rate(request: "SpeechRequest", facts: SpeechFacts) -> int:
    """Return the bytes of a second of audio, 0 if it is compressed."""
    return 2 * (facts.sample_rate_hz or 0) if request.format == "pcm" else 0


async def _measured(
    chunks: AsyncIterator[bytes], byte_rate: int, timer: SpeechTimer
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if chunk:
            timer.add_audio(len(chunk) / byte_rate if byte_rate else None)
        yield chunk


def _options(request: "SpeechRequest") -> SpeechOptions:
    """Return the options of the client for `request`."""
    from vivavoce.audio import wav_bytes

    options: SpeechOptions = {
        "speaker": request.speaker,
        "language": request.language,
        "instruct": request.instruct,
        "model": None if request.model == "auto" else request.model,
        "format": request.format,
        "sample_rate": request.sample_rate_hz,
        "speed": request.speed,
        "seed": request.seed,
    }
    if (recording := request.reference) is not None:
        options["ref_audio"] = wav_bytes(recording.samples, recording.sample_rate_hz)
        options["ref_text"] = recording.text
    return options
