"""What a server answers, as frozen values; knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # `types` brings numpy, which a client has no use for at run time
    from vivavoce.types import AudioFormat, FinishReason, Gender

ModelState = Literal["ready", "loading", "unloaded", "missing", "failed", "alias"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFacts:
    """What the server says of speech before its first byte: what spoke it and what it could not honour."""

    format: AudioFormat
    model: str
    voice: str
    language: str
    sample_rate_hz: int | None  # None: an older or foreign server did not say
    ignored: tuple[str, ...]  # fields of the request that the model does not have
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio(SpeechFacts):
    """A whole file of speech, encoded as `format`."""

    data: bytes

    def save(self, path: str | Path) -> Path:
        """Writes the file to `path`, replacing what was there, and returns the path."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream(SpeechFacts):
    """Speech that is still being spoken; iterate it once for the encoded bytes as they come."""

    chunks: Iterator[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncAudioStream(SpeechFacts):
    """Speech that is still being spoken; iterate it once, with `async for`, for the encoded bytes as they come."""

    chunks: AsyncIterator[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
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
    """One of the server's models and how it stands; `detail` says why it is not ready, or what it is an alias of."""

    id: str
    state: ModelState
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the server stands; it speaks when `model_loaded`."""

    status: Literal["ok", "loading", "draining", "failed"]
    model_loaded: bool
    models: Mapping[str, ModelState]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request for speech goes or went; what is not known yet is `None`."""

    finish_reason: FinishReason | Literal["running"]
    ending: str | None  # why it was cut
    error: str | None  # the code of what it failed with
    retries: int | None  # pieces of its text that were spoken once more
    audio_s: float | None
    first_audio_s: float | None  # seconds until its first audio was there
