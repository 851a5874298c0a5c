"""Run the parts of Kokoro's network with onnxruntime: read a run, make audio whole or in windows.

Frames take 12.5 ms. The vocoder normalises its channels over a whole run (adaptive instance norms).
For a window of frames the measures of those norms must be known before: `VoiceMeasures` takes them
from three texts of different length, spoken once with the voice. Silence at the ends of a run
changes them, so they are interpolated by its share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.kokoro.graph.parts import LOWER, TEXT, UPPER, WINDOWS
from vivavoce.models.kokoro.graph.rewrite import load_fast
from vivavoce.models.onnx import disable_telemetry
from vivavoce.types import Samples

if TYPE_CHECKING:
    from onnxruntime import (  # type: ignore[import-untyped]  # it ships no types
        InferenceSession,
        RunOptions,
        SessionOptions,
    )

Floats: TypeAlias = NDArray[np.float32]

PULL = "run: vivavoce models pull kokoro"
REMEDY = f"remove its folder and {PULL}"
FRAME_SAMPLES = 300
SOURCE_STEPS = 60  # columns of the source signal in a frame
# Frames computed on each side of a window and thrown away: before and after the second upsampling.
# The first is where further context changes the audio no more than the rounding of int8 does.
CONTEXT, UPPER_CONTEXT = 6, 1
_EPSILON = 1e-5  # of the norms, as in the graph


@dataclass(frozen=True, slots=True)
class VocoderRun:
    """A run that is read: what the vocoder makes audio of."""

    frames: Floats  # [1, channels, time]
    source: Floats  # [1, bins, 60 * time + 1]
    gain: Floats  # [norms]
    bias: Floats  # [norms]
    durations: NDArray[np.int64]  # [tokens], each unit is two frames

    @property
    def length(self) -> int:
        return int(self.frames.shape[2])

    @property
    def silence(self) -> float:
        """The share of its two ends, which are silent."""
        return float(self.durations[0] + self.durations[-1]) / float(self.durations.sum())


@dataclass(frozen=True, slots=True)
class Measures:
    """The mean and the mean square of every normalised channel, over a run."""

    mean: Floats  # [norms]
    power: Floats  # [norms]


@dataclass(frozen=True, slots=True)
class Half:
    """The first half of the work for the audio of a whole run."""

    joined: Floats  # [1, channels, 60 * time + 1]
    measures: Measures  # of the norms so far


class Network:
    """The sessions of the four parts, which concurrent calls share.

    Each calling thread works itself. What a listener waits for before the first window is helped by
    all `threads`. Windows of `lanes` callers are made beside each other, and only further threads
    help. Raises `MissingDependency` if onnxruntime or the file `model` is absent, `EngineFault` if
    the file is not Kokoro's graph.
    """

    def __init__(self, model: Path, threads: int, lanes: int) -> None:
        alone = dict.fromkeys((TEXT, LOWER, UPPER), threads)
        helped = {**alone, WINDOWS: threads - lanes + 1}
        self._text, self._lower, self._upper, self._windows = _load_sessions(model, helped)
        self._shrink = _shrinking()
        self._tokens = _token_input(self._text, model)

    def read(self, ids: Sequence[int], style: Floats) -> VocoderRun:
        """Return the run of the tokens `ids` with a style [1, 256]."""
        feed = {
            self._tokens: np.array([[0, *ids, 0]], np.int64),  # 0 pads both ends, as in training
            "style": np.asarray(style),
            "speed": np.ones(1, np.float32),
        }
        names = ["frames", "source", "gain", "bias", "durations"]
        frames, source, gain, bias, durations = self._text.run(names, feed, self._shrink)
        return VocoderRun(frames, source, gain, bias, durations.reshape(-1))

    def whole(self, run: VocoderRun) -> tuple[Samples, Measures]:
        """Return the audio of `run` and its measures."""
        return self.second_half(run, self.first_half(run))

    def first_half(self, run: VocoderRun) -> Half:
        """Do the first half of the work for the audio of `run`: two steps are shorter than one."""
        feed = {
            "frames": run.frames,
            "source": run.source,
            "gain": run.gain,
            "bias": run.bias,
        }
        joined, mean, power = self._lower.run(["joined", "mean", "power"], feed, self._shrink)
        return Half(joined, Measures(mean, power))

    def second_half(self, run: VocoderRun, half: Half) -> tuple[Samples, Measures]:
        """Return the audio of `run` and its measures, given its first half."""
        feed = {"joined": half.joined, "gain": run.gain, "bias": run.bias}
        audio, mean, power = self._upper.run(None, feed, self._shrink)
        first = half.measures
        measures = Measures(
            np.concatenate([first.mean, mean]), np.concatenate([first.power, power])
        )
        return np.asarray(audio, np.float32).reshape(-1), measures

    def window(self, run: VocoderRun, measures: Measures, start: int, stop: int) -> Samples:
        """Return the audio of the frames from `start` to `stop`, normalised by `measures`."""
        first, last = max(start - CONTEXT, 0), min(stop + CONTEXT, run.length)
        upper = max(start - UPPER_CONTEXT, first)
        scale = run.gain / np.sqrt(np.maximum(measures.power - measures.mean**2, 0) + _EPSILON)
        columns = slice(first * SOURCE_STEPS, last * SOURCE_STEPS + 1)
        feed = {
            "frames": np.ascontiguousarray(run.frames[:, :, first:last]),
            "source": np.ascontiguousarray(run.source[:, :, columns]),
            "scale": scale.astype(np.float32),
            "shift": (run.bias - measures.mean * scale).astype(np.float32),
            "start": np.array([upper - first], np.int64),
            "stop": np.array([min(stop + UPPER_CONTEXT, last) - first], np.int64),
        }
        (audio,) = self._windows.run(None, feed)
        samples = np.asarray(audio, np.float32).reshape(-1)
        begin = (start - upper) * FRAME_SAMPLES
        return samples[begin : begin + (stop - start) * FRAME_SAMPLES]


def _load_sessions(model: Path, threads: Mapping[str, int]) -> "list[InferenceSession]":
    disable_telemetry()
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as faults  # type: ignore[import-untyped]  # no types
    except ImportError as missing:
        problem = "the Kokoro voice needs the 'onnxruntime' package: pip install 'vivavoce[kokoro]'"
        raise MissingDependency(problem) from missing
    if not model.is_file():
        raise MissingDependency(f"the Kokoro file {str(model)!r} is absent; {PULL}")
    parts = load_fast(model)
    if not set(threads) <= set(parts):
        raise EngineFault(f"the graph {str(model)!r} is not Kokoro's; {REMEDY}")
    kinds = (faults.Fail, faults.InvalidArgument, faults.InvalidGraph, faults.InvalidProtobuf)
    try:
        return [
            onnxruntime.InferenceSession(
                parts[name], _session_options(count), providers=["CPUExecutionProvider"]
            )
            for name, count in threads.items()
        ]
    except kinds as broken:
        raise EngineFault(f"onnxruntime cannot run {str(model)!r}; {REMEDY}") from broken


def _session_options(threads: int) -> "SessionOptions":
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # of use only if shapes repeat
    options.log_severity_level = 3
    # Idle threads must leave their cores to others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _shrinking() -> "RunOptions":
    """Return run options that free the memory of a run after it."""
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _token_input(session: "InferenceSession", path: Path) -> str:
    """Return the name of the tokens' input, in which exports differ."""
    names = [value.name for value in session.get_inputs()]
    tokens = [name for name in names if name in ("tokens", "input_ids")]
    if len(tokens) != 1 or set(names) != {tokens[0], "style", "speed"}:
        raise EngineFault(
            f"the graph {str(path)!r} takes {names!r}, which is not Kokoro's; {REMEDY}"
        )
    return str(tokens[0])


def interpolate(points: Mapping[float, Measures], silence: float) -> Measures:
    """Return the measures of a run with a share of `silence`, from those of other shares."""
    shares = sorted(points)
    after = min(max(int(np.searchsorted(shares, silence)), 1), len(shares) - 1)
    low, high = shares[after - 1], shares[after]
    weight = np.float32(min(max((silence - low) / (high - low), 0.0), 1.0))
    one, two = points[low], points[high]
    return Measures(
        one.mean + weight * (two.mean - one.mean), one.power + weight * (two.power - one.power)
    )
