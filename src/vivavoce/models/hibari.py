"""Speak English with `hibari-tts`, a small network whose package contains its weights.

- Only the bundled voice is offered. The package's other voices are on a model hub.
- For text that it cannot read the package returns silence. Here this is an error.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from anyascii import anyascii

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.models.kokoro.g2p.hibari_words import load_reader
from vivavoce.models.kokoro.g2p.ipa import marked, to_symbols, with_commands
from vivavoce.models.kokoro.g2p.runs import break_runs
from vivavoce.models.onnx import disable_telemetry
from vivavoce.serving.base import Model, unreadable
from vivavoce.text.numbers.verbalize import in_words
from vivavoce.types import Capabilities, EngineInfo, Samples, Segment, StopReason, Voice

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it ships no types

VOICE = "heart"
MAX_PHONEMES = 400  # of an utterance, some 25 s: memory and the wait for audio grow with it
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
    "marin", "cedar",
)  # fmt: skip

INFO = EngineInfo(
    name="hibari",
    sample_rate_hz=24_000,
    languages=("en",),
    voices=(Voice(VOICE, "Heart", ("en",), "female", description="American English"),),
    capabilities=Capabilities(seed=True, deterministic=True, phonemes=True),
    aliases=dict.fromkeys((*OPENAI_VOICES, "default"), VOICE),
    description="Tiny English voice, dozens of times faster than real time on one CPU core.",
    licence="Apache-2.0",
    reads="words",
)


@dataclass(eq=False, slots=True)
class _HibariStream:
    utterances: Iterator[str]  # phonemes, one string an utterance
    noise: np.random.Generator


class HibariModel(Model[_HibariStream]):
    """The English model, which speaks one utterance of one stream a step, on one thread."""

    info = INFO
    max_batch = 1
    lanes = 1

    def __init__(self) -> None:
        disable_telemetry()
        try:
            from hibari import Hibari
        except ImportError as error:
            problem = "the 'hibari' voice needs its package: pip install hibari-tts"
            raise MissingDependency(problem) from error
        self._tts = Hibari(voice=VOICE, threads=1, g2p=load_reader())
        self._tts.sess = _session(self._tts.model_path)
        self._tts.phonemize("Warm up.")  # loads the lexicons

    def open(self, segment: Segment) -> _HibariStream:
        read = self._read(segment)
        pieces = (one for phonemes in read for one in textwrap.wrap(phonemes, MAX_PHONEMES))
        utterances = [piece for piece in pieces if any(map(str.isalpha, piece))]
        if not utterances:
            problem = f"'hibari' speaks English and found nothing to say in {segment.text!r}"
            message = f"{problem}; choose a model that speaks the language of the text"
            raise Unsupported(message, field="text")
        return _HibariStream(iter(utterances), np.random.default_rng(segment.seed or 0))

    def step(
        self, streams: Sequence[_HibariStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        return [self._speak(stream) for stream in streams]

    def _read(self, segment: Segment) -> Sequence[str]:
        """Return the phonemes of a segment, a string for each sentence.

        Raises `Unsupported` where the package fails.
        """
        text, sounds = marked(
            segment.text, segment.phonemes, lambda part: in_words(latin(part), "en")
        )
        symbols = (to_symbols(ipa, "en") for ipa in sounds)
        text = with_commands(break_runs(text), symbols)
        try:
            read: Sequence[str] = self._tts.phonemize(text)
        except MemoryError:
            raise
        # The package does not document its exceptions. The cause is the text.
        except Exception as error:
            raise unreadable("hibari", segment.text) from error
        return read

    def _speak(self, stream: _HibariStream) -> Samples | StopReason:
        phonemes = next(stream.utterances, None)
        if phonemes is None:
            return StopReason.COMPLETE
        samples: Samples = self._tts.from_ids(self._tts.ids(phonemes), 1.0, stream.noise)
        return samples


def _session(path: str) -> "InferenceSession":
    """Load the network so that its memory is returned after each utterance, at the same speed."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])


def latin(text: str) -> str:
    """Return `text` with foreign letters in Latin script, as they would be skipped."""
    return "".join(anyascii(c) if _is_foreign(c) else c for c in text)


def _is_foreign(c: str) -> bool:
    return c.isalpha() and not c.isascii() and not unicodedata.name(c, "").startswith("LATIN")
