"""Write numbers, dates, units and symbols out in words, for voices that read letters only.

Runs after `normalize` (plain text) and `split` (sentences). Knows no sounds. English keeps the
numbers that the front end reads itself.
"""

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.text.numbers.digits import set_apart
from vivavoce.text.numbers.english import verbalize_english
from vivavoce.text.tracked import Tracked

LANGUAGES = ("en", "es", "fr", "it", "pt", "ja", "zh")


def verbalize(text: str, language: str) -> str:
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
        return verbalize_english(text)
    try:
        return _in_words(set_apart(text, decimal_comma=language not in ("ja", "zh")), language)
    except ImportError as missing:
        raise MissingDependency(
            f"numbers in language {language!r} need the package {missing.name!r}: "
            "pip install 'vivavoce[kokoro]'"
        ) from missing


def _in_words(text: str, language: str) -> str:
    if language in ("ja", "zh"):
        from vivavoce.text.numbers.cjk import verbalize_chinese, verbalize_japanese

        return verbalize_japanese(text) if language == "ja" else verbalize_chinese(text)
    from vivavoce.text.numbers.romance import verbalize_romance

    return verbalize_romance(text, language)


def read(text: Tracked, language: str) -> Tracked:
    said = verbalize(text.text, language)
    return text if said == text.text else Tracked.spanning(said, *text.span())


def say_as(text: str, kind: str, format: str | None, language: str) -> str | None:
    return None
