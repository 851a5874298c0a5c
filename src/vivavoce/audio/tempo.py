"""Change the speed of one stream at the same pitch, with FFmpeg's atempo filter (WSOLA)."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from fractions import Fraction

import av
import av.filter
import numpy as np

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

# A second channel marks where samples came from: it counts them, over and over to _MARKS, so low
# that FFmpeg hears nothing of it. atempo compares sounds by the louder channel of each sample, so
# only samples of exactly 0 show their mark. Below 2^-126 some machines would make 0 of it.
_MARK = 2.0**-120
_MARKS = 2**14  # several windows; float32 counts these exactly

# How much of the map from its input to its output each atempo keeps. Before a second one and with
# the silence at the end, it is 10 s of what comes out at least.
_MAP_S = 24


class Tempo:
    """Stream filter that speaks `speed` times as fast (0.25 to 4) at the same pitch.

    However the input is cut into chunks, the output is the same, sample for sample: n samples in
    give n / speed out, rounded. 60 to 200 ms of input wait inside. Speed 1.0 passes through
    untouched. `timed` makes `position` work at other speeds; beside digital silence the samples
    can then differ, elsewhere they are the same. Raises `BadRequest` (`speed`) for a speed out of
    range.
    """

    def __init__(self, rate_hz: int, speed: float, *, timed: bool = False) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise BadRequest(
                f"speed {speed!r} is out of range; choose from {MIN_SPEED} to {MAX_SPEED}",
                field="speed",
            )
        self._rate_hz = rate_hz
        self._speed = speed
        self._frame_samples = rate_hz // 100
        self._pending = np.zeros(0, dtype=np.float32)  # less than one frame
        self._taken = self._given = 0
        self._finished = False
        self._stages: list[_Stage] = []
        if speed != 1.0:
            tempos = [speed] if _STAGE_MIN <= speed <= _STAGE_MAX else [math.sqrt(speed)] * 2
            each = [[tempo] for tempo in tempos] if timed else [tempos]
            self._stages = [_Stage(rate_hz, tempos, timed=timed) for tempos in each]

    def write(self, samples: Samples) -> Samples:
        """Take the next samples. Return those that are ready at the new speed."""
        self._taken += len(samples)
        stretched = self._stretch(samples) if self._stages else samples
        self._given += len(stretched)
        return stretched

    def finish(self) -> Samples:
        """End the stream. Return the rest. Call it once."""
        rest = np.zeros(0, dtype=np.float32)
        if self._stages:
            missing = round(self._taken / self._speed) - self._given
            silence = np.zeros(round(_FLUSH_S * self._rate_hz), dtype=np.float32)
            rest = self._stretch(silence, last=True)[:missing]
        self._given += len(rest)
        self._finished = True
        self.close()
        return rest

    def close(self) -> None:
        """Free the filters, wherever the stream stands. May be called again."""
        for stage in self._stages:
            stage.close()

    def position(self, sample: float) -> float | None:
        """Return where in the output the input's `sample` sounds, both in samples from the start.

        None says that this is not known yet; it is when the output reaches 22 ms past that place,
        and at the end. What atempo repeats is at its first place, what it leaves out between its
        neighbours, and later samples are never at earlier places. Places more than 10 s back are
        forgotten: the earliest kept stands for them. Only at speed 1.0 or with `timed`.
        """
        place: float | None = sample
        for stage in self._stages:
            place = None if place is None else stage.position(place)
        if self._finished:
            return self._given if place is None else min(place, self._given)
        return place

    def _stretch(self, samples: Samples, *, last: bool = False) -> Samples:
        # atempo gives out pieces as long as the frames it gets, and how it is cut shows in the last
        # bits of what it computes. Short frames of one size keep the delay low and the result
        # independent of the caller's chunks.
        size = self._frame_samples
        pending = np.concatenate((self._pending, samples))
        whole = len(pending) - len(pending) % size
        pieces = [pending[start : start + size] for start in range(0, whole, size)]
        self._pending = pending[whole:].copy()
        for stage in self._stages:
            pieces = stage.stretch(pieces, last=last)
        return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])


class _Stage:
    """A graph of atempos. If `timed`, it has one of them, and says where that puts what it takes.

    Every half window of its output begins in the middle of a window that it took from its input,
    unmixed with any other. The mark of that sample says which; up to a quarter of a window around
    it, its neighbours sound louder than those of other windows.
    """

    def __init__(self, rate_hz: int, tempos: Sequence[float], *, timed: bool) -> None:
        self._rate_hz = rate_hz
        self._time_base = Fraction(1, rate_hz)
        self._tempos = tempos
        self._channels = 2 if timed else 1
        self._taken = self._given = 0
        self._half = 2 ** math.ceil(math.log2(rate_hz // 24)) // 2  # FFmpeg's window: 42-85 ms
        kept = _MAP_S * rate_hz // self._half
        # Middles of windows, in the input and in the output. Those that step back are left out.
        self._inputs: deque[int] = deque(maxlen=kept)
        self._outputs: deque[int] = deque(maxlen=kept)
        self._graph: av.filter.Graph | None = self._open()

    def stretch(self, pieces: Sequence[Samples], *, last: bool) -> list[Samples]:
        """Take pieces, and the end after them if `last`. Return those that are ready."""
        assert self._graph is not None
        for piece in pieces:
            self._graph.push(self._frame(piece))
            self._taken += len(piece)
        if last:
            self._graph.push(None)
        return self._pull_all(self._graph)

    def position(self, sample: float) -> float | None:
        assert self._channels == 2, "only a timed Tempo knows positions"
        reach = self._half / 2
        index = bisect_left(self._inputs, sample - reach)
        if index == len(self._inputs):
            return None
        offset: float = min(max(sample - self._inputs[index], -reach), reach)
        return max(self._outputs[index] + offset, 0.0)

    def close(self) -> None:
        self._graph = None

    def _open(self) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1  # the default is a pool with a thread for every core
        source = graph.add_abuffer(
            sample_rate=self._rate_hz,
            format="flt",
            layout=self._layout,
            time_base=self._time_base,
        )
        atempos = [graph.add("atempo", repr(tempo)) for tempo in self._tempos]
        graph.link_nodes(source, *atempos, graph.add("abuffersink")).configure()
        return graph

    @property
    def _layout(self) -> str:
        return "mono" if self._channels == 1 else "stereo"

    def _frame(self, samples: Samples) -> av.AudioFrame:
        packed = np.empty((len(samples), self._channels), dtype=np.float32)
        packed[:, 0] = samples
        if self._channels == 2:
            packed[:, 1] = (np.arange(len(samples)) + self._taken) % _MARKS * _MARK
        frame = av.AudioFrame.from_ndarray(packed.reshape(1, -1), format="flt", layout=self._layout)
        frame.sample_rate = self._rate_hz
        frame.time_base = self._time_base
        frame.pts = self._taken
        return frame

    def _pull_all(self, graph: av.filter.Graph) -> list[Samples]:
        pieces: list[Samples] = []
        while True:
            try:
                frame = graph.pull()
            except (BlockingIOError, EOFError):  # nothing more until more is pushed, or at all
                return pieces
            assert isinstance(frame, av.AudioFrame)
            packed = frame.to_ndarray().reshape(-1, self._channels).astype(np.float32, copy=False)
            if self._channels == 2:
                self._read_marks(packed[:, 1])
            self._given += len(packed)
            pieces.append(packed[:, 0])

    def _read_marks(self, marks: Samples) -> None:
        for place in range(-self._given % self._half, len(marks), self._half):
            output = self._given + place
            due = round(output * self._tempos[0])  # where it is to within a window
            ahead = (round(marks[place] / _MARK) - due + _MARKS // 2) % _MARKS - _MARKS // 2
            if not self._inputs or due + ahead > self._inputs[-1]:
                self._inputs.append(due + ahead)
                self._outputs.append(output)
