"""Detect the language of a text among those that can be spoken, by its script and its words.

A guess is expensive if it is wrong, so evidence must be strong to leave the default language:
names and loan words do not count, function words do. `py3langid` weighs the rest. Its model (about
80 MB of memory) is loaded by the first text that needs it. Knows no voices.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from vivavoce.text.language.names import LANGUAGES, Script, scripts_read

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]  # ships no type information

log = logging.getLogger(__name__)

_SAMPLE_CHARS = 1000
_KANA_SHARE = 0.1  # of Han and kana; Chinese borrows a single の, Japanese cannot do with so few
_SYLLABLE = 3  # Latin letters that a Han, kana or Hangul character is worth
# Logarithms of likelihood. Measured on fragments of English with foreign names, and on short
# sentences of the other languages.
_FUNCTION_WORD = 6.0  # a function word weighs as much
# What is needed to leave the default: with a function word or greeting, with a doubtful one or an
# accent, and with none, which takes two ordinary words.
_NEEDED = {1.0: 7.0, 0.5: 10.0, 0.0: 14.0}

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
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_GREETINGS = {
    word: language
    for language, words in {
        "en": "hello hi hey yes wow stop thanks bye please welcome good",
        "de": "hallo ja nein danke bitte tschüss willkommen servus guten",
        "fr": "bonjour bonsoir oui merci salut bienvenue",
        "es": "hola sí gracias adiós bienvenido bienvenidos buenos buenas",
        "it": "ciao sì grazie buongiorno buonasera benvenuto benvenuti arrivederci buona",
        "pt": "olá oi sim obrigado obrigada tchau bom boa",
    }.items()
    for word in words.split()
}
_GREETING_WORDS = 4  # in longer utterances the words weigh more than the greeting
_FUNCTION_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and of to is are was were i you it that for with this not have has be he she "
        "they we my your his her from at by or but what there do does did can could would should "
        "an if when who how why which been will a no in me so on as i am",
        "de": "der das und ist nicht ich du sie wir ihr ein eine einen einem einer mit auf für von "
        "zu den dem des es er auch wie aus bei nach noch nur wenn dass aber oder mein dein sein "
        "kein sind wird haben hat dir mir mich dich bin bist",
        "fr": "le la les un une des et est je tu il elle nous vous ils du de au aux que qui ne pas "
        "pour dans sur avec ce cette ces mon ton son ma ta sa mes c'est où sont être fait très à "
        "dit si mais ou j' l' d' qu' n' s'",
        "es": "el la los las un una unos y es son de del en que no por para con se su al lo como "
        "más pero muy este esta estoy está qué yo tú mi tu me te le nos hay ya o",
        "it": "il lo la gli le un una uno e è sono di del della dei in che non per con si su al "
        "alla come più ma molto questo questa ho hai ha mi ti ci perché io dell' l' "
        "un' dov'è cos'è",
        "pt": "o os as um uma e é são de do da dos das em no na nos nas que não por para com se "
        "seu sua ao mais mas muito este esta estou está eu você meu minha tem à",
    }.items()
}
_AMBIGUOUS = frozenset(
    ("a", "am", "an", "as", "d", "de", "die", "do", "e", "he", "i", "in", "la", "me", "no", "on")
) | {"or", "so", "son", "was", "will"}
_ACCENTS = {
    "de": "äöüß", "fr": "éèêàçùâîôûëïœ", "es": "áéíóúñ¿¡", "it": "àèéìòù", "pt": "ãõáéíóúâêôàç",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Detection:
    """A language (ISO 639-1). Without `confident`, it is the default."""

    language: str
    confident: bool


def detect(text: str, among: Sequence[str], default: str = "en") -> Detection:
    """Return the language of `text`, one of `among`, by its script or its first 1,000 characters.

    `default` counts if it is one of them, else the first. The first Latin text takes about 0.7 s
    more, for the model. Safe to call from several threads. Raises `ValueError` if there are none.
    """
    if not among:
        raise ValueError("among must name at least one language")
    latin = [code for code in among if scripts_read(code) == ("latin",)]
    fallback = default if default in among else (latin or list(among))[0]
    counts = scripts(text)
    if language := _by_script(counts, among):
        return Detection(language, confident=True)
    if not counts["latin"] or not latin:
        return Detection(fallback, confident=False)
    if fallback not in latin:
        fallback = latin[0]
    found = _by_words(text[:_SAMPLE_CHARS], latin, fallback) if len(latin) > 1 else fallback
    return Detection(found or fallback, confident=found is not None)


def detect_script(text: str, among: Sequence[str]) -> str | None:
    """Return the language of `among` whose own script outweighs Latin in `text`, or None."""
    return _by_script(scripts(text), among)


def _by_words(text: str, among: Sequence[str], default: str) -> str | None:
    """Return the language, or None if nothing speaks for another than the default."""
    words = _WORD.findall(text if any(map(str.islower, text)) else text.lower())
    greeting = _GREETINGS.get(words[0].lower()) if words else None
    ordinary = [w for at, w in enumerate(words) if w.islower() or at == 0] or words
    known = {code: _known(ordinary, code) for code in among}
    if greeting in among and len(words) <= _GREETING_WORDS:
        others = any(known[code] for code in among if code != greeting)
        if not others and not any(_GREETINGS.get(w.lower()) not in (None, greeting) for w in words):
            return greeting
    identifier = _identifier()
    if identifier is None:
        return None
    log_likelihood = dict(identifier.rank(" ".join(ordinary)))
    gains = {
        code: log_likelihood[code]
        - log_likelihood.get(default, 0.0)
        + _FUNCTION_WORD * (known[code] - known[default])
        - _NEEDED[min(known[code], 1.0)]
        for code in among
        if known[code] or sum(map(str.islower, ordinary)) > 1
    }
    gains.pop(default, None)
    best = max(gains, key=lambda code: gains[code], default=default)
    if best != default and gains[best] >= 0:
        return best
    return default if known[default] else None


def _known(words: Sequence[str], language: str) -> float:
    """Return the number of function words, greetings and accents. Doubtful ones count half."""
    function_words = _FUNCTION_WORDS.get(language, frozenset())
    known = 0.0
    for word in words:
        form = word.lower().replace("’", "'")
        elided = form[: form.find("'") + 1]
        if form in function_words or elided in function_words:
            known += 0.5 if form in _AMBIGUOUS or len(words) == 1 else 1.0
        elif _GREETINGS.get(form) == language:
            known += 1.0
        elif word.islower() and not set(_ACCENTS.get(language, "")).isdisjoint(form):
            known += 0.5
    return known


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
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=False)
    except OSError as error:
        log.error(
            "languages of Latin letters are not told apart until a restart: "
            "the temporary folder does not take the 66 MiB for it (%s)", error.strerror,
        )  # fmt: skip
        return None
    identifier.set_languages([each.code for each in LANGUAGES if each.scripts == ("latin",)])
    return identifier
