"""Read English: write a text in words, with letters and punctuation only.

Rules are applied in order, each to the whole text: codes first, plain numbers last.
"""

import re
import unicodedata

from vivavoce.text.numbers.english.abbreviations import ABBREVIATIONS
from vivavoce.text.numbers.english.amounts import AMOUNTS
from vivavoce.text.numbers.english.codes import CODES
from vivavoce.text.numbers.english.dates import DATES
from vivavoce.text.numbers.english.letters import LETTERS
from vivavoce.text.numbers.english.rules import apply
from vivavoce.text.numbers.english.sequences import NAMED_NUMBERS, PLAIN_NUMBERS
from vivavoce.text.numbers.english.symbols import SYMBOLS, mark_inches, plain_character
from vivavoce.text.tracked import Tracked

_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")  # a word cut at the end of its line
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_THOUSANDS = re.compile(r"(?<![\d.,+])\d{1,3}(?:[\u00a0\u202f\u2009]\d{3})++(?!\d)")
_NOT_DIGIT = re.compile(r"\D")
_POWERS = re.compile("[⁰¹⁴-⁹⁻²³]{2,}|[⁰¹⁴-⁹]")  # but for ² and ³ alone, which units have
_SPACED_PART = re.compile(r"(?<=\d) (?=[¼-¾⅐-⅞])")  # 1 ½
_BASE = re.compile("(?<=[₀-₉])(?=\\d)")  # log₂8
_CHARGE = re.compile("(?<=[A-Za-z\\d])([²³⁴]?)([⁺⁻])(?![⁰¹²³⁴-⁹])")
_NUMERIC = re.compile(r"[\d²³]")


def _charge(match: re.Match[str]) -> str:
    """Return the signs of "Ca²⁺" in words."""
    count = f" {unicodedata.digit(match[1])}" if match[1] else ""
    return f"{count} {'plus' if match[2] == '⁺' else 'minus'}"


def read_english(text: Tracked) -> Tracked:
    """Return `text` as it is spoken. A second call changes nothing."""
    text = text.sub(_THOUSANDS, lambda m: _NOT_DIGIT.sub("", m[0]))
    text = text.sub(_CHARGE, _charge).sub(_BASE, " ")
    text = text.sub(_POWERS, lambda m: f"^{unicodedata.normalize('NFKC', m[0])}")
    text = text.sub(_SPACED_PART, "")
    text = text.sub(_FOREIGN, lambda m: plain_character(m[0]))
    text = mark_inches(text.sub(_HYPHENATED, lambda m: ""))
    text = apply(ABBREVIATIONS, apply(CODES, text))
    if _NUMERIC.search(text.text):
        for rules in (NAMED_NUMBERS, DATES, AMOUNTS, PLAIN_NUMBERS):
            text = apply(rules, text)
    return apply(SYMBOLS, apply(LETTERS, text)).strip()
