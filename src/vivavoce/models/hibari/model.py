"""Speak English with `hibari-tts`, a small network whose package contains its weights.

- Only the bundled voice is offered. The package's other voices are on a model hub.
- For text that it cannot read the package returns silence. Here this is an error.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

import numpy as np
from anyascii import anyascii

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.models.hardware import available_cores
from vivavoce.models.hibari.network import Network
from vivavoce.models.hibari.sound import RATE_HZ, Draw, even_noise, synthesize
from vivavoce.models.kokoro.g2p.hibari_words import Read, load_reader
from vivavoce.models.kokoro.g2p.ipa import SOUNDS, marked, pieces, to_symbols, with_commands
from vivavoce.models.kokoro.g2p.runs import break_runs
from vivavoce.models.kokoro.g2p.spans import Span, place
from vivavoce.models.kokoro.times import fade_cut, phones
from vivavoce.models.onnx import disable_telemetry
from vivavoce.serving.base import Model, unreadable
from vivavoce.text.numbers.verbalize import in_words
from vivavoce.types import AudioChunk, Capabilities, EngineInfo, Segment, StopReason, Voice

VOICE = "heart"
MAX_LANES = 4  # beyond that the event loop is what a server waits for
MAX_PHONEMES = 400  # of an utterance, some 25 s: memory and the wait for audio grow with it
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
    "marin", "cedar",
)  # fmt: skip

INFO = EngineInfo(
    name="hibari",
    sample_rate_hz=RATE_HZ,
    languages=("en",),
    voices=(Voice(VOICE, "Heart", ("en",), "female", description="American English"),),
    capabilities=Capabilities(seed=True, deterministic=True, phonemes=True, timed=True),
    aliases=dict.fromkeys((*OPENAI_VOICES, "default"), VOICE),
    description="Tiny English voice, dozens of times faster than real time on one CPU core.",
    licence="Apache-2.0",
    reads="words",
)


@dataclass(frozen=True, slots=True)
class _Utterance:
    phonemes: str  # in the alphabet of the network
    spans: Sequence[Span]  # of the word of each phoneme; any span for a space


@dataclass(eq=False, slots=True)
class _HibariStream:
    utterances: Iterator[_Utterance]
    noise: Draw
    given_s: float = 0.0  # audio


class HibariModel(Model[_HibariStream]):
    """The English model, which speaks one utterance of a stream a step, each lane in one thread."""

    info = INFO
    max_batch = 1
    lanes = 1  # or more, once it is loaded

    def __init__(self) -> None:
        disable_telemetry()
        try:
            from hibari import Hibari
        except ImportError as error:
            problem = "the 'hibari' voice needs its package: pip install hibari-tts"
            raise MissingDependency(problem) from error
        self.lanes = min(available_cores(), MAX_LANES)
        self._reader = load_reader()
        # Of the lane's thread: the package calls back with each sentence.
        self._pieces: ContextVar[list[Read]] = ContextVar("pieces")
        self._tts = Hibari(voice=VOICE, threads=1, g2p=self._read_sentence)
        self._tts.sess = None  # has other outputs
        self._network = Network(self._tts.model_path)
        self._pieces.set([])
        self._tts.phonemize("Warm up.")  # loads the lexicons

    def open(self, segment: Segment) -> _HibariStream:
        utterances = [one for one in self._read(segment) if any(map(str.isalpha, one.phonemes))]
        if not utterances:
            problem = f"'hibari' speaks English and found nothing to say in {segment.text!r}"
            message = f"{problem}; choose a model that speaks the language of the text"
            raise Unsupported(message, field="text")
        generator = np.random.default_rng(segment.seed or 0)
        return _HibariStream(iter(utterances), partial(even_noise, generator))

    def step(
        self, streams: Sequence[_HibariStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[AudioChunk | StopReason]:
        return [self._speak(stream) for stream in streams]

    def _read(self, segment: Segment) -> Iterator[_Utterance]:
        """Yield the utterances of a segment, at least one for each sentence.

        Raises `Unsupported` where the package fails.
        """
        text, sounds = marked(
            segment.text, segment.phonemes, lambda part: in_words(latin(part), "en")
        )
        symbols = [to_symbols(ipa, "en") for ipa in sounds]
        text = with_commands(break_runs(text), symbols)
        read_pieces: list[Read] = []
        self._pieces.set(read_pieces)
        try:
            read: Sequence[str] = self._tts.phonemize(text)
        except MemoryError:
            raise
        except Exception as error:  # the package documents none; the cause is the text
            raise unreadable("hibari", segment.text) from error
        given = [part for part, ipa in pieces(segment.text, segment.phonemes) if ipa]
        said = iter([part for part, sound in zip(given, symbols, strict=True) if sound])
        words = [
            word.replace(SOUNDS, next(said)) if SOUNDS in word else word for word, _ in read_pieces
        ]
        spans = place(words, segment.text, "en")
        # Sentences are divided at spaces only, so all other symbols come in the order of the text.
        owners = (
            span
            for span, (_, phonemes) in zip(spans, read_pieces, strict=True)
            for symbol in phonemes
            if not symbol.isspace()
        )
        vocabulary = self._tts.vocab
        for utterance in (one for part in read for one in textwrap.wrap(part, MAX_PHONEMES)):
            placed = [(c, (0, 0) if c.isspace() else next(owners)) for c in utterance]
            known = [(symbol, span) for symbol, span in placed if symbol in vocabulary]
            yield _Utterance("".join(c for c, _ in known), [span for _, span in known])

    def _read_sentence(self, text: str) -> str:
        """Return the phonemes of a sentence, and keep its pieces."""
        read = self._reader(text)
        self._pieces.get().extend(read)
        return "".join(phonemes for _, phonemes in read).strip()

    def _speak(self, stream: _HibariStream) -> AudioChunk | StopReason:
        utterance = next(stream.utterances, None)
        if utterance is None:
            return StopReason.COMPLETE
        ids = self._tts.ids(utterance.phonemes)
        spectra, pitch_hz, durations = self._network.run(ids)
        samples = synthesize(spectra, pitch_hz, stream.noise)
        found = phones(utterance.phonemes, utterance.spans, durations, stream.given_s)
        found = fade_cut(found, samples, RATE_HZ, stream.given_s)
        stream.given_s += len(samples) / RATE_HZ
        return AudioChunk(samples, tuple(found))


def latin(text: str) -> str:
    """Return `text` with foreign letters in Latin script, as they would be skipped."""
    return "".join(anyascii(c) if _is_foreign(c) else c for c in text)


def _is_foreign(c: str) -> bool:
    return c.isalpha() and not c.isascii() and not unicodedata.name(c, "").startswith("LATIN")
