"""Speak numbers that name something: telephones, documents, postal codes, versions."""

import re

from vivavoce.text.numbers.romance.language import RomanceLanguage
from vivavoce.text.numbers.romance.numerals import cardinal, spoken_digits, spoken_number
from vivavoce.text.tracked import Piece, Tracked

_PLUS = re.compile(r"(?<![\w.,])\+\d++(?:[ .()-]{1,2}+\d++)++")
_AREA = re.compile(r"(?<!\w)\(\d{2,4}\) ?\d++(?:[ .-]\d++)*+(?![\w/])")
_GROUPS = re.compile(
    r"(?<![\w.,/+–-])\d{2,5}+(?:[ .–-]\d{2,5}+){1,6}+(?:/\d{4}-\d\d)?(?![\w/–-]|[.,]\d)"
)
_DOCUMENT = re.compile(r"(?<![\w.,/-])(\d{8})-?([A-Z])(?!\w)")
_VERSION = re.compile(
    r"(?<![\w,])(?<!\d\.)(?!\d{1,3}(?:\.\d{3})+(?!\.?\d))v?\d+(?:\.\d+){2,}(?!\w|,\d)"
)
_V = re.compile(r"(?<![\w.,/-])v\.? ?(?=\d)")
_NATIONAL = {
    "es": re.compile(r"[6-9]\d\d \d{3} \d{3}|[89]\d \d{3} \d\d \d\d|[6-9]\d\d \d\d \d\d \d\d"),
    "fr": re.compile(r"0\d(?:[ .-]\d\d){4}|08\d\d \d{3} \d{3}"),
    "it": re.compile(r"0\d{1,3}[ .-]\d{5,8}|3\d\d[ .-]\d{3} ?\d{4}|800[ .-]\d{3}[ .-]?\d{3}"),
    "pt": re.compile(
        r"(?!1[5-9]\d\d|20\d\d)\d{4,5}-\d{4}|\d{4,5}-\d{3}|\d{3}\.\d{3}\.\d{3}-\d\d"
        r"|0\d00 \d{3} ?\d{4}|\d\d\.\d{3}\.\d{3}/\d{4}-\d\d|9\d\d \d{3} \d{3}"
        r"|[1-9]\d 9?\d{4}-\d{4}"
    ),
}
_AMOUNT_OF = re.compile(r"(?i)(?<!\w)(?:d[aei])\s+\Z|n[uú]m\w+s\s+\Z")


def read_identifiers(text: Tracked, lang: RomanceLanguage) -> Tracked:
    patterns = lang.patterns
    text = text.sub(_PLUS, lambda m: f"{lang['symbols']['+']} {spoken_groups(m[0], lang)}")
    text = text.sub(_AREA, lambda m: spoken_groups(m[0], lang) if _long(m[0], 8) else m[0])
    text = text.sub(_GROUPS, lambda m: _groups(m, lang))
    text = text.sub(patterns["call"], lambda m: _named(m, lang, letter=False))
    text = text.sub(patterns["identifier"], lambda m: _named(m, lang, letter=True))
    if lang.code == "es":
        text = text.sub(_DOCUMENT, lambda m: f"{spoken_digits(m[1], lang)} {m[2]}")
    text = text.sub(patterns["version"], lambda m: f"{m[1]} {_version(m[2], lang)}")
    text = text.sub(_VERSION, lambda m: _version(m[0], lang))
    return text.sub(_V, f"{lang['version']} ")


def _long(written: str, least: int) -> bool:
    return sum(c.isdigit() for c in written) >= least


def spoken_groups(written: str, lang: RomanceLanguage) -> str:
    """Return digits as they are told on the telephone, group by group."""
    groups = re.findall(r"\d+", written)
    return ", ".join(
        spoken_number(group, lang)
        if lang.code == "fr" and len(group) <= 2
        else spoken_digits(group, lang)
        for group in groups
    )


def _groups(match: re.Match[str], lang: RomanceLanguage) -> str:
    written = match[0]
    national = _NATIONAL[lang.code].fullmatch(written)
    after = match.string[match.end() : match.end() + 2]
    head = match.string[max(0, match.start() - 80) : match.start()]
    dialled = written[0] == "0" or lang.patterns["calls"].search(head)
    if national and (dialled or not (" " in written and re.match(r"\s[a-z€$%]", after))):
        return spoken_groups(written, lang)
    hyphens = re.fullmatch(r"\d+(?:[–-]\d+){2,}", written)
    return spoken_groups(written, lang) if hyphens else written


def _named(match: re.Match[str], lang: RomanceLanguage, *, letter: bool) -> str | list[Piece]:
    """Return a number after the word that says it is read digit by digit."""
    name, number = match[1], match[2]
    if (
        not _long(number, 4)
        or _AMOUNT_OF.search(name)
        or re.fullmatch(r"(?:\d+[/]\d+[/]\d+|\d{1,3}(?:\.\d{3})+)", number)
    ):
        return match[0]
    groups = ", ".join(spoken_digits(group, lang) for group in re.findall(r"\d+", number))
    if not letter and lang.code == "fr":
        groups = spoken_groups(number, lang)
    pieces: list[Piece] = [(name, 1), (groups, 2)]
    return [*pieces, " ", (match[3], 3)] if letter and match[3] else pieces


def _version(written: str, lang: RomanceLanguage) -> str:
    prefix = f"{lang['version']} " if written[0] == "v" else ""
    if "/" in written and "." not in written:
        return " ".join(spoken_number(part, lang) for part in written.split("/"))
    parts = re.findall(r"\d+", written)
    spoken = [
        cardinal(int(p), lang) if len(p) < 4 and p[0] != "0" else spoken_number(p, lang)
        for p in parts
    ]
    return prefix + f" {lang['point']} ".join(spoken)
