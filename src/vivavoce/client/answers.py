"""Define the answers of a server as frozen values, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # `types` imports numpy, which a client does not need
    from vivavoce.types import AudioFormat, FinishReason, Gender, Timing

ModelState = Literal["ready", "loading", "unloaded", "missing", "failed", "alias"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFacts:
    """Facts about speech that the server sends before the first byte of audio."""

    format: AudioFormat
    model: str
    voice: str
    language: str
    sample_rate_hz: int | None  # None: an older or foreign server did not say
    ignored: tuple[str, ...]  # fields of the request that the model does not have
    request_id: str
    synthetic: str = ""  # the mark of synthetic speech, if the server sets one


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio(SpeechFacts):
    """A whole file of speech, encoded as `format`."""

    data: bytes

    def save(self, path: str | Path) -> Path:
        """Write the file to `path`, replacing an existing one, and return the path."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream(SpeechFacts):
    """Speech in the making. Iterate it once for the encoded bytes."""

    chunks: Iterator[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncAudioStream(SpeechFacts):
    """Speech in the making. Iterate it once, with `async for`, for the encoded bytes."""

    chunks: AsyncIterator[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks


@dataclass(frozen=True, slots=True)
class SoundTime:
    """One sound of a word, in IPA, or one of its characters, and when it is heard."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class WordTime:
    """One spoken word, and when it is heard in the audio.

    `start` and `end` are its span in the text that was sent, in code points.
    """

    word: str  # as it is written
    spoken: str
    start: int
    end: int
    start_s: float
    end_s: float
    input: int = 0  # index of the dialogue's input, 0 for a single text
    phones: tuple[SoundTime, ...] = ()  # with timestamps="phone", if they are known
    chars: tuple[SoundTime, ...] = ()  # with timestamps="char"


@dataclass(frozen=True, slots=True)
class MarkTime:
    """A mark of SSML, and when it is reached."""

    name: str
    time_s: float
    input: int = 0  # index of the dialogue's input, 0 for a single text


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """Facts about speech that are known at its end. `timing` is the source of the times."""

    timing: Timing
    duration_s: float
    finish_reason: FinishReason
    subtitles: str | None
    marks: tuple[MarkTime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAudio(Audio):
    """A whole file of speech, and the times of its words."""

    words: tuple[WordTime, ...]
    end: SpeechEnd


@dataclass(frozen=True, slots=True)
class TimedChunk:
    """Encoded bytes, and the words that begin in them or soon after. The last one has an `end`."""

    data: bytes = b""
    words: tuple[WordTime, ...] = ()
    end: SpeechEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStream(SpeechFacts):
    """Speech in the making with the times of its words. Iterate it once."""

    chunks: Iterator[TimedChunk]

    def __iter__(self) -> Iterator[TimedChunk]:
        return self.chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncTimedStream(SpeechFacts):
    """Speech in the making with the times of its words. Iterate it once, with `async for`."""

    chunks: AsyncIterator[TimedChunk]

    def __aiter__(self) -> AsyncIterator[TimedChunk]:
        return self.chunks


@dataclass(frozen=True, slots=True)
class VoiceEntry:
    """One voice of one of the server's models."""

    id: str
    name: str
    model: str
    languages: tuple[str, ...]  # ISO 639-1 codes, the native one first
    gender: Gender
    listed: bool  # False: accepted by name, left out of `speakers()`


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One of the server's models.

    `detail` says why it is not ready, or names the model of an alias.
    """

    id: str
    state: ModelState
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """State of the server, which can speak when `model_loaded`."""

    status: Literal["ok", "loading", "draining", "failed"]
    model_loaded: bool
    models: Mapping[str, ModelState]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """State or outcome of a speech request. Unknown values are `None`."""

    finish_reason: FinishReason | Literal["running"]
    ending: str | None  # reason why it was cut
    error: str | None  # error code
    retries: int | None  # segments that were spoken again
    audio_s: float | None
    first_audio_s: float | None  # seconds until its first audio


@dataclass(frozen=True, slots=True)
class ExplainedWord:
    """A spoken word. `start` and `end` are offsets in the text that was sent."""

    spoken: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ExplainedSegment:
    """Text that is said in one go: as it is written, as it is spoken, and the pause after it."""

    text: str
    spoken: str
    language: str
    speaker: str
    pause_s: float
    words: tuple[ExplainedWord, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Answer to what a text would say."""

    language: str
    model: str
    speaker: str
    segments: tuple[ExplainedSegment, ...]
    unspoken: tuple[str, ...]  # parts of the text that cannot be said
