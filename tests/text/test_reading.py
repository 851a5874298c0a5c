"""Texts are read as `reading/*.tsv` says, whatever their kind.

A line has a language, a model (`*`: any), a text, and the words to be said, with alternatives
between `|`. `*` inside the words stands for any words, `\\n` in a text for a line break. Compared
without case, punctuation and hyphens.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vivavoce.text.numbers.verbalize import read
from vivavoce.text.tracked import Tracked

CASES = sorted((Path(__file__).parent / "reading").glob("*.tsv"))
# Read otherwise, and known: text → why.
KNOWN_MISSES: dict[str, str] = {}


def cases() -> Iterator[tuple[str, str, str]]:
    """Yield the language, the text and the words of each line."""
    for path in CASES:
        for line in path.read_text("utf-8").splitlines():
            language, _, text, spoken = line.split("\t")
            yield language, text.replace("\\n", "\n"), spoken


def plain(spoken: str, language: str) -> str:
    """Return `spoken` without case, punctuation, hyphens, and spaces in Japanese and Chinese."""
    words = re.sub(r"['’]", "", spoken.casefold())
    words = " ".join(re.sub(r"[^\w*]", " ", words).split())
    return words.replace(" ", "") if language in ("ja", "zh") else words


def is_read(spoken: str, wanted: str, language: str) -> bool:
    """True if `spoken` is one of the alternatives in `wanted`."""
    return any(
        re.fullmatch(
            re.escape(plain(words, language)).replace(r"\*", ".*"), plain(spoken, language)
        )
        for words in wanted.split("|")
    )


@pytest.mark.parametrize(("language", "text", "wanted"), tuple(cases()))
def test_text_is_read(language: str, text: str, wanted: str) -> None:
    spoken = read(Tracked.of(text), language).text
    if text in KNOWN_MISSES:
        pytest.xfail(KNOWN_MISSES[text])
    assert is_read(spoken, wanted, language), spoken
