"""Spell initialisms and single letters. Capitals that read as words stay words."""

import re
import unicodedata

from vivavoce.text.numbers.romance.language import COMMON, RomanceLanguage, language
from vivavoce.text.tracked import Tracked

_INITIALS = re.compile(r"(?<![\w.])(?:[A-ZÀ-Ý]\.)(?:\s?[A-ZÀ-Ý]\.)++")
_INITIAL = re.compile(r"(?:(?<=[a-zà-ÿ] )|(?<![^\n«“\"(]))([A-ZÀ-Ý])\.(?= [A-ZÀ-Ý][a-zà-ÿ])")
_RUN = re.compile(r"(?<!\w)[A-ZÀ-Ý]++(?!\w)(?:[ ,'’]{1,2}+[A-ZÀ-Ý]++(?!\w))++")
_CAPITALS = re.compile(r"(?<![^\W_])[A-ZÀ-Ý]{2,}+(?!\w)")
_NO_VOWEL = re.compile(r"(?<![\w'’-])[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{2,8}(?![\w'’])")
_SINGLE = re.compile(r"(?<![\w'’-])[a-z](?![\w'’-])")
_NAMES = re.compile(r"(?<![\w'’])[A-ZÑ](?: [A-ZÑ](?![\w'’]))*+(?![\w'’])")
_CLUSTERS = re.compile("[bcdfghjklmnpqrstvwxz]+")


def read_initials(text: Tracked, lang: RomanceLanguage) -> Tracked:
    return text.sub(_INITIALS, lambda m: _initials(m, lang))


def read_capitals(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Spell initialisms, with spaces between the letters. Capitals that read as a word stay."""
    sounds = COMMON["interjections"]
    text = text.sub(_NO_VOWEL, lambda m: m[0] if m[0].lower() in sounds else " ".join(m[0].upper()))
    text = text.sub(_SINGLE, lambda m: m[0] if m[0] in lang["one_letter_words"] else m[0].upper())
    text = text.sub(_INITIAL, r"\1")
    text = text.sub(_RUN, lambda m: _shouted(m[0], lang))
    return text.sub(_CAPITALS, lambda m: m[0] if _reads_as_word(m[0], lang) else " ".join(m[0]))


def _initials(match: re.Match[str], lang: RomanceLanguage) -> str:
    letters = re.findall(r"[^\W\d_]", match[0])
    word = "".join(letters)
    ends = not re.match(r"\s+[^\W\d_]", match.string[match.end() : match.end() + 3])
    return (word if word in lang.lists["acronyms"] else " ".join(letters)) + ("." if ends else "")


def _shouted(run: str, lang: RomanceLanguage) -> str:
    """Return a run of capitals in lower case if it is words, not a row of initialisms."""
    words = [word for word in re.findall(r"[^\W\d_]+", run) if len(word) > 1]
    plain = [word for word in words if word not in lang.lists["acronyms"]]
    long = [word for word in plain if len(word) > 3 and _reads_as_word(word, lang)]
    short = [word for word in plain if word.lower() in lang.lists["short_words"]]
    said = len(long) + len(short)
    if len(words) < 2 or 2 * said < len(words) or (not long and said < 2):
        return run
    return re.sub(
        r"[^\W\d_]+",
        lambda m: m[0] if m[0] in lang.lists["acronyms"] or _unsayable(m[0]) else m[0].lower(),
        run,
    )


def _reads_as_word(capitals: str, lang: RomanceLanguage) -> bool:
    """True if capitals read as a word: ONU, NUNCA, but not PDF, UE, RER."""
    if capitals in lang.lists["acronyms"] or capitals.lower() in lang.lists["short_words"]:
        return True
    return len(capitals) > 3 and not _unsayable(capitals)


def _unsayable(capitals: str) -> bool:
    """True if no syllables can be made of the letters, as far as the clusters tell."""
    plain = "".join(c for c in unicodedata.normalize("NFD", capitals.lower()) if c.isalpha())
    if not re.search("[aeiouy]", plain) or re.search("[aeiouy]{4}", plain):
        return True
    return any(
        not _sayable(found[0], start=found.start() == 0, end=found.end() == len(plain))
        for found in _CLUSTERS.finditer(plain)
    )


def _sayable(cluster: str, *, start: bool, end: bool) -> bool:
    """True if the consonants split into those that end a syllable and those that begin one."""
    ends = [len(cluster)] if end else [0] if start else range(len(cluster) + 1)
    return any(
        (at < 2 or cluster[:at] in COMMON["codas"])
        and (len(cluster) - at < 2 or cluster[at:] in COMMON["onsets"])
        for at in ends
    )


def name_letters(text: Tracked, code: str) -> Tracked:
    """Return `text` with single capitals by their names: *R E R* → *erre eu erre*."""
    lang = language(code)
    names = lang["letters"]

    def spoken(match: re.Match[str]) -> str:
        letters = match[0].split()
        if len(letters) == 1 and letters[0].lower() in lang["one_letter_words"]:
            before = match.string[max(0, match.start() - 2) : match.start()].strip()
            if not before or before[-1] in '.!?…:;¿¡«“"(—–':
                return match[0]
        return " ".join(names.get(letter.lower(), letter) for letter in letters)

    return text.sub(_NAMES, spoken)
