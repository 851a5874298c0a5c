"""Time texts that are made to be slow.

They are runs of every token and of pairs of tokens, with letters around.

Each text is normalised, its language is detected, its first 200 segments are read in one of seven
languages in turn, and the first three converted to phonemes. No speech is generated.

Run it as `python -m benchmarks.fuzz_text --count 2000`.
"""

import argparse
import gc
import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table

from vivavoce.errors import VivavoceError
from vivavoce.models.hibari import HibariModel
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.synthesis.routing import SAMPLE_CHARS
from vivavoce.text.language.detect import detect
from vivavoce.text.numbers.verbalize import LANGUAGES as READ
from vivavoce.text.pipeline import SpokenSegment, Voicing, parsed, prepared, spoken
from vivavoce.types import Segment

T = TypeVar("T")
TEXT_CHARS: Final = 100_000
TARGET_S: Final = 0.5  # of processor time for each step of a text
SEGMENTS: Final = 200  # of each text that are read, in one language
PIECES: Final = 3  # of these that are converted to phonemes
LANGUAGES: Final = ("en", "es", "fr", "it", "pt", "de", "zh", "ja", "ko", "ru")
LETTERS: Final = ("a", "a ", "A. ", "7", "中", "é")
TOKENS = (
    "😀", "http://", "https://a@", "mailto:", "www.", "www.a.", "a.b/", "a@", "a@b.", "<",
    "<a ", "<b>", "<!--", "&", "&amp;", "&#9", "*", "**", "*a", "_", "_a", "[", "]", "[a](",
    "![a](b", "[a][", "`", "~", "#", "# ", "> ", "|", "| ", "|-", "-", "- ", "--", "—", "\\",
    "/", "a/", ".", ". ", "a.", "...", "!", "?", ",", "a,", ":", ";", "'", "a'", '"', "(",
    ")", "1", "12 ", "1,", "1,000", ",000", "1.", "1.1", "1. ", "1-", "1 - ", "1:", "1/",
    "1 1/2 ", "½", "²", "$1", "R$", "€", "%", "1 000", "000 ", "1\u00a0", "+1", "+1 ", "A.",
    "A", "IV", " IV", "a", "Aa", "a ", "ab ", "é", "e\u0301", "\u0301", "\u0316\u0301", "ñ",
    "s ", "中", "一", "の", "カー", "。", "、", "「", "」と", "한", "я", "т.", " ", "\n", "\n\n",
    "\n \n", "\t", "\u00a0", "\ue000", "\ue000 ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timing:
    """CPU time of one step of one text."""

    step: str
    text: str  # how it is made
    cpu_s: float


def texts(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Yield `count` texts, each with its description. A seed always gives the same texts.

    The runs of every token come first, then those of pairs of tokens.
    """
    draw = random.Random(seed)
    singles = [(token,) for token in TOKENS]
    pairs = list(itertools.permutations(TOKENS, 2))
    draw.shuffle(pairs)
    for tokens in itertools.islice(itertools.chain(singles, pairs), count):
        unit, around = "".join(tokens), draw.choice(LETTERS)
        text = around + unit * ((TEXT_CHARS - 2 * len(around)) // len(unit)) + around
        yield f"{around!r} + {unit!r} × {len(text) // len(unit):,} + {around!r}", text


class Reader:
    """The timed steps of a text before it is spoken."""

    def __init__(self) -> None:
        detect("Which language is this sentence written in?", LANGUAGES)
        self._hibari, self._kokoro = HibariModel(), Phonemizer()
        for language in self._kokoro.languages:
            list(self._said("1.", language))
            self._kokoro.phonemize("one.", language)  # loads what it needs
        gc.freeze()  # as a server does when it has started

    def time(self, name: str, text: str, language: str) -> Iterator[Timing]:
        """Yield the time of each step of `text`, which is read in `language`."""
        timings: list[Timing] = []

        def timed(step: str, work: Callable[[], T]) -> T | None:
            started_s = time.process_time()
            try:
                return work()
            except VivavoceError:  # an answer too
                return None
            finally:
                timings.append(Timing(step, name, time.process_time() - started_s))

        runs = timed("normalize", lambda: list(prepared(parsed(text, "auto")))) or []
        speakable = "".join(run.text.text for run in runs)
        timed("detect", lambda: detect(speakable[:SAMPLE_CHARS], LANGUAGES))
        segments = spoken(runs, self._voicing(language))
        for number in range(SEGMENTS):
            segment = timed(f"read ({language})", lambda: next(segments, None))
            if segment is None:
                break
            if number < PIECES:
                self._phonemize(segment.text, language, timed)
        yield from timings

    def _said(self, text: str, language: str) -> Iterator[SpokenSegment]:
        return spoken(prepared(parsed(text, "text")), self._voicing(language))

    def _voicing(self, language: str) -> Voicing:
        return Voicing(language, (language,), in_words=True, takes_phonemes=True, max_chars=250)

    def _phonemize(self, text: str, language: str, timed: Callable[..., object]) -> None:
        if language == "en":
            timed("phonemes of hibari", lambda: self._hibari.open(Segment(text, "heart", "en")))
        timed(f"phonemes of kokoro ({language})", lambda: self._kokoro.phonemize(text, language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="how many texts")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--show", type=int, default=10, help="how many of the slowest are shown")
    asked = parser.parse_args()
    reader = Reader()
    slowest: list[Timing] = []  # all of them would be a heap whose collection is timed too
    steps = slow = 0
    made = texts(asked.count, asked.seed)
    for (name, text), language in zip(made, itertools.cycle(READ), strict=False):
        timings = list(reader.time(name, text, language))
        steps += len(timings)
        slow += sum(timing.cpu_s > TARGET_S for timing in timings)
        slowest = heapq.nlargest(asked.show, slowest + timings, key=attrgetter("cpu_s"))
    table = Table("step", "text", "CPU s")
    for timing in slowest:
        table.add_row(timing.step, timing.text, f"{timing.cpu_s:.3f}")
    console = Console()
    console.print(table)
    console.print(f"{asked.count:,} texts, {steps:,} steps, {slow} of them over {TARGET_S} s")


if __name__ == "__main__":
    main()
