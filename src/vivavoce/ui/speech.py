"""Synthesize a text on the server, and return the audio with its facts and timing.

- The module knows nothing of the page.
- Speech is streamed, so that the time to the first audio is the server's.
- The header of a streamed file has no length. So a WAV file is built here from samples, and FLAC
  is requested as a whole.
"""

import io
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Literal, cast

from vivavoce.client import (
    Client,
    SpeechEnd,
    SpeechFacts,
    SpeechOptions,
    TimedChunk,
    TimedStream,
    WordTime,
)
from vivavoce.errors import VivavoceError
from vivavoce.provenance.mark import Mark, wav_info
from vivavoce.types import AudioFormat
from vivavoce.ui.waveform import peaks

_SAMPLE_BYTES = 2
SubtitleFormat = Literal["srt", "vtt"]
SUBTITLE_TYPES: dict[SubtitleFormat, str] = {"srt": "application/x-subrip", "vtt": "text/vtt"}
MEDIA_TYPES: dict[AudioFormat, str] = {
    "wav": "audio/wav",
    "pcm": "application/octet-stream",  # no player knows its rate
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
}


@dataclass(frozen=True, slots=True)
class SpeechForm:
    """The values of the page's fields. `None`: the server chooses."""

    text: str
    model: str | None = None
    speaker: str | None = None
    language: str | None = None
    instruct: str | None = None
    speed: float = 1.0
    seed: int | None = None
    format: AudioFormat = "wav"
    ref_audio: bytes | None = None  # a recording of the voice to speak with
    ref_text: str | None = None
    subtitles: SubtitleFormat | None = "vtt"  # None: the words are not shown either


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a speech."""

    elapsed_s: float
    received_bytes: int
    audio_s: float | None  # None: unknown, because compressed


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """A finished speech."""

    form: SpeechForm
    model: str
    voice: str
    language: str
    ignored: tuple[str, ...]
    file: bytes  # in the format of `form`
    playable: bytes  # the same for a player, with a header for PCM
    levels: tuple[float, ...]  # for the waveform; empty: compressed
    first_audio_s: float | None  # None: not streamed
    elapsed_s: float
    audio_s: float | None  # None: unknown, because compressed
    words: tuple[WordTime, ...]
    timing: str  # the source of the words' times
    subtitles: str | None

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for each second of audio. Below 1 is faster than real time."""
        return self.elapsed_s / self.audio_s if self.audio_s else None

    @property
    def file_name(self) -> str:
        return f"{self._name}.{'ogg' if self.form.format == 'opus' else self.form.format}"

    @property
    def subtitles_name(self) -> str:
        return f"{self._name}.{self.form.subtitles}"

    @property
    def _name(self) -> str:
        return self.voice or "speech"

    @property
    def playable_type(self) -> str:
        return MEDIA_TYPES["wav" if self.form.format == "pcm" else self.form.format]


def synthesize(
    client: Client, form: SpeechForm, report: Callable[[Progress], None]
) -> SpeechResult:
    """Return the speech, and call `report` for each chunk. An exception there cancels the speech.

    Raises what `Client.stream` does, and `VivavoceError` if the server sends no audio.
    """
    received = _Received()
    if form.format in ("flac", "m4a"):
        return _whole(client, form, received)
    exact = form.format in ("wav", "pcm")
    with _stream(client, form, "pcm" if exact else form.format) as speech:
        rate_hz = _rate_hz(speech) if exact else None
        for chunk in speech:
            received.add(chunk)
            audio_s = _seconds(received.data, rate_hz)
            report(Progress(received.elapsed_s, len(received.data), audio_s))
    if received.first_audio_s is None:
        raise VivavoceError("the server sent no audio: see its log, and try another text")
    return _result(form, speech, received, rate_hz)


@dataclass(slots=True)
class _Received:
    """What has been received of one speech, and when."""

    data: bytearray = field(default_factory=bytearray)
    words: list[WordTime] = field(default_factory=list)
    end: SpeechEnd | None = None
    first_audio_s: float | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.started

    def add(self, chunk: TimedChunk) -> None:
        self.data += chunk.data
        self.words += chunk.words
        self.end = chunk.end
        if chunk.data and self.first_audio_s is None:
            self.first_audio_s = self.elapsed_s


def _whole(client: Client, form: SpeechForm, received: _Received) -> SpeechResult:
    """Return a file that has its length in it."""
    if form.subtitles is None:
        plain = client.speak(form.text, **_options(form, form.format))
        received.data += plain.data
        return _result(form, plain, received, None)
    timed = client.speak_timed(form.text, **_options(form, form.format), subtitles=form.subtitles)
    received.data += timed.data
    received.words += timed.words
    received.end = timed.end
    return _result(form, timed, received, None)


@contextmanager
def _stream(client: Client, form: SpeechForm, format: AudioFormat) -> Iterator[TimedStream]:
    """Yield speech while it is made, with its words if they are to be shown."""
    options = _options(form, format)
    if form.subtitles is not None:
        with client.stream_timed(form.text, **options, subtitles=form.subtitles) as timed:
            yield timed
        return
    with client.stream(form.text, **options) as speech:
        facts = {one.name: getattr(speech, one.name) for one in fields(SpeechFacts)}
        yield TimedStream(chunks=(TimedChunk(data) for data in speech), **facts)


def _options(form: SpeechForm, format: AudioFormat) -> SpeechOptions:
    values = {field.name: getattr(form, field.name) for field in fields(form)}
    del values["text"], values["subtitles"]
    return cast(SpeechOptions, {**values, "format": format})  # the fields have the same names


def _result(
    form: SpeechForm, facts: SpeechFacts, received: _Received, rate_hz: int | None
) -> SpeechResult:
    elapsed_s, data, end = received.elapsed_s, bytes(received.data), received.end
    comment = Mark(facts.model, facts.voice).comment if facts.synthetic else ""
    playable = _wav(data, rate_hz, comment) if rate_hz else data
    return SpeechResult(
        form=form,
        model=facts.model,
        voice=facts.voice,
        language=facts.language,
        ignored=facts.ignored,
        file=playable if form.format == "wav" else data,
        playable=playable,
        levels=peaks(data) if rate_hz else (),
        first_audio_s=received.first_audio_s,
        elapsed_s=elapsed_s,
        audio_s=_seconds(data, rate_hz),
        words=tuple(received.words),
        timing=end.timing if end else "",
        subtitles=end.subtitles if end else None,
    )


def _rate_hz(speech: SpeechFacts) -> int:
    if speech.sample_rate_hz is None:
        raise VivavoceError(
            "the server does not tell the sample rate (no X-Sample-Rate): update it, or choose mp3"
        )
    return speech.sample_rate_hz


def _seconds(pcm: bytes | bytearray, rate_hz: int | None) -> float | None:
    return len(pcm) / _SAMPLE_BYTES / rate_hz if rate_hz else None


def _wav(pcm: bytes, rate_hz: int, comment: str) -> bytes:
    """Return a WAV file of exact length around 16-bit mono samples, with `comment`."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(_SAMPLE_BYTES)
        writer.setframerate(rate_hz)
        writer.writeframes(pcm)
    data = file.getvalue() + wav_info(comment)
    return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
