"""Measure loudness (EBU R 128), and bring speech to one loudness with peaks below a ceiling.

One stream at one rate, in bounded memory. The cut of the input changes nothing.
"""

import math
from fractions import Fraction
from typing import Final

import av
import av.error
import av.filter
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.frames import audio_frame
from vivavoce.types import Samples

SILENT_LUFS: Final = -70.0  # what the absolute gate leaves out (ITU-R BS.1770-5, annex 1)
_OVERSAMPLING: Final = 4  # of true peaks (ITU-R BS.1770-5, annex 2)
_REACH_S: Final = 0.005  # of the limiter, before and after a peak
_TAPS: Final = 32  # samples that oversampling needs on both sides
# A true peak may lie between samples. In speech it is less than this above the highest of those
# nearby, so that few samples need oversampling.
_BETWEEN_DB: Final = 3.0
_NEARBY: Final = 8
# Meters differ: FFmpeg's shows up to 0.5 dB more than exact interpolation, for the highest tones.
_MARGIN_DB: Final = 0.6
_EMPTY: Samples = np.zeros(0, dtype=np.float32)


class LoudnessMeter:
    """Stream that measures the integrated loudness in LUFS, with FFmpeg's ebur128 filter."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._taken = 0
        self._lufs = SILENT_LUFS
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(
            sample_rate=rate_hz, format="flt", layout="mono", time_base=Fraction(1, rate_hz)
        )
        meter, sink = self._graph.add("ebur128", "metadata=1"), self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()

    def write(self, samples: Samples) -> None:
        for start in range(0, len(samples), self._rate_hz):
            part = samples[start : start + self._rate_hz]
            self._graph.push(audio_frame(part, "flt", self._rate_hz, self._taken))
            self._taken += len(part)
            self._pull()

    def finish(self) -> float:
        """Return the loudness, `SILENT_LUFS` if nothing is louder."""
        self._graph.push(None)
        self._pull()
        return self._lufs

    def _pull(self) -> None:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, av.AudioFrame)
            # A last frame of less than 100 ms has none.
            if (shown := frame.metadata.get("lavfi.r128.I")) is not None:
                self._lufs = max(float(shown), SILENT_LUFS)


def _interpolation() -> Samples:
    """Return the weights of the samples around a place between two of them: [places, samples]."""
    places = np.arange(1, _OVERSAMPLING) / _OVERSAMPLING
    distances = places[:, None] + np.arange(_TAPS - 1, -_TAPS - 1, -1)
    window = np.i0(6.0 * np.sqrt(1 - (distances / _TAPS) ** 2))  # Kaiser's
    weights = np.sinc(distances) * window
    interpolation: Samples = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return interpolation


class Limiter:
    """Stream filter that applies a gain, and keeps true peaks below `ceiling_db`.

    Around a peak that would be higher, the gain sinks smoothly, and rises again. As many samples
    come out as go in. `peak` is the highest true peak so far, or a sample where all is quiet.
    """

    def __init__(self, rate_hz: int, gain_db: float, ceiling_db: float) -> None:
        self._gain = np.float32(10 ** (gain_db / 20))
        self._ceiling = 10 ** ((ceiling_db - _MARGIN_DB) / 20)
        self._near = self._ceiling * 10 ** (-_BETWEEN_DB / 20)
        self._reach = round(_REACH_S * rate_hz)
        self._context = 2 * self._reach + 2 * _TAPS
        self._interpolation = _interpolation()
        self._pending = np.zeros(self._context, dtype=np.float32)  # context, then new samples
        self._energy = self._left = 0.0
        self.limited = False
        self.peak = 0.0

    @property
    def taken_db(self) -> float:
        """How much of the energy the limits have taken."""
        return 10 * math.log10(self._energy / self._left) if self._left else 0.0

    def write(self, samples: Samples) -> Samples:
        self._pending = np.concatenate((self._pending, samples * self._gain))
        return self._next(len(self._pending) - 2 * self._context)

    def finish(self) -> Samples:
        """Return the rest. Call it once."""
        self._pending = np.concatenate((self._pending, np.zeros(self._context, dtype=np.float32)))
        return self._next(len(self._pending) - 2 * self._context)

    def _next(self, size: int) -> Samples:
        """Return the next `size` samples, and drop them with the context before them."""
        if size <= 0:
            return _EMPTY
        around: Samples = self._pending[: size + 2 * self._context]
        self._pending = self._pending[size:]
        own = slice(self._context, self._context + size)
        self._energy += float(np.square(around[own]).sum())
        places, heights = self._heights(around)
        if (heights > self._ceiling).any():
            around = self._limited(around, places, heights)
            places, heights = self._heights(around)
            self.limited = True
        self._left += float(np.square(around[own]).sum())
        between = heights[(places >= own.start) & (places < own.stop)]
        self.peak = max(self.peak, float(np.abs(around[own]).max()), *between.tolist())
        return around[own]

    def _heights(self, samples: Samples) -> tuple[NDArray[np.intp], Samples]:
        """Return the places of samples with a high one nearby, and the true peaks just there."""
        (loud,) = np.nonzero(np.abs(samples) > self._near)
        is_near = np.zeros(len(samples), dtype=bool)
        for offset in range(-_NEARBY, _NEARBY + 1):
            is_near[(loud + offset).clip(0, len(samples) - 1)] = True
        (places,) = np.nonzero(is_near[: -_TAPS + 1])
        places = places[places >= _TAPS]
        around = np.lib.stride_tricks.sliding_window_view(samples, 2 * _TAPS)[places - _TAPS]
        between = np.abs(np.einsum("ps,bs->pb", around, self._interpolation))
        return places, np.maximum(np.abs(samples[places]), between.max(axis=1, initial=0.0))

    def _limited(self, samples: Samples, places: NDArray[np.intp], heights: Samples) -> Samples:
        """Return a copy that is quieter around the heights above the ceiling."""
        is_over = heights > self._ceiling
        over, gains = places[is_over], self._ceiling / heights[is_over]
        limited, reach = samples.copy(), 2 * self._reach
        (apart,) = np.nonzero(np.diff(over) > 2 * reach)
        for own in np.split(np.arange(len(over)), apart + 1):
            start, end = max(over[own[0]] - reach, 0), over[own[-1]] + reach + 1
            gain = np.ones(len(samples[start:end]), dtype=np.float32)
            gain[over[own] - start] = gains[own]
            limited[start:end] *= self._smooth(gain)
        return limited

    def _smooth(self, gain: Samples) -> Samples:
        """Return a gain that is nowhere higher than `gain`, and changes slowly."""
        width = 2 * self._reach + 1
        padded = np.pad(gain, 2 * self._reach, mode="edge")
        lowest = np.lib.stride_tricks.sliding_window_view(padded, width).min(axis=1)
        window = np.hanning(width + 2)[1:-1]
        smooth: Samples = np.convolve(lowest, window / window.sum(), mode="valid")
        return smooth.astype(np.float32)
