"""Measure the pitch of a voice: the median of its voiced parts."""

from typing import Final

import numpy as np

from vivavoce.types import Samples

RANGE_HZ: Final = (60.0, 400.0)  # of speaking voices
_RATE_HZ: Final = 8_000
_FRAME_S: Final = 0.04  # more than two periods of the lowest voice
_HOP_S: Final = 0.1
_VOICED: Final = 0.5  # correlation of a frame with itself, one period later


def median_pitch_hz(samples: Samples, rate_hz: int) -> float:
    """Return the median pitch in Hz, or 0 if nothing is voiced."""
    step = max(rate_hz // _RATE_HZ, 1)
    end = len(samples) // step * step
    coarse = np.add.reduce([samples[first:end:step] for first in range(step)]) / np.float32(step)
    rate = rate_hz / step
    size, hop = round(_FRAME_S * rate), round(_HOP_S * rate)
    if len(coarse) < size:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(coarse, size)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectra = np.fft.rfft(frames, 2 * size)
    correlations = np.fft.irfft(np.abs(spectra) ** 2)[:, :size]
    low, high = round(rate / RANGE_HZ[1]), min(round(rate / RANGE_HZ[0]), size - 1)
    # Short lags overlap more, so that of equal ones the period itself is found.
    lags = low + correlations[:, low:high].argmax(axis=1)
    energy, rows = correlations[:, 0], np.arange(len(lags))
    strengths = correlations[rows, lags] / np.maximum(energy * (1.0 - lags / size), 1e-9)
    voiced = (strengths > _VOICED) & (energy > 0.1 * energy.mean())
    return float(np.median(rate / lags[voiced])) if voiced.any() else 0.0
