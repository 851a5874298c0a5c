"""Read the mouth's shapes off spelling: which words a text has, and which visemes each passes
through.

Knows letters, not phonemes: a rough reading in the manner of English, with other scripts written in
Latin letters first. It is meant for moving lips, and knows nothing of time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from anyascii import anyascii

Viseme = Literal[
    "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou"
]
VISEMES: tuple[Viseme, ...] = get_args(Viseme)
VOWELS: frozenset[Viseme] = frozenset(("aa", "E", "ih", "oh", "ou"))

# Relative durations; a consonant is 1.
VOWEL: Final = 1.6
PAUSES: Final = {"none": 0.0, "short": 2.0, "long": 4.0}

_LETTERS: Final = (
    "a aa;b PP;c kk;d DD;e E;f FF;g kk;h;i ih;j CH;k kk;l nn;m PP;n nn;o oh;p PP;q kk;r RR;s SS;"
    "t DD;u ou;v FF;w ou;x kk SS;y ih;z SS;sh CH;ch CH;zh CH;ce SS E;ci SS ih;cy SS ih;ph FF;"
    "qu kk ou;ai aa ih;au aa ou"
)
_ENGLISH: Final = (
    "th TH;tch CH;ck kk;ng nn;wh ou;wr RR;kn nn;gh;igh aa ih;ee ih;ea ih;ie ih;oo ou;ou aa ou;"
    "ow oh ou;oa oh ou;ai E ih;ay E ih;au oh;aw oh;er RR;ir RR;ur RR;oy oh ih;oi oh ih;"
    "tion CH nn;sion CH nn;ge CH;dge CH"
)
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# A character of a script without spaces is a word of its own; elsewhere letters, digits and
# apostrophes make words.
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_WIDE}]ー?|(?:(?![{_WIDE}_])\w)+(?:['’-](?:(?![{_WIDE}_])\w)+)*")
_LONG_PAUSE = re.compile(r"[.!?…。！？]")
_SHORT_PAUSE = re.compile(r"[,;:—–、，；：]")


def _table(*rules: str) -> Mapping[str, tuple[Viseme, ...]]:
    """Return the visemes by spelling. A later rule overrides an earlier one."""
    known: dict[str, Viseme] = {viseme: viseme for viseme in VISEMES}
    parts = (rule.split() for rule in ";".join(rules).split(";"))
    return {spelling: tuple(known[shape] for shape in shapes) for spelling, *shapes in parts}


_OTHERS = _table(_LETTERS)
_IN_ENGLISH = _table(_LETTERS, _ENGLISH)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it is written, its visemes, and the pause of its punctuation."""

    text: str
    visemes: tuple[Viseme, ...]
    pause: Literal["none", "short", "long"]


def words(text: str, language: str) -> list[Word]:
    """Return the words of `text` that have a sound, in order. `language` is ISO 639-1."""
    found = list(_WORD.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    read = [
        Word(match[0], spelled(match[0], language), pause(text[match.end() : end]))
        for match, end in zip(found, ends, strict=True)
    ]
    return [word for word in read if word.visemes]


def spelled(word: str, language: str) -> tuple[Viseme, ...]:
    """Return the visemes of one word, none twice in a row."""
    table = _IN_ENGLISH if language == "en" else _OTHERS
    letters = re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], anyascii(word)).lower()
    if language in ("en", "fr"):
        letters = re.sub(r"(?<=[aeiouy][^aeiouy])e$", "", letters)  # the silent one of "note"
    shapes: list[Viseme] = []
    at = 0
    while at < len(letters):
        size = next((size for size in (4, 3, 2, 1) if letters[at : at + size] in table), 0)
        shapes += [
            shape for shape in table.get(letters[at : at + size], ()) if shape not in shapes[-1:]
        ]
        at += size or 1
    return tuple(shapes)


def weight(viseme: Viseme) -> float:
    """Return the relative duration of a viseme."""
    return VOWEL if viseme in VOWELS else 1.0


def pause(between: str) -> Literal["none", "short", "long"]:
    """Return the pause that the punctuation between two words asks for."""
    if _LONG_PAUSE.search(between):
        return "long"
    return "short" if _SHORT_PAUSE.search(between) else "none"
