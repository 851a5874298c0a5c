"""The embedded English voice: `hibari-tts`, a small network whose weights travel in its own package.

Its package could fetch more voices from a model hub and says nothing for text it cannot read; this module
offers the bundled voice alone and turns unreadable text into an error.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from anyascii import anyascii

from vivavoce.engines.base import Stream, clones_nothing, unreadable
from vivavoce.engines.telemetry import keep_silent
from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.text.english import verbalize_english
from vivavoce.types import Capabilities, Ending, EngineInfo, PreparedVoice, Reference, Samples, Segment, Voice

VOICE = "heart"
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip

INFO = EngineInfo(
    name="hibari",
    sample_rate_hz=24_000,
    languages=("en",),
    voices=(Voice(VOICE, "Heart", ("en",), "female", description="American English"),),
    capabilities=Capabilities(seed=True, deterministic=True),
    aliases=dict.fromkeys((*OPENAI_VOICES, "default"), VOICE),
    description="Tiny English voice, dozens of times faster than real time on one CPU core.",
    licence="Apache-2.0",
)


@dataclass(eq=False, slots=True)
class _HibariStream:
    utterances: Iterator[str]  # phonemes, one string an utterance
    noise: np.random.Generator


class HibariModel:
    """Speaks one utterance of one stream a step, on one onnxruntime thread."""

    info = INFO
    max_batch = 1
    lanes = 1

    def __init__(self) -> None:
        keep_silent()
        try:
            from hibari import Hibari
        except ImportError as error:
            raise MissingDependency("the 'hibari' voice needs its package: pip install hibari-tts") from error
        self._tts = Hibari(voice=VOICE, threads=1)
        self._tts.phonemize("Warm up.")  # reads the lexicons, which are loaded on first use

    def open(self, segment: Segment) -> _HibariStream:
        utterances = [phonemes for phonemes in self._read(segment.text) if any(map(str.isalpha, phonemes))]
        if not utterances:
            raise Unsupported(
                f"'hibari' speaks English and found nothing to say in {segment.text!r}; "
                "choose a model that speaks the language of the text",
                field="text",
            )
        return _HibariStream(iter(utterances), np.random.default_rng(segment.seed or 0))

    def step(self, streams: Sequence[Stream], ahead_s: Sequence[float] = ()) -> Sequence[Samples | Ending]:
        return [self._speak(stream) for stream in streams if isinstance(stream, _HibariStream)]

    def close(self, stream: Stream) -> None:
        """Nothing to free."""

    def prepare(self, reference: Reference) -> PreparedVoice:
        raise clones_nothing(self.info)

    def unload(self) -> None:
        """Nothing to give back: its memory is too small to be managed."""

    def _read(self, text: str) -> Sequence[str]:
        """The phonemes of `text`, a string for each sentence. Raises `Unsupported` where the package fails."""
        try:
            read: Sequence[str] = self._tts.phonemize(verbalize_english(latin(text)))
        except MemoryError:
            raise
        except (
            Exception
        ) as error:  # of a package that says nothing of what it raises: it is the text that it trips over
            raise unreadable("hibari", text) from error
        return read

    def _speak(self, stream: _HibariStream) -> Samples | Ending:
        phonemes = next(stream.utterances, None)
        if phonemes is None:
            return Ending.COMPLETE
        samples: Samples = self._tts.from_ids(self._tts.ids(phonemes), 1.0, stream.noise)
        return samples


def latin(text: str) -> str:
    """`text` with the letters of other scripts written in Latin ones, so that a foreign name is said, not skipped."""
    return "".join(anyascii(c) if _is_foreign(c) else c for c in text)


def _is_foreign(c: str) -> bool:
    return c.isalpha() and not c.isascii() and not unicodedata.name(c, "").startswith("LATIN")
