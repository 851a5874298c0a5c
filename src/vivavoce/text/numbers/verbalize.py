"""Read a text aloud in words: numbers, dates, units, symbols and short forms of seven languages.

Runs after `normalize` (plain text) and before `split` (sentences). Knows no sounds.
"""

from collections.abc import Callable

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.text.numbers.digits import separate
from vivavoce.text.numbers.english import read_english
from vivavoce.text.tracked import Tracked

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
    spoken = read(Tracked.of(text), language)
    if language in ("es", "fr", "it", "pt"):
        from vivavoce.text.numbers.romance import name_letters

        spoken = name_letters(spoken, language)
    return spoken.text
