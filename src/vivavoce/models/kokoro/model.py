"""Speak seven languages with Kokoro-82M on onnxruntime, on any CPU.

- A segment is converted to phonemes, which are cut into runs that the network can take.
- Each step speaks one run.
- `g2p` converts text to phonemes. `graph` makes the network fast.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vivavoce.errors import EngineFault, MissingDependency, Unsupported, VivavoceError
from vivavoce.models.hardware import available_cores
from vivavoce.models.kokoro.assets import MODEL, VOCABULARY, VOICES
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.graph import load_fast
from vivavoce.models.kokoro.voices import ALIASES, DEFAULT_VOICES, STYLES, style_of, voices
from vivavoce.models.onnx import disable_telemetry
from vivavoce.serving.base import Model, unreadable
from vivavoce.types import Capabilities, EngineInfo, Samples, Segment, StopReason

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions  # type: ignore[import-untyped]  # it ships no types

Styles: TypeAlias = NDArray[np.float32]  # [510, 1, 256]: row n - 1 is for a run of n tokens

RATE_HZ = 24_000
STYLE_ROWS, STYLE_SIZE = 510, 256
# The network takes 510 tokens. Half of that is about 15 s of speech and needs 300 MB during a step.
# With longer runs the network speaks too fast.
RUN_TOKENS = 250
MAX_LANES = 4  # each lane needs its own memory; further cores help inside a run
BREAKS = (".!?…", ";:,—", " ")  # breaks at which a run may end, the best first

# Kept after the last sound: a final consonant fades below the threshold before it ends.
TAIL_S = 0.12
HEAD_S = 0.05  # kept before the first sound
PEAK = 0.98
SILENCE = 10 ** (-52 / 20)  # amplitude

_PULL = "run: vivavoce models pull kokoro"
_REMEDY = f"remove its folder and {_PULL}"


@dataclass(eq=False, slots=True)
class _KokoroStream:
    runs: Iterator[list[int]]  # token ids
    styles: Styles


class KokoroModel(Model[_KokoroStream]):
    """Kokoro-82M, which speaks one run of one stream a step.

    Up to `lanes` concurrent steps share the weights. `folder` holds `model.onnx`, `vocab.json` and
    `voices/`. `threads` is the number of CPU threads, None for the available cores. Raises
    `MissingDependency` for absent files or packages, `EngineFault` for broken files.
    """

    max_batch = 1

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        threads = threads or available_cores()
        self.lanes = min(threads, MAX_LANES)
        self._vocabulary = _read_vocabulary(folder / VOCABULARY)
        self._styles = _read_styles(folder / VOICES)
        # Each lane has its own thread. The session's pool adds the remaining cores.
        self._session = _load_session(folder / MODEL, threads - self.lanes + 1)
        self._options = _run_options()
        self._inputs = _input_names(self._session, folder / MODEL)
        self._phonemizer, self._british = Phonemizer(), Phonemizer(british=True)
        self.info = _info(self._phonemizer.languages)
        if "en" in self.info.languages:
            self._phonemizer.phonemize("Warm up.", "en")  # loads the lexicon

    def open(self, segment: Segment) -> _KokoroStream:
        style = style_of(segment.voice)
        phonemizer = self._british if style.startswith("b") else self._phonemizer
        try:
            phonemes = phonemizer.phonemize(segment.text, segment.language, segment.phonemes)
        except (VivavoceError, MemoryError):
            raise
        # The packages do not document their exceptions. The cause is the text.
        except Exception as error:
            raise unreadable("kokoro", segment.text) from error
        spoken = (r for r in split_phonemes(phonemes, RUN_TOKENS) if any(map(str.isalpha, r)))
        # Without symbols that have no sound of their own.
        known = self._vocabulary
        runs = [[known[symbol] for symbol in run if symbol in known] for run in spoken]
        if not runs:
            raise Unsupported(
                f"'kokoro' found nothing to say in {segment.text!r} as language "
                f"{segment.language!r}; choose the language that the text is written in",
                field="text",
            )
        return _KokoroStream(iter(runs), self._styles[style])

    def step(
        self, streams: Sequence[_KokoroStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        return [self._speak(stream) for stream in streams]

    def _speak(self, stream: _KokoroStream) -> Samples | StopReason:
        ids = next(stream.runs, None)
        if ids is None:
            return StopReason.COMPLETE
        tokens, style, speed = self._inputs
        feed = {
            tokens: np.array([[0, *ids, 0]], np.int64),  # 0 pads both ends, as in training
            style: stream.styles[len(ids) - 1],
            speed: np.ones(1, np.float32),
        }
        (audio,) = self._session.run(None, feed, self._options)
        return limit_peak(trim(np.asarray(audio, np.float32).reshape(-1)))


def split_phonemes(phonemes: str, limit: int) -> Iterator[str]:
    """Yield `phonemes` in runs of at most `limit` symbols.

    A run ends at the end of a sentence, else at the end of a clause, else at a space.
    """
    rest = phonemes.strip()
    while len(rest) > limit:
        cut = _cut(rest[:limit])
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest


def _cut(window: str) -> int:
    """Return the next run's length: to the last of the best breaks beyond a third, else all."""
    for marks in BREAKS:
        at = max(window.rfind(mark) for mark in marks)
        if at >= len(window) // 3:
            return at + 1
    return len(window)


