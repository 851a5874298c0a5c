"""Detect the language of a text by its script, and by statistics for Latin letters.

Knows no voices. `py3langid` separates Latin languages. Its model (about 80 MB of memory) is loaded
by the first text that needs it and shared by all detectors. Short utterances are too short for
statistics: common greetings are looked up, and doubtful text counts as English.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from vivavoce.text.languages import LANGUAGES, Script, scripts_read

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]  # ships no type information

log = logging.getLogger(__name__)

_SAMPLE_CHARS = 1000
_FALLBACK = "en"
_PRIOR = 1.5  # how much likelier English is than each other language, before a word is read
_CONFIDENT = 0.4  # of the likelihood; below, the fallback is the better guess
_KANA_SHARE = 0.1  # of Han and kana; Chinese borrows a single の, Japanese cannot do with so few
_SYLLABLE = 3  # Latin letters that a Han, kana or Hangul character is worth

_SCRIPTS: Mapping[Script, re.Pattern[str]] = {
    "latin": re.compile(
        "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02b8\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f"
        "\ua722-\ua7ff\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a]"
    ),
    "han": re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    "kana": re.compile(
        "[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]"
    ),
    "hangul": re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"),
    "cyrillic": re.compile("[\u0400-\u0481\u048a-\u052f\u1c80-\u1c8a\ua640-\ua69d]"),
    "devanagari": re.compile("[\u0904-\u0939\u0958-\u0961\u0971-\u097f]"),
}
_NOT_LATIN = re.compile("[^A-Za-z\u00c0-\u02b8\u1e00-\u1eff'’.,!?¿¡]+")
_WORD = re.compile(r"[^\W\d_]+")
_OPENINGS = {
    word: language
    for language, words in {
        "en": "hello hi hey yes wow stop thanks bye please welcome",
        "de": "hallo ja nein danke bitte tschüss willkommen servus",
        "fr": "bonjour bonsoir oui merci salut bienvenue",
        "es": "hola sí gracias adiós bienvenido bienvenidos",
        "it": "ciao sì grazie buongiorno buonasera benvenuto benvenuti arrivederci",
        "pt": "olá oi sim obrigado obrigada tchau",
    }.items()
    for word in words.split()
}
_OPENING_WORDS = 4  # in longer utterances the words weigh more than the greeting


@dataclass(frozen=True, slots=True)
class Detection:
    """A language (ISO 639-1). Without `confident`, it is the detector's fallback."""

    language: str
    confident: bool


class Detector:
    """Detector for `languages` (ISO 639-1 codes), with English as the fallback if listed.

    Safe to call from several threads. The first Latin text takes about 0.7 s more, for the model.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        if not languages:
            raise ValueError("languages must name at least one language")
        self._languages = tuple(languages)
        self._latin = tuple(code for code in languages if scripts_read(code) == ("latin",))
        self._fallback = (
            _FALLBACK if _FALLBACK in languages else (self._latin or self._languages)[0]
        )

    def detect(self, text: str) -> Detection:
        """Return the language of `text`, by its main script or its first 1,000 characters."""
        counts = scripts(text)
        language = _by_script(counts, self._languages)
        if language:
            return Detection(language, confident=True)
        if not counts["latin"] or not self._latin:
            return Detection(self._fallback, confident=False)
        if len(self._latin) == 1:
            return Detection(self._latin[0], confident=True)
        return self._by_words(_NOT_LATIN.sub(" ", text[:_SAMPLE_CHARS]).strip())

    def _by_words(self, text: str) -> Detection:
        words = _WORD.findall(text.lower())
        if 0 < len(words) <= _OPENING_WORDS and _OPENINGS.get(words[0]) in self._latin:
            return Detection(_OPENINGS[words[0]], confident=True)
        identifier = _identifier()
        if identifier is None:
            return Detection(self._fallback, confident=False)
        shares = dict(identifier.rank(text))
        shares[_FALLBACK] *= _PRIOR
        best = max(self._latin, key=lambda code: shares.get(code, 0.0))
        share = shares.get(best, 0.0) / sum(shares.values())
        confident = share >= _CONFIDENT
        return Detection(best if confident else self._fallback, confident)


def scripts(text: str) -> dict[Script, int]:
    """Return the number of letters in each script. "other" counts all unnamed scripts."""
    counts: dict[Script, int] = {
        script: len(pattern.findall(text)) for script, pattern in _SCRIPTS.items()
    }
    letters = sum(map(str.isalpha, text))
    return {**counts, "other": max(0, letters - sum(counts.values()))}


def speakable_share(text: str, language: str) -> float:
    """Return the share, 0 to 1, of the letters that readers of `language` can read.

    It is 1 if there are no letters. `language` is an ISO 639-1 code.
    """
    counts = scripts(text)
    letters = sum(counts.values())
    return sum(counts[script] for script in scripts_read(language)) / letters if letters else 1.0


def _by_script(counts: Mapping[Script, int], languages: Sequence[str]) -> str | None:
    """Return the language whose own script outweighs Latin, if there is one.

    A tie goes against Latin: every language reads Latin letters, but English reads no others.
    """
    cjk = counts["han"] + counts["kana"]
    japanese = "ja" in languages and (
        "zh" not in languages or counts["kana"] >= max(1, _KANA_SHARE * cjk)
    )
    weights = {
        "ja" if japanese else "zh": _SYLLABLE * cjk,
        "ko": _SYLLABLE * counts["hangul"],
        "ru": counts["cyrillic"],
        "hi": counts["devanagari"],
    }
    best = max(weights, key=lambda code: weights[code])
    return best if weights[best] >= max(1, counts["latin"]) and best in languages else None


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier | None":
    """Return the model for our Latin languages, or None if it cannot be unpacked.

    Nothing changes it afterwards, so threads share it. Its package unpacks it on disk. A failure is
    not retried.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    try:
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:
        log.error(
            "languages of Latin letters are not told apart until a restart: "
            "the temporary folder does not take the 66 MiB for it (%s)", error.strerror,
        )  # fmt: skip
        return None
    identifier.set_languages([each.code for each in LANGUAGES if each.scripts == ("latin",)])
    return identifier
