"""Read English: write a text in words, with letters and punctuation only.

Rules are applied in order, each to the whole text: codes first, plain numbers last.
"""

import re

from vivavoce.text.numbers.english.abbreviations import ABBREVIATIONS
from vivavoce.text.numbers.english.amounts import AMOUNTS
from vivavoce.text.numbers.english.codes import CODES
from vivavoce.text.numbers.english.dates import DATES
from vivavoce.text.numbers.english.letters import LETTERS
from vivavoce.text.numbers.english.rules import apply
from vivavoce.text.numbers.english.sequences import NAMED_NUMBERS, PLAIN_NUMBERS
from vivavoce.text.numbers.english.symbols import SYMBOLS, plain_character
from vivavoce.text.tracked import Tracked

_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")  # a word cut at the end of its line
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_NUMERIC = re.compile(r"[\d²³]")


def read_english(text: Tracked) -> Tracked:
    """Return `text` as it is spoken. A second call changes nothing."""
    text = text.sub(_FOREIGN, lambda m: plain_character(m[0]))
    text = _mark_inches(text.sub(_HYPHENATED, lambda m: ""))
    text = apply(ABBREVIATIONS, apply(CODES, text))
    if _NUMERIC.search(text.text):
        for rules in (NAMED_NUMBERS, DATES, AMOUNTS):
            text = apply(rules, text)
        text = apply(PLAIN_NUMBERS, text)
    return apply(SYMBOLS, apply(LETTERS, text)).strip()


_QUOTES = re.compile(r"[\"'‘’“”]")


def _mark_inches(text: Tracked) -> Tracked:
    """Return `text` with ″ and ′ for quotes that are measures: after a digit, and none is open."""
    opened = {"'": False, '"': False}

    def read(match: re.Match[str]) -> str:
        mark = "'" if match[0] in "'‘’" else '"'
        last, after = (
            match.string[match.start() - 1 : match.start()],
            match.string[match.end() : match.end() + 1],
        )
        if last.isdigit() and (after.isdigit() or not (opened[mark] or after.isalpha())):
            return "′" if mark == "'" else "″"
        if mark == '"' or not (last.isalnum() and after.isalnum()):
            opened[mark] = (
                not last.isalnum() and after.isalpha() if mark == "'" else not opened[mark]
            )
        return match[0]

    return text.sub(_QUOTES, read) if _QUOTES.search(text.text) else text
