"""Convert text in seven languages to Kokoro's phonemes.

- A language's front end is loaded when it is first needed.
- Front ends keep no state of a text, so building one twice is harmless and `Phonemizer` needs no
  lock. Two threads may both build one. `dict.setdefault`, which is atomic, keeps the first.
- This module knows no voices and no tokens.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.models.kokoro.g2p.alphabet import keep_known, tidy
from vivavoce.models.kokoro.g2p.ipa import Phonemes, marked, pieces, to_symbols
from vivavoce.text.numbers.verbalize import in_words

if TYPE_CHECKING:  # needs the package `hibari`
    from vivavoce.models.kokoro.g2p.english import EnglishFrontEnd

FrontEnd = Callable[[str], str]

# Language → import names of the packages that its front end and its numerals need.
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("hibari",),
        **dict.fromkeys(("es", "fr", "it", "pt"), ("num2words",)),
        "ja": ("pyopenjtalk", "num2words", "cn2an", "hibari"),
        "zh": ("rjieba", "pypinyin", "num2words", "cn2an", "hibari"),
    }
)
_EXTRA = "kokoro"
_MODULES = {
    "es": "romance.spanish",
    "fr": "romance.french",
    "it": "romance.italian",
    "pt": "romance.portuguese",
    "ja": "japanese",
    "zh": "chinese",
}
# Beginnings of the Unicode names of letters, besides Latin.
_SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"ja": ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"), "zh": ("CJK", "IDEOGRAPHIC")}
)
_SIGNS = frozenset("πµμªº")  # letters in Unicode, symbols in a text
_LATIN_WORD = r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'’-]*"
_LATIN = re.compile(rf"{_LATIN_WORD}(?: +{_LATIN_WORD})*")
_LATIN_NAMES = ("LATIN", "FULLWIDTH LATIN", "MODIFIER", "FEMININE", "MASCULINE")


class Phonemizer:
    """Front ends by language, for use by several threads at once."""

    def __init__(self, *, british: bool = False) -> None:
        self._british = british
        self._front_ends: dict[str, FrontEnd] = {}
        self._english: EnglishFrontEnd | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages (ISO 639-1) whose packages are installed here."""
        return tuple(code for code, packages in _PACKAGES.items() if all(map(find_spec, packages)))

    def phonemize(self, text: str, language: str, phonemes: Phonemes = ()) -> str:
        """Return the phonemes of `text`, in Kokoro's symbols only.

        Numbers and symbols are put into words first. Latin words inside Japanese or Chinese are
        read as English. Parts of `text` with `phonemes` of their own (IPA) are not read. Raises
        `Unsupported` for a language or script that no front end reads, `MissingDependency` if the
        language's packages are absent.
        """
        if not phonemes:
            return keep_known(self._front_end(language)(_in_words(text, language)), text)
        if language == "en":
            variant = "en-GB" if self._british else "en"
            written, sounds = marked(text, phonemes, lambda part: _in_words(part, "en"))
            symbols = [to_symbols(ipa, variant) for ipa in sounds]
            english = self._load_english().phonemize(written, symbols)
            return keep_known(english, text)
        out = ""
        for part, ipa in pieces(text, phonemes):
            read = to_symbols(ipa, language) if ipa else self.phonemize(part, language)
            spaced = language in _SCRIPTS or part[:1].isspace()
            out += (" " if spaced else "") + read + part[len(part.rstrip()) :]
        return tidy(out)

    def _load_english(self) -> "EnglishFrontEnd":
        if self._english is None:
            _require("en")
            from vivavoce.models.kokoro.g2p.english import EnglishFrontEnd

            self._english = EnglishFrontEnd.load(british=self._british)
        return self._english

    def _front_end(self, language: str) -> FrontEnd:
        found = self._front_ends.get(language)
        return found or self._front_ends.setdefault(language, self._build(language))

    def _build(self, language: str) -> FrontEnd:
        _require(language)
        if language == "en":
            return self._load_english().phonemize
        module = import_module(f"vivavoce.models.kokoro.g2p.{_MODULES[language]}")
        read: FrontEnd = module.phonemize
        return self._with_english(read) if language in ("ja", "zh") else read

    def _with_english(self, read: FrontEnd) -> FrontEnd:
        """Return a front end that reads Latin words as English and the rest with `read`."""

        def mixed(text: str) -> str:
            out, at = [], 0
            for match in _LATIN.finditer(text):
                out += [read(text[at : match.start()]), self._front_end("en")(match.group())]
                at = match.end()
            return tidy(" ".join(part for part in [*out, read(text[at:])] if part))

        return mixed


def _in_words(text: str, language: str) -> str:
    """Return `text` with numbers and symbols in words.

    Raises `Unsupported` for letters that the language's front end cannot read.
    """
    form = unicodedata.normalize("NFKC" if language in _SCRIPTS else "NFC", text)
    spoken = in_words(form, language)
    _require_script(spoken, language)
    return spoken


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
    """Raise `Unsupported` if the language's front end cannot read a letter of `text`."""
    scripts = (*_LATIN_NAMES, *_SCRIPTS.get(language, ()))
    for char in text:
        name = unicodedata.name(char, "")
        if char.isalpha() and char not in _SIGNS and not name.startswith(scripts):
            raise Unsupported(
                f"a {language!r} voice cannot read {char!r} "
                f"({name.lower() or 'a letter without a name'}); "
                "leave it out, or choose the language it belongs to",
                field="text",
            )
