"""Turn the spectra of hibari's network into samples, as the package's `dsp.synth` does.

The spectrum of a frame has three parts, harmonic, noisy and free:

    exp(h) · e^(iπ·tanh θ) · spectrum of pulses + exp(n) · noise + exp(r) · e^(iφ)

Given equal noise, the samples are those of the package to within rounding, at a third of its cost:

- Rows are frames, and a block of them stays in the processor's cache.
- The noise of a bin is evenly distributed. Samples are sums of 601 bins, so theirs is normal.
- Transforms have a factor (`norm`). Without one numpy copies their result by another routine,
  which takes five times as long as the transform on some processors.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vivavoce.types import Samples

RATE_HZ: Final = 24_000
FRAME, HOP = 1200, 300  # samples
BINS: Final = FRAME // 2 + 1
_HOPS: Final = FRAME // HOP  # of a frame
_BLOCK: Final = 128  # frames
_HIGHEST_HZ: Final = 11_000  # of the pulses' harmonics
_LOWEST_HZ: Final = np.float32(40)  # of voiced frames
_LOUDEST: Final = np.full(BINS, 7, np.float32)  # logarithms of gains
_POLE: Final = 2e-3  # of 2 sin(phase / 2): below it a pulse has its height
_EVEN: Final = np.float32((12 / (2**16 - 1)) ** 0.5)  # makes the variance of 8 random bits 1
_HANN: Final = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
_FULL: Final = 1.5  # the sum of the squares of all windows over a sample
_BEFORE: Final = _HANN * _HOPS  # a harmonic of amplitude 1 has a peak of 1, times `FRAME`
_AFTER: Final = _HANN / np.float32(_FULL)
_PARTS: Final = range(0, 5 * BINS, BINS)
_SQUARES: Final = np.square(_HANN).reshape(_HOPS, HOP)
_PLACES: Final = ((np.arange(HOP, dtype=np.float32) + 0.5) / HOP - 0.5) % 1  # between two frames

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Draw = Callable[[int], Floats]  # frames → noise of variance 1, [frames, 2, BINS]


def synthesize(spectra: Floats, pitch_hz: Floats, draw: Draw) -> Samples:
    """Return `HOP` samples for each frame of the network's output, of which there are six or more.

    `spectra` is [frames, 5 * BINS] with h, θ, n, r and φ of each frame, `pitch_hz` is [frames].
    """
    frames = len(spectra)
    windows = _windows(pulses(pitch_hz))
    hops = np.zeros((frames + _HOPS - 1, HOP), np.float32)
    for start in range(0, frames, _BLOCK):
        stop = min(start + _BLOCK, frames)
        spectrum = np.empty((stop - start, BINS), np.complex64)
        pulsed = windows[start:stop] * _BEFORE
        # numpy's types have no complex64 here.
        np.fft.rfft(pulsed, norm="forward", out=spectrum)  # type: ignore[arg-type]
        _fill(spectrum, spectra[start:stop], draw(stop - start))
        parts = np.fft.irfft(spectrum, FRAME)
        parts *= _AFTER
        for hop in range(_HOPS):
            hops[start + hop : stop + hop] += parts[:, hop * HOP : (hop + 1) * HOP]
    inside = hops[_HOPS // 2 : 1 - _HOPS // 2]
    for hop, parts_there in ((0, slice(0, 3)), (-2, slice(1, 4)), (-1, slice(2, 4))):
        inside[hop] *= _FULL / _SQUARES[parts_there].sum(0)  # not all windows reach the ends
    return inside.reshape(-1)


def even_noise(generator: np.random.Generator, frames: int) -> Floats:
    """Draw noise of variance 1, [frames, 2, BINS]."""
    size = frames * 2 * BINS
    words = generator.integers(-(2**63), 2**63, (size + 7) // 8, np.int64)
    noise = words.view(np.int8)[:size].astype(np.float32)
    noise += np.float32(0.5)
    noise *= _EVEN
    return noise.reshape(frames, 2, BINS)


def pulses(pitch_hz: Floats) -> Samples:
    """Return pulses that have every harmonic below `_HIGHEST_HZ` at amplitude 1, without its sum's
    constant. Where no voice is, there is silence.

    The sum of cos(h·t) over the harmonics 1 to H is sin((H + 1/2)·t) / (2 sin(t/2)) - 1/2.
    """
    edged = np.concatenate((pitch_hz[:1], pitch_hz, pitch_hz[-1:]))[:, None]
    steps, half = np.diff(edged, axis=0), HOP // 2
    hz = np.empty((len(pitch_hz), HOP), np.float32)
    hz[:, :half] = edged[:-2] + steps[:-1] * _PLACES[:half]
    hz[:, half:] = edged[1:-1] + steps[1:] * _PLACES[half:]
    return _sum_of_harmonics(hz.reshape(-1))


def _sum_of_harmonics(hz: Floats) -> Samples:
    is_voiced = hz > _LOWEST_HZ
    np.maximum(hz, _LOWEST_HZ, out=hz)
    cycles = np.cumsum(hz, dtype=np.float64)
    cycles /= RATE_HZ
    cycles -= np.floor(cycles)
    half_phase = cycles.astype(np.float32)
    half_phase *= np.float32(np.pi)
    below = 2 * np.sin(half_phase)
    heights = np.floor(_HIGHEST_HZ / hz) + np.float32(0.5)
    poles = np.flatnonzero(np.abs(below) <= _POLE)
    below[poles] = 1
    half_phase *= 2
    half_phase *= heights
    out = np.sin(half_phase)
    out /= below
    out[poles] = heights[poles]
    out -= np.float32(0.5)
    out *= is_voiced
    return out


def _windows(source: Samples) -> Floats:
    """Return the frames of `source`, as views. It is reflected beyond its ends."""
    half = FRAME // 2
    longer = np.concatenate((source[half:0:-1], source, source[-2 : -half - 2 : -1]))
    step = longer.itemsize
    return as_strided(longer, (len(source) // HOP, FRAME), (HOP * step, step), writeable=False)


def _fill(spectrum: Spectra, rows: Floats, noise: Floats) -> None:
    """Filter the spectra of pulses in place by `rows`, and add the noisy and the free part."""
    harmonic, angle, noisy, free, phase = (rows[:, at : at + BINS] for at in _PARTS)
    angle = np.tanh(angle)
    angle *= np.float32(np.pi)
    spectrum *= _polar(_gain(harmonic), angle)
    rest = _polar(_gain(free), phase)
    noise *= _gain(noisy)[:, None]
    rest.real += noise[:, 0]
    rest.imag += noise[:, 1]
    spectrum += rest


def _gain(logarithm: Floats) -> Floats:
    return np.exp(np.minimum(logarithm, _LOUDEST))


def _polar(length: Floats, angle: Floats) -> Spectra:
    out = np.empty(length.shape, np.complex64)
    np.multiply(np.cos(angle), length, out=out.real)
    np.multiply(np.sin(angle), length, out=out.imag)
    return out
