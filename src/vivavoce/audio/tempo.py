"""Change the speed of one stream at the same pitch, with FFmpeg's atempo filter (WSOLA)."""

from fractions import Fraction

import av
import av.filter
import numpy as np

from vivavoce.audio.frames import audio_frame
from vivavoce.errors import BadRequest
from vivavoce.types import Samples

MIN_SPEED = 0.25
MAX_SPEED = 4.0

# Within these one atempo stretches by overlapping neighbours; beyond them it would skip samples, so
# two share the work.
_STAGE_MIN = 0.5
_STAGE_MAX = 2.0

# Silence pushed after the end to bring out all that the filters hold: several of their windows
# (43-85 ms each).
_FLUSH_S = 0.5


class Tempo:
    """Stream filter that speaks `speed` times as fast (0.25 to 4) at the same pitch.

    However the input is cut into chunks, the output is the same, sample for sample: n samples in
    give n / speed out, rounded. 60 to 200 ms of input wait inside. Speed 1.0 passes through
    untouched. Raises `BadRequest` (`speed`) for a speed out of range.
    """

    def __init__(self, rate_hz: int, speed: float) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise BadRequest(
                f"speed {speed!r} is out of range; choose from {MIN_SPEED} to {MAX_SPEED}",
                field="speed",
            )
        self._rate_hz = rate_hz
        self._speed = speed
        self._frame_samples = rate_hz // 100
        self._pending = np.zeros(0, dtype=np.float32)  # less than one frame
        self._pushed = self._taken = 0
        self._given = 0
        self._graph: av.filter.Graph | None = (
            None if speed == 1.0 else _atempo_graph(rate_hz, speed)
        )

    def write(self, samples: Samples) -> Samples:
        """Take the next samples. Return those that are ready at the new speed."""
        if self._graph is None:
            return samples
        self._taken += len(samples)
        stretched = self._stretch(self._graph, samples)
        self._given += len(stretched)
        return stretched

    def finish(self) -> Samples:
        """End the stream. Return the rest. Call it once."""
        rest = np.zeros(0, dtype=np.float32)
        if self._graph is not None:
            missing = round(self._taken / self._speed) - self._given
            rest = self._stretch(
                self._graph, np.zeros(round(_FLUSH_S * self._rate_hz), dtype=np.float32)
            )
            self._graph.push(None)
            rest = np.concatenate((rest, _pull_all(self._graph)))[:missing]
        self.close()
        return rest

    def close(self) -> None:
        """Free the filters, wherever the stream stands. May be called again."""
        self._graph = None

    def _stretch(self, graph: av.filter.Graph, samples: Samples) -> Samples:
        # atempo gives out pieces as long as the frames it gets, and how it is cut shows in the last
        # bits of what it computes. Short frames of one size keep the delay low and the result
        # independent of the caller's chunks.
        size = self._frame_samples
        pending = np.concatenate((self._pending, samples))
        whole = len(pending) - len(pending) % size
        for start in range(0, whole, size):
            graph.push(
                audio_frame(pending[start : start + size], "flt", self._rate_hz, self._pushed)
            )
            self._pushed += size
        self._pending = pending[whole:].copy()
        return _pull_all(graph)


def _atempo_graph(rate_hz: int, speed: float) -> av.filter.Graph:
    stages = 1 if _STAGE_MIN <= speed <= _STAGE_MAX else 2
    graph = av.filter.Graph()
    graph.threads = 1  # the default is a pool with a thread for every core
    source = graph.add_abuffer(
        sample_rate=rate_hz, format="flt", layout="mono", time_base=Fraction(1, rate_hz)
    )
    tempos = [graph.add("atempo", repr(speed ** (1 / stages))) for _ in range(stages)]
    graph.link_nodes(source, *tempos, graph.add("abuffersink")).configure()
    return graph


def _pull_all(graph: av.filter.Graph) -> Samples:
    pieces = [np.zeros(0, dtype=np.float32)]
    while True:
        try:
            frame = graph.pull()
        except (
            BlockingIOError,
            EOFError,
        ):  # nothing more until more is pushed, or nothing more at all
            return np.concatenate(pieces)
        assert isinstance(frame, av.AudioFrame)
        pieces.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
