"""Speak addresses, abbreviations and symbols, and leave out what cannot be said."""

import re
import unicodedata

from vivavoce.text.numbers.romance.language import RomanceLanguage
from vivavoce.text.numbers.romance.numerals import is_feminine
from vivavoce.text.tracked import Tracked

_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"“”«»]*[\w/]|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"
    r"|(?<![\w-])(?<![\w-]\.)\w[\w-]*+(?:\.[\w-]++)*\.(?:com|org|net|edu|gov|info|io|dev|app|ai|eu|es|fr|it|pt|br|mx|ar|de|uk)\b(?:/[\w/.-]*\w)?"
)
_ESCAPE = re.compile(r"(?<=\w)%[0-9A-F]{2}(?=\w)")
_STOP = re.compile(r"(?<!\s)\s*+(?:\Z|(?<=\s)[A-ZÀ-Ý¿¡«\"“(])")
_MAY_END = ("abbreviations", "abbreviations_after_romans")
_GREEK = re.compile(r"(?<![\u0370-\u03ff])[Α-Ωα-ω](?![\u0370-\u03ff])")
_SHARP = re.compile(r"(?<![\w])([A-G])#(?!\w)")
_STAR = re.compile(
    r"((?:#|\b(?i:ou?|y|et?|tecla|touche|tasto|prem[ia]|premere|tapez|pulse|presione|marque|digite"
    r"|pressione|appuyez sur)) )\*(?![\w*])"
)
_SAINT = re.compile(r"(?<![\w-])Ste?(?=-[A-ZÀ-Ý])")
_HASH = re.compile(r"#\s?(?=\d)")
_DOT_INSIDE = re.compile(r"(?<![^\W_])\.(?=[A-Za-z]{2})|(?<=\w)\.(?=[^\W_])")
_INSIDE = re.compile(r"(?<=\w)/(?=\w)|[_*~^|\\`/]")
_OTHER = re.compile(r"[^\w\s.,;:!?…¿¡'’‘\"“”«»„()\[\]—–-]|_")
_SPACES = re.compile(r"[ \t\u00a0\u202f]{2,}+|[\t\u00a0\u202f]")
_BEFORE_STOP = re.compile(r"(?<! ) +(?=[,.;:!?…](?:\s|\Z))")


def read_addresses(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with the dots, slashes and at-signs of addresses in words."""

    def spoken(match: re.Match[str]) -> str:
        address = re.sub(r"^https?://", "", match[0])
        marks = lang["address"]
        return re.sub(r"\W|_", lambda m: f" {marks.get(m[0], '')} ", address).strip()

    return text.sub(_ESCAPE, " ").sub(_ADDRESS, spoken)


def read_abbreviations(text: Tracked, lang: RomanceLanguage) -> Tracked:
    if lang.code == "fr":
        text = text.sub(_SAINT, lambda m: m[0].replace("t", "aint"))
    return text.sub(lang.patterns["abbreviation"], lambda m: _abbreviation(m, lang))


def _abbreviation(match: re.Match[str], lang: RomanceLanguage) -> str:
    section = match.lastgroup or ""
    full = lang.abbreviations[section][re.sub(r"\s", "", match[0])]
    if isinstance(full, list):
        full = full[_is_of_feminine(match, section, lang)]
    ends = section in _MAY_END and match[0].endswith(".") and _STOP.match(match.string, match.end())
    return f"{full}." if ends else str(full)


def _is_of_feminine(match: re.Match[str], section: str, lang: RomanceLanguage) -> bool:
    """True if the noun of an abbreviated adjective, or of a title, is feminine."""
    after = match.string[match.end() : match.end() + 30]
    if section == "abbreviations":
        name = re.search(
            r"(?<!\w)(\w{1,28}+)[.:]?\s\Z", match.string[max(0, match.start() - 30) : match.start()]
        )
        if re.match(r"\s-?\d[\d,.]*\s?[°º]", after):  # a temperature
            return True
    else:
        name = re.match(r"\s*(\w+)", after)
    return bool(name and is_feminine(name[1], lang))


def read_symbols(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with every symbol in words, or left out."""
    symbols, greek = lang["symbols"], lang["greek"]
    text = text.sub(_GREEK, lambda m: f" {greek.get(m[0].lower(), '')} ")
    text = text.sub(lang.patterns["rate"], f" {lang['per']} ").sub(_STAR, rf"\1{lang['star']}")
    text = text.sub(_SHARP, r"\1 sharp").sub(_HASH, f"{lang['number']} ")
    text = text.sub(lang.patterns["symbol"], lambda m: f" {symbols[m[0]]} ")
    text = text.sub(_DOT_INSIDE, f" {lang['point']} ")
    return text.sub(_INSIDE, " ").sub(_OTHER, _kept_mark)


def _kept_mark(match: re.Match[str]) -> str:
    return match[0] if unicodedata.category(match[0])[0] == "M" else " "


def tidy(text: Tracked) -> Tracked:
    return text.sub(_SPACES, " ").sub(_BEFORE_STOP, "").strip()
