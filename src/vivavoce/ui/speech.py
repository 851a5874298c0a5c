"""Synthesize a text on the server, and return the audio with its facts and timing.

- The module knows nothing of the page.
- Speech is streamed, so that the time to the first audio is the server's.
- The header of a streamed file has no length. So a WAV file is built here from samples, and FLAC
  is requested as a whole.
"""

import io
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import cast

from vivavoce.client import Client, SpeechFacts, SpeechOptions
from vivavoce.errors import VivavoceError
from vivavoce.types import AudioFormat
from vivavoce.ui.waveform import peaks

_SAMPLE_BYTES = 2
MEDIA_TYPES: dict[AudioFormat, str] = {
    "wav": "audio/wav",
    "pcm": "application/octet-stream",  # no player knows its rate
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
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

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for each second of audio. Below 1 is faster than real time."""
        return self.elapsed_s / self.audio_s if self.audio_s else None

    @property
    def file_name(self) -> str:
        return (
            f"{self.voice or 'speech'}.{'ogg' if self.form.format == 'opus' else self.form.format}"
        )

    @property
    def playable_type(self) -> str:
        return MEDIA_TYPES["wav" if self.form.format == "pcm" else self.form.format]


def synthesize(
    client: Client, form: SpeechForm, report: Callable[[Progress], None]
) -> SpeechResult:
    """Return the speech, and call `report` for each chunk. An exception there cancels the speech.

    Raises what `Client.stream` does, and `VivavoceError` if the server sends no audio.
    """
    started = time.perf_counter()
    if form.format == "flac":
        whole = client.speak(form.text, **_options(form, form.format))
        return _result(form, whole, whole.data, None, None, time.perf_counter() - started)
    exact = form.format in ("wav", "pcm")
    with client.stream(form.text, **_options(form, "pcm" if exact else form.format)) as speech:
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
    elapsed_s = time.perf_counter() - started
    return _result(form, speech, bytes(received), rate_hz, first_audio_s, elapsed_s)


def _options(form: SpeechForm, format: AudioFormat) -> SpeechOptions:
    values = {field.name: getattr(form, field.name) for field in fields(form)}
    del values["text"]
    return cast(SpeechOptions, {**values, "format": format})  # the fields have the same names


def _result(
    form: SpeechForm,
    facts: SpeechFacts,
    received: bytes,
    rate_hz: int | None,
    first_audio_s: float | None,
    elapsed_s: float,
) -> SpeechResult:
    playable = _wav(received, rate_hz) if rate_hz else received
    return SpeechResult(
        form=form,
        model=facts.model,
        voice=facts.voice,
        language=facts.language,
        ignored=facts.ignored,
        file=playable if form.format == "wav" else received,
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
