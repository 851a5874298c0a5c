"""Read a text aloud in words: numbers, dates, units, symbols and short forms of seven languages.

Runs after `normalize` (plain text) and before `split` (sentences). Knows no sounds.
"""

import re
import unicodedata
from collections.abc import Callable

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.text.numbers.digits import separate
from vivavoce.text.numbers.english import read_english
from vivavoce.text.tracked import Tracked

_WORDS = re.compile(
    r"(?:[^\W\d_]|[\u0300-\u036f\s.,;:!?…'’‘\"“”«»„()¿¡、。！？；：，・「」『』（）—–-])*+"
)
LANGUAGES = ("en", "es", "fr", "it", "pt", "ja", "zh")


def read(text: Tracked, language: str) -> Tracked:
    """Return `text` as it is spoken in `language`, one of `LANGUAGES`.

    A second call changes nothing. Raises `Unsupported` for another language, `MissingDependency`
    without the packages of numerals.
    """
    if language not in LANGUAGES:
        raise Unsupported(
            f"numbers cannot be spoken in language {language!r}; "
            f"choose one of {', '.join(LANGUAGES)}",
            field="language",
        )
    if language == "en":
        return read_english(text)
    try:
        return _reader(language)(separate(text, decimal_comma=language not in ("ja", "zh")))
    except ImportError as missing:
        raise MissingDependency(
            f"numbers in language {language!r} need the package {missing.name!r}: "
            "pip install 'vivavoce[kokoro]'"
        ) from missing


def _reader(language: str) -> Callable[[Tracked], Tracked]:
    if language in ("ja", "zh"):
        from vivavoce.text.numbers.cjk import read_chinese, read_japanese

        return read_japanese if language == "ja" else read_chinese
    from vivavoce.text.numbers.romance import read_romance

    return lambda text: read_romance(text, language)


def verbalize(text: str, language: str) -> str:
    """Return plain `text` as it is spoken in `language`, with single letters by their names."""
    return _with_letter_names(read(Tracked.of(text), language), language)


def in_words(text: str, language: str) -> str:
    """Return `text` for a model: text that is all words stays, but for single letters.

    The server reads texts before it asks a model. Others may not have.
    """
    if _WORDS.fullmatch(text) and not any(unicodedata.category(c) in ("No", "Nl") for c in text):
        return _with_letter_names(Tracked.of(text), language)
    return verbalize(text, language)


def _with_letter_names(text: Tracked, language: str) -> str:
    if language in ("es", "fr", "it", "pt"):
        from vivavoce.text.numbers.romance import name_letters

        text = name_letters(text, language)
    return text.text
