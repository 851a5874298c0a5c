"""Speak ordinals and Roman numerals: centuries, kings, chapters, headings."""

import re

from vivavoce.text.numbers.romance.language import RomanceLanguage
from vivavoce.text.numbers.romance.numerals import cardinal, counted, is_feminine, ordinal, roman
from vivavoce.text.tracked import Piece, Tracked

_ORDINAL = re.compile(
    r"(?<![\w.,])(\d{1,4})(?:\.?([ºª°](?!\s?[CF\d]))(s?)|\.?(os?|as?)|\.?(er|ers|ère|ères|re|res|ème|èmes|eme|emes|es?|nde?|ro|ra|do|da|to|ta))(?!\w)"
)
_ROMAN_ORDINAL = re.compile(r"(?<![\w'’-])([IVX]+)(er|re|ère|ème|eme|es?|nde?|º|ª|°)(?!\w)")
_PERSON = re.compile(r"(?<=[a-zà-ÿ] )([IVX]{2,6})(?![\w'’])")
_HEADING = re.compile(r"(?<![^\n])([IVX]{2,6}|[IVX](?=[.)] [A-ZÀ-Ý][^.!?\n]{2,60}\Z))[.)]\s")


def read_romans(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with Roman numerals in words: centuries, kings, chapters, headings."""
    if not re.search("[IVX]", text.text):
        return text
    if not re.search("[IVX]", text.text):
        return text
    patterns = lang.patterns
    text = text.sub(_ROMAN_ORDINAL, lambda m: _roman_ordinal(m, lang))
    text = text.sub(patterns["roman_before"], lambda m: _edition(m, lang))
    text = text.sub(patterns["century"], lambda m: _chapter(m, lang))
    text = text.sub(patterns["regnal"], lambda m: _king(m, lang))
    text = text.sub(_HEADING, lambda m: _in_words(m[0], m[1], "cardinal", lang, ", "))
    return text.sub(_PERSON, lambda m: _in_words(m[0], m[0], _kind(m), lang))


def _kind(match: re.Match[str]) -> str:
    """Return how a numeral after a word in small letters is read: *Ramsés II*, but *fila II*."""
    before = match.string[max(0, match.start() - 20) : match.start()].split()
    return "regnal" if before[-1][0].isupper() else "cardinal"


def _in_words(all_: str, numeral: str, kind: str, lang: RomanceLanguage, after: str = "") -> str:
    number = roman(numeral)
    if not number:
        return all_
    ordinals = kind == "ordinal" or (
        kind == "regnal" and (lang.code == "it" or (lang.code in ("es", "pt") and number <= 10))
    )
    return (ordinal if ordinals else cardinal)(number, lang) + after


def _edition(match: re.Match[str], lang: RomanceLanguage) -> str:
    number = roman(match[1])
    feminine = is_feminine(match[2], lang)
    return ordinal(number, lang, feminine=feminine) if number else match[0]


def _roman_ordinal(match: re.Match[str], lang: RomanceLanguage) -> str:
    number, ending = roman(match[1]), match[2]
    if not number or (ending[0] not in "ºª°" and lang.code != "fr"):
        return match[0]
    feminine = ending in ("re", "ère", "nde", "ª")
    return ordinal(number, lang, feminine=feminine, plural=ending == "es")


def _chapter(match: re.Match[str], lang: RomanceLanguage) -> str | list[Piece]:
    name, plain = match[1], match[2]
    number = roman(match[3])
    if not number:
        return match[0]
    as_ordinal = bool(name) and (lang.code == "it" or number <= 10)
    spoken = ordinal(number, lang) if as_ordinal else cardinal(number, lang)
    if as_ordinal and lang.code == "it" and name.lower() in ("parte", "scena", "classe"):
        spoken = spoken[:-1] + "a"
    return [(name or plain, 1 if name else 2), " ", (spoken, 3)]


def _king(match: re.Match[str], lang: RomanceLanguage) -> str | list[Piece]:
    number = roman(match[2])
    if not number:
        return match[0]
    feminine = is_feminine(match[1], lang)
    ordinals = {"it": True, "fr": number == 1}.get(lang.code, number <= 10)
    spoken = ordinal(number, lang, feminine=feminine) if ordinals else cardinal(number, lang)
    return [(match[1], 1), " ", (spoken, 2)]


def read_ordinals(text: Tracked, lang: RomanceLanguage) -> Tracked:
    return text.sub(_ORDINAL, lambda m: _ordinal(m, lang))


def _ordinal(match: re.Match[str], lang: RomanceLanguage) -> str:
    number, sign, plural, letters, ending = match.groups()
    value = int(number)
    if letters:
        if lang.code not in ("es", "pt"):
            return match[0]
        return ordinal(value, lang, feminine=letters[0] == "a", plural=len(letters) > 1)
    if sign in ("º", "°") and not _ranks(value, match, sign, lang):
        return match[0] if sign == "°" else " ".join(counted(number, lang["units"]["°"], lang))
    if sign:
        return ordinal(value, lang, feminine=sign == "ª", plural=bool(plural))
    if lang.code == "es" and ending in ("er", "ro", "ra", "do", "da", "to", "ta"):
        spoken = ordinal(value, lang, feminine=ending in ("ra", "da", "ta"))
        return spoken.removesuffix("o") if ending == "er" else spoken
    if lang.code != "fr" or ending in ("ro", "ra", "do", "da", "to", "ta"):
        return match[0]
    feminine = ending in ("re", "ère", "res", "ères", "nde")
    if value == 2 and ending[0] == "n":
        return "seconde" if feminine else "second"
    plurals = ("ers", "res", "ères", "èmes", "emes", "es")
    return ordinal(value, lang, feminine=feminine, plural=ending in plurals)


def _ranks(value: int, match: re.Match[str], sign: str, lang: RomanceLanguage) -> bool:
    """True if º or ° makes an ordinal: *1° maggio*, but *30° all'ombra*, *-2º*."""
    noun = re.match(r"\s([^\W\d_A-Z]+)", match.string[match.end() : match.end() + 20])
    before = match.string[max(0, match.start() - 1) : match.start()]
    if lang.code == "fr" or before in ("-", "+"):
        return False
    if sign == "º" and value <= 12:
        return True
    return noun is not None and noun[1] not in lang.lists["not_nouns"]