def trim(audio: Samples) -> Samples:
    """Return `audio` without leading and trailing silence, but with the last sound's fading."""
    loud = np.flatnonzero(~(np.abs(audio) < SILENCE))  # NaN counts as sound, so that it is noticed
    if not loud.size:
        return audio[:0]
    start = max(0, int(loud[0]) - int(HEAD_S * RATE_HZ))
    return audio[start : int(loud[-1]) + 1 + int(TAIL_S * RATE_HZ)]


def limit_peak(audio: Samples) -> Samples:
    """Return `audio`, scaled down if it exceeds full scale: clipped peaks crackle."""
    peak = float(np.abs(audio).max(initial=0.0))
    return audio * np.float32(PEAK / peak) if peak > PEAK else audio  # NaN stays


def _info(readable: Sequence[str]) -> EngineInfo:
    languages = tuple(language for language in DEFAULT_VOICES if language in readable)
    return EngineInfo(
        name="kokoro",
        sample_rate_hz=RATE_HZ,
        languages=languages,
        voices=voices(),
        capabilities=Capabilities(deterministic=True, phonemes=True),
        aliases=ALIASES,
        default_voices={language: DEFAULT_VOICES[language] for language in languages},
        max_segment_chars=200,
        description="Natural voices in seven languages on one CPU core, faster than real time.",
        licence="Apache-2.0",
        reads="words",
    )


def _load_session(path: Path, threads: int) -> "InferenceSession":
    """Load the graph at `path`.

    Raises `MissingDependency` if onnxruntime or the file is absent, `EngineFault` if the file is
    not a complete graph.
    """
    disable_telemetry()
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as faults  # type: ignore[import-untyped]  # no types
    except ImportError as missing:
        problem = "the Kokoro voice needs the 'onnxruntime' package: pip install 'vivavoce[kokoro]'"
        raise MissingDependency(problem) from missing
    _require(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # of use only if shapes repeat
    options.log_severity_level = 3
    # Idle threads must leave their cores to others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = load_fast(path)
    kinds = (faults.Fail, faults.InvalidArgument, faults.InvalidGraph, faults.InvalidProtobuf)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except kinds as broken:
        raise EngineFault(f"onnxruntime cannot run {str(path)!r}; {_REMEDY}") from broken


def _run_options() -> "RunOptions":
    """Return run options that free the memory of a run after it."""
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _input_names(session: "InferenceSession", path: Path) -> tuple[str, str, str]:
    """Return the input names of tokens, style and speed. Exports differ in the first."""
    names = [value.name for value in session.get_inputs()]
    tokens = [name for name in names if name in ("tokens", "input_ids")]
    if len(tokens) != 1 or set(names) != {tokens[0], "style", "speed"}:
        problem = f"the graph {str(path)!r} takes {names!r}, which is not Kokoro's; {_REMEDY}"
        raise EngineFault(problem)
    return tokens[0], "style", "speed"


def _require(path: Path) -> None:
    if not path.is_file():
        raise MissingDependency(f"the Kokoro file {str(path)!r} is absent; {_PULL}")


def _read_vocabulary(path: Path) -> Mapping[str, int]:
    _require(path)
    try:
        vocabulary = json.loads(path.read_text("utf-8"))["vocab"]
        return {str(symbol): int(number) for symbol, number in vocabulary.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        problem = f"the Kokoro file {str(path)!r} is not a vocabulary; {_REMEDY}"
        raise EngineFault(problem) from broken


def _read_styles(folder: Path) -> Mapping[str, Styles]:
    """Return the styles by name, mapped from their files. Only the rows in use take memory."""
    styles: dict[str, Styles] = {}
    for name in STYLES:
        path = folder / f"{name}.bin"
        _require(path)
        if path.stat().st_size != STYLE_ROWS * STYLE_SIZE * 4:
            raise EngineFault(f"the Kokoro voice {str(path)!r} is not whole; {_REMEDY}")
        styles[name] = np.memmap(path, np.float32, "r", shape=(STYLE_ROWS, 1, STYLE_SIZE))
    return styles
