"""Test signals and the cutting of them: deterministic, speech-like enough for codecs, cheap."""

from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import strategies as st

from vivavoce.types import Samples

# How a property test cuts a stream: these sizes, over and over, until the samples are used up.
chunkings = st.lists(st.integers(0, 3000), min_size=1, max_size=8).filter(any)


def speech_like(seconds: float, rate_hz: int) -> Samples:
    """Return a gliding tone under a syllable-like envelope, below 0.5, that never repeats."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (150 * t + 100 * t * t)
    envelope = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * t)
    return (0.3 * envelope * (np.sin(phase) + 0.5 * np.sin(3 * phase))).astype(np.float32)


def sine(seconds: float, rate_hz: int, tone_hz: float = 220.0) -> Samples:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * tone_hz * t)).astype(np.float32)


def cut(samples: Samples, sizes: Sequence[int]) -> Iterator[Samples]:
    """Yield the whole of `samples` in pieces of `sizes`, repeated as often as it takes."""
    position = index = 0
    while position < len(samples):
        size = sizes[index % len(sizes)]
        yield samples[position : position + size]
        position += size
        index += 1


def joined(pieces: Sequence[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
