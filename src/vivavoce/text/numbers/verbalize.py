"""Read a text aloud in words: numbers, dates, units, symbols and short forms of seven languages.

Runs after `normalize` (plain text). Knows no sounds. English keeps the numbers that its front end
reads itself.
"""

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.text.numbers.digits import separate
from vivavoce.text.numbers.english import verbalize_english
from vivavoce.text.tracked import Tracked

LANGUAGES = ("en", "es", "fr", "it", "pt", "ja", "zh")


def read(text: Tracked, language: str) -> Tracked:
    """Return `text` as it is spoken in `language` (ISO 639-1). A second call changes nothing.

    Raises `Unsupported` for a language outside `LANGUAGES`, `MissingDependency` without the
    packages of numerals.
    """
    if language not in LANGUAGES:
        raise Unsupported(
            f"numbers cannot be spoken in language {language!r}; "
            f"choose one of {', '.join(LANGUAGES)}",
            field="language",
        )
    if language == "en":
        return Tracked.of(verbalize_english(text.text))
    try:
        return _in_words(separate(text, decimal_comma=language not in ("ja", "zh")), language)
    except ImportError as missing:
        raise MissingDependency(
            f"numbers in language {language!r} need the package {missing.name!r}: "
            "pip install 'vivavoce[kokoro]'"
        ) from missing


def _in_words(text: Tracked, language: str) -> Tracked:
    if language == "ja":
        from vivavoce.text.numbers.cjk import read_japanese

        return read_japanese(text)
    if language == "zh":
        from vivavoce.text.numbers.cjk import read_chinese

        return read_chinese(text)
    from vivavoce.text.numbers.romance import read_romance

    return read_romance(text, language)


def verbalize(text: str, language: str) -> str:
    """Return `text` as it is spoken in `language`, with letters by their names."""
    spoken = read(Tracked.of(text), language)
    if language in ("es", "fr", "it", "pt"):
        from vivavoce.text.numbers.romance import name_letters

        spoken = name_letters(spoken, language)
    return spoken.text
