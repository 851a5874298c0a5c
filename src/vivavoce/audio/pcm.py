"""Quantise samples, and make silence and fades.

Pure functions on arrays. Knows no formats and no streams.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vivavoce.types import Samples

_FULL_SCALE = np.float32(32768.0)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Return `samples` as 16-bit integers: clipped to [-1, 1], scaled by 32768, rounded to the
    nearest.

    1.0 becomes 32767, the largest there is. NaN becomes 0: as an integer it would be a click at
    full scale.
    """
    scaled = samples * _FULL_SCALE
    np.rint(scaled, out=scaled)
    # A comparison with NaN is false, and the extremes are NaN if any sample is.
    if scaled.size and not (scaled.min() >= -32768.0 and scaled.max() <= 32767.0):
        np.maximum(scaled, -32768.0, out=scaled)
        np.minimum(scaled, 32767.0, out=scaled)
        scaled[np.isnan(scaled)] = 0.0
    quantised: NDArray[np.int16] = scaled.astype(np.int16)
    return quantised


def from_int16(samples: NDArray[np.int16]) -> Samples:
    """Return 16-bit integers as samples in [-1, 1): the exact inverse of `to_int16`."""
    return samples.astype(np.float32) / _FULL_SCALE


def to_pcm16(samples: Samples) -> bytes:
    """Return `samples` as raw 16-bit little-endian PCM, two bytes a sample."""
    return to_int16(samples).astype("<i2", copy=False).tobytes()


def silence(seconds: float, rate_hz: int) -> Samples:
    """Return `seconds` of silence, rounded to whole samples. A negative length gives none."""
    return np.zeros(max(0, round(seconds * rate_hz)), dtype=np.float32)


@lru_cache(maxsize=32)
def rising_ramp(count: int) -> Samples:
    """Return `count` gains from near 0 to near 1 along a symmetric raised cosine, read only."""
    phase = (np.arange(count, dtype=np.float64) + 0.5) / max(1, count)
    ramp = (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)
    ramp.flags.writeable = False
    return ramp


def fade_in(samples: Samples, rate_hz: int, seconds: float = 0.005) -> Samples:
    """Return a copy of `samples` whose first `seconds` rise from silence.

    An array shorter than that gets the beginning of the ramp only, so fading in a stream's first
    piece is the same as fading in the whole stream as far as the piece goes.
    """
    faded = samples.copy()
    ramp = rising_ramp(round(seconds * rate_hz))[: len(faded)]
    faded[: len(ramp)] *= ramp
    return faded


def fade_out(samples: Samples, rate_hz: int, seconds: float = 0.005) -> Samples:
    """Return a copy of `samples` whose last `seconds` fall to silence.

    A shorter array gets the ramp's end.
    """
    return fade_in(samples[::-1], rate_hz, seconds)[::-1].copy()


def slices(samples: Samples, size: int) -> Iterator[Samples]:
    """Yield `samples` in parts of at most `size`."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
