"""Speak in beeps, for tests and load measurements.

- The model is deterministic. It is as fast or slow as asked, and can fail on purpose.
- Each character of the text is one tone. Its pitch depends on the character, the voice and the
  seed.
- The length of the audio depends on the text alone.
- A chunk of a live text is spoken once all of its characters are known.
"""

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vivavoce.errors import OutOfMemory, SettingsError
from vivavoce.serving.base import Model
from vivavoce.types import (
    AudioChunk,
    Capabilities,
    EngineInfo,
    Phone,
    Samples,
    Segment,
    StopReason,
    Voice,
)

RATE_HZ = 24_000
CHAR_S = 0.06
CHUNK_S = 0.08
PITCHES = 64
MAX_LIVE_CHARS = 1_000
_WORD = re.compile(r"\S+")
LANGUAGES = ("en", "zh", "de", "it", "pt", "es", "ja", "ko", "fr", "ru")

SLOW_STEP_S = 0.25  # three times the length of a default chunk

FaultKind = Literal["raise", "hang", "endless", "nan", "oom", "silence", "noise", "slow"]
FAULT_KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of the first `times` streams, from step `at_step` on (the first is 0)."""

    kind: FaultKind
    at_step: int = 0
    times: float = math.inf  # later streams do not fail


@dataclass(eq=False, slots=True)
class ToneStream:
    """State of one segment."""

    segment: Segment  # with the text so far
    fault: Fault | None
    complete: bool = True
    step: int = 0


class ToneModel(Model[ToneStream]):
    """Beeps at 24 kHz in chunks of `chunk_s` seconds.

    A step takes `real_time_factor` × `chunk_s` seconds for any number of streams, like a batched
    model's. `faults` adds a voice for each of its names. Streams of that voice fail as their fault
    says. Steps of more than `fits` streams run out of memory (None: no limit).
    """

    def __init__(
        self,
        *,
        real_time_factor: float = 0.0,
        chunk_s: float = CHUNK_S,
        char_s: float = CHAR_S,
        max_batch: int = 64,
        lanes: int = 1,
        faults: Mapping[str, Fault] | None = None,
        fits: int | None = None,
    ) -> None:
        self.max_batch = max_batch
        self.lanes = lanes
        self._step_s = real_time_factor * chunk_s
        self._chunk = int(chunk_s * RATE_HZ)
        self._char_s = char_s
        self._faults = dict(faults or {})
        self._opened = Counter[str]()  # streams by voice
        self._fits = fits
        names = ("sine", "hum", *self._faults)
        self.info = EngineInfo(
            name="tone",
            sample_rate_hz=RATE_HZ,
            languages=LANGUAGES,
            voices=tuple(Voice(name, name.capitalize(), LANGUAGES) for name in names),
            capabilities=Capabilities(seed=True, deterministic=True, live_text=True, timed=True),
            max_live_chars=MAX_LIVE_CHARS,
            description="Beeps instead of speech, for tests and load measurements.",
        )

    def open(self, segment: Segment) -> ToneStream:
        fault = self._faults.get(segment.voice)
        self._opened[segment.voice] += 1
        if fault is not None and self._opened[segment.voice] > fault.times:
            fault = None
        return ToneStream(segment, fault, complete=not segment.live)

    def feed(self, stream: ToneStream, text: str, *, last: bool) -> None:
        stream.segment = replace(stream.segment, text=stream.segment.text + text)
        stream.complete = last

    def starving(self, stream: ToneStream) -> bool:
        return not stream.complete and self._known(stream) < (stream.step + 1) * self._chunk

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        time.sleep(self._step_s)
        too_many = self._fits is not None and len(streams) > self._fits
        if too_many or any(map(_runs_out_of_memory, streams)):
            count = len(streams)
            raise OutOfMemory(f"the tone model was told to find no memory for {count} streams")
        return [self._next(stream) for stream in streams]

    def _next(self, stream: ToneStream) -> Samples | AudioChunk | StopReason:
        start = stream.step * self._chunk
        fault = stream.fault if stream.fault and stream.step >= stream.fault.at_step else None
        stream.step += 1
        end = min(start + self._chunk, self._known(stream))
        if fault is not None and (failed := _fail(fault, start, end, self._chunk)) is not None:
            return failed
        if start >= end:
            return StopReason.COMPLETE
        samples = tones(stream.segment, start, end, self._char_s)
        return AudioChunk(samples, tuple(self._phones(stream, start, end)))

    def _phones(self, stream: ToneStream, start: int, end: int) -> Iterator[Phone]:
        """Yield a phone for each word that begins between samples `start` and `end`."""
        text, per_char = stream.segment.text, int(self._char_s * RATE_HZ)
        first, last = -(-start // per_char), -(-end // per_char)
        for word in _WORD.finditer(text, max(first - 1, 0)):
            if word.start() >= last:
                break
            if word.start() >= first:
                times = (word.start() * per_char / RATE_HZ, word.end() * per_char / RATE_HZ)
                yield Phone("", *times, *word.span())

    def _known(self, stream: ToneStream) -> int:
        """Return the number of samples of the text so far."""
        return int(len(stream.segment.text) * self._char_s * RATE_HZ)


@dataclass(frozen=True, slots=True)
class ToneOptions:
    """Options of the test model. `faults` are kinds of `Fault`."""

    real_time_factor: float = 0.0
    faults: Sequence[str] = ()


def make_tone(options: ToneOptions) -> ToneModel:
    """Return the test model, with a voice for each kind in `options.faults`."""
    return ToneModel(real_time_factor=options.real_time_factor, faults=faults_named(options.faults))


def faults_named(kinds: Sequence[str], *, at_step: int = 3) -> Mapping[str, Fault]:
    """Return a fault of each kind in `kinds`, by the name of its voice.

    By default a fault starts after a quarter of a second of speech. Raises `SettingsError` for an
    unknown kind.
    """
    if unknown := [kind for kind in kinds if kind not in FAULT_KINDS]:
        raise SettingsError(
            f"the setting 'tone_faults' names {unknown[0]!r}; it may hold {', '.join(FAULT_KINDS)}"
        )
    return {kind: Fault(kind, at_step) for kind in FAULT_KINDS if kind in kinds}


def tones(segment: Segment, start: int, end: int, char_s: float = CHAR_S) -> Samples:
    """Return samples `start` to `end` of the segment's beeps, the same for any cut."""
    per_char = int(char_s * RATE_HZ)
    first = start // per_char
    text = segment.text[first : -(-end // per_char)]
    salt = sum(map(ord, segment.voice)) * 7 + (segment.seed or 0)
    beeps = _beeps(per_char)[[(ord(c) * 31 + salt) % PITCHES for c in text]]
    return beeps.reshape(-1)[start - first * per_char : end - first * per_char]


@lru_cache(maxsize=8)
def _beeps(per_char: int) -> NDArray[np.float32]:
    """Return the beep of one character at every pitch, `[PITCHES, per_char]`."""
    positions = np.arange(per_char)
    pitches_hz = 200.0 + 10.0 * np.arange(PITCHES)[:, np.newaxis]
    envelope = np.sin(np.pi * positions / per_char)
    waves = 0.3 * envelope * np.sin(2.0 * np.pi * pitches_hz * positions / RATE_HZ)
    return waves.astype(np.float32)


def _runs_out_of_memory(stream: ToneStream) -> bool:
    fault = stream.fault
    return fault is not None and fault.kind == "oom" and stream.step >= fault.at_step


def _fail(fault: Fault, start: int, end: int, chunk: int) -> Samples | None:
    """Return what replaces `start` to `end` of a stream with `fault`, None for its own samples."""
    match fault.kind:
        case "raise":
            raise RuntimeError(f"the tone model was told to fail at step {fault.at_step}")
        case "hang":
            while True:
                time.sleep(3600)
        case "endless":
            return tones(Segment("e" * chunk, "sine", "en"), 0, chunk)
        case "oom":
            raise AssertionError("a step with this fault has raised before")
        case "nan":
            return np.full(chunk, np.nan, dtype=np.float32)
        case "silence":
            return np.zeros(end - start, dtype=np.float32) if start < end else None
        case "noise":
            draws = np.random.default_rng(start).normal(scale=3.0, size=max(end - start, 0))
            return np.clip(draws.astype(np.float32), -1.0, 1.0) if start < end else None
        case "slow":
            time.sleep(SLOW_STEP_S)
            return None
