"""Order the steps that read Spanish, French, Italian and Portuguese, most specific first."""

import re
import unicodedata
from collections.abc import Callable

from vivavoce.text.numbers.romance.amounts import (
    read_measures,
    read_money,
    read_numbers,
    read_ranges,
)
from vivavoce.text.numbers.romance.dates import read_dates, read_days, read_times
from vivavoce.text.numbers.romance.identifiers import read_identifiers
from vivavoce.text.numbers.romance.language import RomanceLanguage, language
from vivavoce.text.numbers.romance.letters import read_capitals, read_initials
from vivavoce.text.numbers.romance.ordinals import read_ordinals, read_romans
from vivavoce.text.numbers.romance.symbols import (
    read_abbreviations,
    read_addresses,
    read_symbols,
    tidy,
)
from vivavoce.text.tracked import Tracked

Step = Callable[[Tracked, RomanceLanguage], Tracked]

_VULGAR = re.compile(r"(\d ?)?([¼-¾⅐-⅞↉])")
_CUT_YEAR = re.compile(r"(?<!\w)['’](?=\d\d(?!\d))")
_WORDS: tuple[Step, ...] = (read_addresses, read_days, read_abbreviations)
_DIGITS: tuple[Step, ...] = (
    read_dates,
    read_identifiers,
    read_ranges,
    read_times,
    read_ordinals,
    read_money,
    read_measures,
)


def read_romance(text: Tracked, code: str) -> Tracked:
    """Return `text` in the language `code` (es, fr, it, pt) with digits and symbols in words."""
    lang = language(code)
    text = _plain(text)
    for step in _WORDS:
        text = step(text, lang)
    if re.search(r"\d", text.text):
        for step in _DIGITS:
            text = step(text, lang)
    text = read_romans(text, lang)
    text = read_numbers(text, lang)
    return tidy(read_capitals(read_symbols(read_initials(text, lang), lang), lang))


def _plain(text: Tracked) -> Tracked:
    """Return `text` with digits, fractions and raised letters in ASCII. ² and ³ stay."""
    text = text.sub(_CUT_YEAR, "")
    if text.text.isascii():
        return text
    text = text.sub(_VULGAR, lambda m: f"{m[1].strip()} {_form(m[2])}" if m[1] else _form(m[2]))
    return text.map(_character)


def _form(char: str) -> str:
    return unicodedata.normalize("NFKC", char).replace("\u2044", "/")


def _character(char: str) -> str:
    if char.isascii() or char in "²³":
        return char
    if char.isdigit():
        return str(unicodedata.digit(char))
    if char in "−\u2044":
        return "-" if char == "−" else "/"
    if char in "ºª":
        return char
    kind = unicodedata.category(char)
    if kind == "Lm" or kind in ("No", "Nl"):
        form = _form(char)
        value = unicodedata.numeric(char, None)
        return format(value, "g") if form == char and value is not None else form
    return char
