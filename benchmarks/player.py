"""Compute a listener's playback of an answer from the arrival times of its audio.

It knows no clock and no socket.

All times are seconds on one clock of the caller's choice.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivavoce.audio.join import SILENCE_LEVEL

SAMPLE_BYTES: Final = 2
_INSTANT_S: Final = 1e-6  # far below one sample: a rounding error of float sums, not a gap


@dataclass(frozen=True, slots=True)
class Arrival:
    """Audio that came at `at_s` and takes `audio_s` to play."""

    at_s: float
    audio_s: float


@dataclass(frozen=True, slots=True)
class Playback:
    """The start and end of a playback and the gaps between, in seconds."""

    started_s: float
    ended_s: float
    gaps_s: tuple[float, ...]


def play(arrivals: Sequence[Arrival], ended_s: float, *, start_buffer_s: float) -> Playback:
    """Return the playback of `arrivals`, given in order, of an answer complete at `ended_s`.

    The player starts when it holds `start_buffer_s` of audio, or all there is, and plays in real
    time. When it runs dry it waits for the next audio and plays that at once, without filling its
    buffer again.
    """
    started_s = _start(arrivals, ended_s, start_buffer_s)
    dry_s = started_s  # the end of all audio so far
    gaps = []
    for arrival in arrivals:
        if arrival.at_s > dry_s + _INSTANT_S:
            gaps.append(arrival.at_s - dry_s)
            dry_s = arrival.at_s
        dry_s += arrival.audio_s
    return Playback(started_s, dry_s, tuple(gaps))


def _start(arrivals: Sequence[Arrival], ended_s: float, start_buffer_s: float) -> float:
    held_s = 0.0
    for arrival in arrivals:
        held_s += arrival.audio_s
        if held_s + _INSTANT_S >= start_buffer_s:
            return arrival.at_s
    return ended_s


def is_audible(pcm: bytes, level: float = SILENCE_LEVEL) -> bool:
    """True if whole 16-bit little-endian samples exceed `level`, a share of full scale."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(
        np.int32
    )  # wider: -32768 has no positive counterpart in 16 bits
    return bool((np.abs(samples) > level * 32768).any())


class FirstAudible:
    """A search for the first audible sample of a PCM stream.

    The chunks of the stream may end in the middle of a sample.
    """

    def __init__(self) -> None:
        self.found = False
        self._odd = b""

    def write(self, pcm: bytes) -> bool:
        """True if an audible sample is complete after these bytes."""
        if not self.found:
            pcm = self._odd + pcm
            whole = len(pcm) - len(pcm) % SAMPLE_BYTES
            self.found, self._odd = is_audible(pcm[:whole]), pcm[whole:]
        return self.found


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the `percent` percentile, interpolated between neighbours. It is NaN for no values."""
    return float(np.percentile(values, percent)) if len(values) else math.nan


def poisson_arrivals(rate: float, *, duration_s: float, at_most: int, seed: int) -> Iterator[float]:
    """Yield the moments, from 0, of independent requests at `rate` a second.

    It ends at `duration_s` or after `at_most` moments.
    """
    draw = random.Random(seed)
    at_s = 0.0
    for _ in range(at_most):
        at_s += draw.expovariate(rate)
        if at_s >= duration_s:
            return
        yield at_s
