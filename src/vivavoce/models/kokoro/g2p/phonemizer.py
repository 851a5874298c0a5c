"""Text in seven languages → the phonemes Kokoro reads. Knows no voices and no tokens.

Each language's front end is loaded when it is first needed. Building one twice is harmless, for
front ends keep no state of the texts they read; that is why `Phonemizer` needs no lock: two threads
that meet build two, and `dict.setdefault`, which is atomic, keeps the first for both.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.models.kokoro.g2p.alphabet import only_known, tidy
from vivavoce.text.numbers.verbalize import verbalize

FrontEnd = Callable[[str], str]

_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("hibari",),
        **dict.fromkeys(("es", "fr", "it", "pt"), ("num2words",)),
        "ja": ("pyopenjtalk", "num2words", "cn2an", "hibari"),
        "zh": ("rjieba", "pypinyin", "num2words", "cn2an", "hibari"),
    }
)  # language → import names of what its front end and its numerals need
_EXTRA = "kokoro"
_MODULES = {
    "es": "romance.spanish",
    "fr": "romance.french",
    "it": "romance.italian",
    "pt": "romance.portuguese",
    "ja": "japanese",
    "zh": "chinese",
}
_SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"ja": ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"), "zh": ("CJK", "IDEOGRAPHIC")}
)  # beginnings of the Unicode names of letters, besides Latin
_SIGNS = frozenset("πµμªº")  # letters to Unicode, but symbols to a reader
_LATIN = re.compile(
    r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'’-]*(?: +[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'’-]*)*"
)


class Phonemizer:
    """Front ends by language; may be used from several threads at once."""

    def __init__(self, *, british: bool = False) -> None:
        self._british = british
        self._front_ends: dict[str, FrontEnd] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages (ISO 639-1) whose packages are installed here."""
        return tuple(code for code, packages in _PACKAGES.items() if all(map(find_spec, packages)))

    def phonemize(self, text: str, language: str) -> str:
        """Return the phonemes of `text`, over Kokoro's symbols only; numbers and symbols are put
        into words first.

        Foreign words in Latin letters inside Japanese or Chinese are read as English. Raises
        `Unsupported` for a language or a script no front end reads, `MissingDependency` if its
        packages are absent.
        """
        front_end = self._front_end(language)
        form = unicodedata.normalize("NFKC" if language in _SCRIPTS else "NFC", text)
        spoken = verbalize(form, language)
        _require_script(spoken, language)
        return only_known(front_end(spoken), text)

    def _front_end(self, language: str) -> FrontEnd:
        found = self._front_ends.get(language)
        return found or self._front_ends.setdefault(language, self._build(language))

    def _build(self, language: str) -> FrontEnd:
        _require(language)
        if language == "en":
            from vivavoce.models.kokoro.g2p.english import EnglishFrontEnd

            return EnglishFrontEnd.load(british=self._british).phonemize
        module = import_module(f"vivavoce.models.kokoro.g2p.{_MODULES[language]}")
        read: FrontEnd = module.phonemize
        return self._with_english(read) if language in ("ja", "zh") else read

    def _with_english(self, read: FrontEnd) -> FrontEnd:
        """Return `read` for its own script, the English front end for words in Latin letters."""

        def mixed(text: str) -> str:
            out, at = [], 0
            for match in _LATIN.finditer(text):
                out += [read(text[at : match.start()]), self._front_end("en")(match.group())]
                at = match.end()
            return tidy(" ".join(part for part in [*out, read(text[at:])] if part))

        return mixed


def _require(language: str) -> None:
    if language not in _PACKAGES:
        raise Unsupported(
            f"kokoro does not speak language {language!r}; choose one of {', '.join(_PACKAGES)}",
            field="language",
        )
    absent = [package for package in _PACKAGES[language] if find_spec(package) is None]
    if absent:
        raise MissingDependency(
            f"language {language!r} needs {', '.join(absent)}, which is not installed here: "
            f"pip install 'vivavoce[{_EXTRA}]'"
        )


def _require_script(text: str, language: str) -> None:
    """Raise `Unsupported` if `text` holds a letter of a script that the language's front end does not read."""
    scripts = (
        "LATIN",
        "FULLWIDTH LATIN",
        "MODIFIER",
        "FEMININE",
        "MASCULINE",
        *_SCRIPTS.get(language, ()),
    )
    for char in text:
        if (
            char.isalpha()
            and char not in _SIGNS
            and not unicodedata.name(char, "").startswith(scripts)
        ):
            name = unicodedata.name(char, "a letter without a name").lower()
            raise Unsupported(
                f"a {language!r} voice cannot read {char!r} ({name}); "
                "leave it out, or choose the language it belongs to",
                field="text",
            )
