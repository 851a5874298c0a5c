"""Measure loudness (EBU R 128), and bring speech to one loudness with peaks below a ceiling.

One stream at one rate, in bounded memory. The cut of the input changes nothing.
"""

from fractions import Fraction
from typing import Final

import av
import av.error
import av.filter
import numpy as np
import soxr

from vivavoce.audio.frames import audio_frame
from vivavoce.types import Samples

SILENT_LUFS: Final = -70.0  # what the absolute gate leaves out (ITU-R BS.1770-5, annex 1)
_BLOCK_S: Final = 0.2  # of the limiter: most need no oversampling
_OVERSAMPLING: Final = 4  # of true peaks (ITU-R BS.1770-5, annex 2)
_REACH_S: Final = 0.005  # of the limiter, before and after a peak
_TAPS: Final = 128  # samples that oversampling needs on both sides
# A true peak may lie between samples. In speech it is less than this above the highest of them.
_BETWEEN_DB: Final = 3.0
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


class Limiter:
    """Stream filter that applies a gain, and keeps true peaks below `ceiling_db`.

    Around a peak that would be higher, the gain sinks smoothly, and rises again. As many samples
    come out as go in. `peak` is the highest true peak so far, or a sample where all is quiet.
    """

    def __init__(self, rate_hz: int, gain_db: float, ceiling_db: float) -> None:
        self._rate_hz = rate_hz
        self._gain = np.float32(10 ** (gain_db / 20))
        self._ceiling = 10 ** ((ceiling_db - _MARGIN_DB) / 20)
        self._reach = round(_REACH_S * rate_hz)
        self._context = 2 * self._reach + _TAPS
        self._block = round(_BLOCK_S * rate_hz)
        self._pending = np.zeros(self._context, dtype=np.float32)  # context, then new samples
        self.limited = False
        self.peak = 0.0

    def write(self, samples: Samples) -> Samples:
        self._pending = np.concatenate((self._pending, samples * self._gain))
        parts = [_EMPTY]
        while len(self._pending) >= self._block + 2 * self._context:
            parts.append(self._next(self._block))
        return np.concatenate(parts)

    def finish(self) -> Samples:
        """Return the rest. Call it once."""
        left = len(self._pending) - self._context
        self._pending = np.concatenate((self._pending, np.zeros(self._context, dtype=np.float32)))
        return self._next(left)

    def _next(self, size: int) -> Samples:
        """Return the next `size` samples, and drop them with the context before them."""
        around: Samples = self._pending[: size + 2 * self._context]
        own = slice(self._context, self._context + size)
        self._pending = self._pending[size:]
        highest = float(np.abs(around).max(initial=0.0))
        if highest < self._ceiling * 10 ** (-_BETWEEN_DB / 20):
            self.peak = max(self.peak, float(np.abs(around[own]).max(initial=0.0)))
            return around[own]
        heights = self._heights(around)
        if heights.max() > self._ceiling:
            gain = np.minimum(1.0, self._ceiling / np.maximum(heights, 1e-9))
            around = around * self._smooth(gain)
            self.limited = True
            heights = self._heights(around)
        self.peak = max(self.peak, float(heights[own].max(initial=0.0)))
        return around[own]

    def _heights(self, samples: Samples) -> Samples:
        """Return the true peak at each sample and between it and its neighbours."""
        rate_hz = self._rate_hz
        dense = np.abs(soxr.resample(samples, rate_hz, rate_hz * _OVERSAMPLING, quality="VHQ"))
        dense = dense[: len(samples) * _OVERSAMPLING].reshape(-1, _OVERSAMPLING).max(axis=1)
        heights: Samples = np.maximum(np.abs(samples), dense)
        heights[1:] = np.maximum(heights[1:], dense[:-1])
        return heights

    def _smooth(self, gain: Samples) -> Samples:
        """Return a gain that is nowhere higher than `gain`, and changes slowly."""
        width = 2 * self._reach + 1
        padded = np.pad(gain, 2 * self._reach, mode="edge")
        lowest = np.lib.stride_tricks.sliding_window_view(padded, width).min(axis=1)
        window = np.hanning(width + 2)[1:-1]
        smooth: Samples = np.convolve(lowest, window / window.sum(), mode="valid")
        return smooth.astype(np.float32)
