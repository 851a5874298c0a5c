"""Have a text spoken by the server and keeps what came: the audio, who spoke, and how fast; knows
nothing of the page.

Speech is streamed, so that the time to the first audio is that of the server. The header of a
streamed file cannot know its length: a WAV file is put together here from samples, and FLAC is
asked for as a whole.
"""

import io
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from vivavoce.client import Client, SpeechFacts
from vivavoce.errors import VivavoceError
from vivavoce.types import AudioFormat
from vivavoce.ui.waveform import peaks

_SAMPLE_BYTES = 2
MEDIA_TYPES: dict[AudioFormat, str] = {
    "wav": "audio/wav",
    "pcm": "application/octet-stream",  # players need to be told its rate, so none plays it
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}


@dataclass(frozen=True, slots=True)
class SpeechForm:
    """What to speak, as the page's fields say it; `None` leaves the choice to the server."""

    text: str
    model: str | None = None
    speaker: str | None = None
    language: str | None = None
    instruct: str | None = None
    speed: float = 1.0
    seed: int | None = None
    format: AudioFormat = "wav"
    ref_audio: bytes | None = None  # a recording whose voice to speak with
    ref_text: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a speech has come."""

    elapsed_s: float
    received_bytes: int
    audio_s: float | None  # None: compressed, so of unknown length


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """One speech that was spoken."""

    wish: SpeechForm
    model: str
    voice: str
    language: str
    ignored: tuple[str, ...]
    file: bytes  # in the format of `wish`
    playable: bytes  # the same for a player: PCM gets a header
    levels: tuple[float, ...]  # for the picture of the waveform; empty: compressed
    first_audio_s: float | None  # None: it was not streamed
    elapsed_s: float
    audio_s: float | None  # None: compressed, so of unknown length

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for each second of audio; below 1 it is faster than it is heard."""
        return self.elapsed_s / self.audio_s if self.audio_s else None

    @property
    def file_name(self) -> str:
        return (
            f"{self.voice or 'speech'}.{'ogg' if self.wish.format == 'opus' else self.wish.format}"
        )

    @property
    def playable_type(self) -> str:
        return MEDIA_TYPES["wav" if self.wish.format == "pcm" else self.wish.format]


def record(client: Client, wish: SpeechForm, report: Callable[[Progress], None]) -> SpeechResult:
    """Return the speech, after telling `report` of each piece that came. What `report` raises
    cancels the speech.

    Raises what `Client.stream` does, and `VivavoceError` if the server sends no audio.
    """
    started = time.perf_counter()
    if wish.format == "flac":
        whole = client.speak(wish.text, **_fields(wish), format=wish.format)
        return _take(wish, whole, whole.data, None, None, time.perf_counter() - started)
    exact = wish.format in ("wav", "pcm")
    with client.stream(
        wish.text, **_fields(wish), format="pcm" if exact else wish.format
    ) as speech:
        rate_hz = _rate_hz(speech) if exact else None
        received = bytearray()
        first_audio_s = None
        for chunk in speech:
            received += chunk
            elapsed_s = time.perf_counter() - started
            first_audio_s = first_audio_s or elapsed_s
            report(Progress(elapsed_s, len(received), _seconds(received, rate_hz)))
    if first_audio_s is None:
        raise VivavoceError("the server sent no audio: see its log, and try another text")
    return _take(
        wish, speech, bytes(received), rate_hz, first_audio_s, time.perf_counter() - started
    )


class _Fields(TypedDict):
    """What both ways of asking the client take alike."""

    model: str | None
    speaker: str | None
    language: str | None
    instruct: str | None
    speed: float
    seed: int | None
    ref_audio: bytes | None
    ref_text: str | None


def _fields(wish: SpeechForm) -> _Fields:
    return {
        "model": wish.model,
        "speaker": wish.speaker,
        "language": wish.language,
        "instruct": wish.instruct,
        "speed": wish.speed,
        "seed": wish.seed,
        "ref_audio": wish.ref_audio,
        "ref_text": wish.ref_text,
    }


def _take(
    wish: SpeechForm,
    facts: SpeechFacts,
    received: bytes,
    rate_hz: int | None,
    first_audio_s: float | None,
    elapsed_s: float,
) -> SpeechResult:
    playable = _wav(received, rate_hz) if rate_hz else received
    return SpeechResult(
        wish=wish,
        model=facts.model,
        voice=facts.voice,
        language=facts.language,
        ignored=facts.ignored,
        file=playable if wish.format == "wav" else received,
        playable=playable,
        levels=peaks(received) if rate_hz else (),
        first_audio_s=first_audio_s,
        elapsed_s=elapsed_s,
        audio_s=_seconds(received, rate_hz),
    )


def _rate_hz(speech: SpeechFacts) -> int:
    if speech.sample_rate_hz is None:
        raise VivavoceError(
            "the server does not tell the sample rate (no X-Sample-Rate): update it, or choose mp3"
        )
    return speech.sample_rate_hz


def _seconds(pcm: bytes | bytearray, rate_hz: int | None) -> float | None:
    return len(pcm) / _SAMPLE_BYTES / rate_hz if rate_hz else None


def _wav(pcm: bytes, rate_hz: int) -> bytes:
    """Return a WAV file of exact length around 16-bit mono samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(_SAMPLE_BYTES)
        writer.setframerate(rate_hz)
        writer.writeframes(pcm)
    return file.getvalue()
