"""Load the words and the patterns of one Romance language from its table.

Knows no rule of reading. Patterns that contain words of the table are here, so that each is
compiled once.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vivavoce.text.tables import table

LANGUAGES = ("es", "fr", "it", "pt")
COMMON = {
    key: frozenset(words.split())
    for key, words in {**table("romance"), "products": table("products")["names"]}.items()
}
_SPACE = "[ \u00a0\u202f]"
_LISTS = (
    "acronyms", "after_roman", "calls", "feminine", "feminine_articles", "identifiers",
    "masculine", "not_nouns", "per_words", "regnal", "roman_cardinal", "roman_ordinal",
    "short_words", "version_words",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RomanceLanguage:
    """One language: its table, its lists of words as sets, and its patterns by name."""

    code: str
    table: Mapping[str, Any]
    lists: Mapping[str, frozenset[str]]
    abbreviations: Mapping[str, Mapping[str, Any]]  # by section. Of two, one before feminine names
    patterns: Mapping[str, re.Pattern[str]]

    def __getitem__(self, key: str) -> Any:
        return self.table[key]


def alternatives(keys: Iterable[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


@cache
def language(code: str) -> RomanceLanguage:
    """Return the language with this code, one of `LANGUAGES`."""
    words = table(code)
    lists = {key: frozenset(words[key].split()) for key in _LISTS}
    abbreviations = {
        section: {
            variant.replace(" ", ""): spoken
            for written, spoken in words[section].items()
            for variant in _variants(written)
        }
        for section in words
        if section.startswith("abbreviations")
    }
    return RomanceLanguage(
        code, words, lists, abbreviations, _number_patterns(words) | _word_patterns(words, lists)
    )


def _number_patterns(words: Mapping[str, Any]) -> dict[str, re.Pattern[str]]:
    group = f"[{re.escape(words['thousands'])}]"
    english = r"\d{1,3}(?:,\d{3}(?!\d))++\.\d+|\d{1,3}(?:,\d{3}(?!\d)){2,}+"
    number = rf"(?>{english}|\d{{1,3}}(?:{group}\d{{3}}(?!\d))++(?:,\d+)?|\d+(?:[.,]\d+)?)"
    first = rf"(?<![\w.,])(?<!\d\d\d{group})"  # a number begins at its first digit alone
    scales = alternatives([*words["magnitudes"], *words["short_magnitudes"]])
    scale = rf"(?:{_SPACE}?({scales}|k)(?![^\W_]))?"
    money, units = alternatives(words["currencies"]), alternatives(words["units"])
    codes = alternatives(key for key in words["currencies"] if len(key) == 3 and key.isalpha())
    per = rf"(?:{_SPACE}?/{_SPACE}?({units}|[^\W\d_]{{2,12}})(?!\w))?"
    return {
        "number": re.compile(number),
        "grouped": re.compile(rf"\A\d{{1,3}}(?:{group}\d{{3}})++(?:,\d+)?"),
        "group_sign": re.compile(group),
        "counted": re.compile(
            rf"(?<![^\W\d_]){first}({number})(?:{_SPACE}([^\W\d_A-Z][^\W\d_]+)(?![\w'’]))?"
        ),
        "money_before": re.compile(
            rf"(?<!\w)([-+]?)({money}){_SPACE}?(-?)({number}){scale}{per}"
            rf"(?:{_SPACE}({codes}))?(?![^\W_])"
        ),
        "money_after": re.compile(rf"{first}([-+]?)({number}){scale}{_SPACE}?({money}){per}(?!\w)"),
        "measure": re.compile(
            rf"(?<!/){first}([-+]?)({number}){_SPACE}?({units})(?![\w²³]){per}(\.(?=\s[^\W\d_A-Z]))?"
        ),
        "fraction": re.compile(
            rf"(?<![\w/.,])(?:(\d{{1,3}}){_SPACE}(?:&{_SPACE}|{words['and']}{_SPACE})?)?"
            rf"(\d{{1,3}})/(\d{{1,3}})(?![\w/])"
            rf"(?:{_SPACE}?({units})(?![\w²³/])|{_SPACE}([^\W\d_A-Z][^\W\d_]{{2,}})(?![\w'’]))?"
        ),
    }


def _word_patterns(
    words: Mapping[str, Any], lists: Mapping[str, frozenset[str]]
) -> dict[str, re.Pattern[str]]:
    months, days = alternatives(words["months"]), alternatives(words["days"])
    long_days = alternatives(day for day in words["days"] if len(day) > 1)
    short_months = alternatives(words["month_abbreviations"])
    link = words["month_link"]
    products = lists["version_words"] | COMMON["products"]
    romans = r"([IVXLC]+)(?!\w)"

    def named(key: str) -> str:
        return alternatives(lists[key]) or r"(?!)"

    return {
        "abbreviation": re.compile(rf"(?<![\w.])(?:{_short_forms(words)})(?!\w)"),
        "days": re.compile(
            rf"(?<![\w-])({days})\.?\s?[-–—]\s?({days})(?![\w-])\.?"
            rf"|(?<!\w)({long_days})\.(?=\s[\da-zà-ÿ(])",
            re.IGNORECASE,
        ),
        "months": re.compile(
            rf"(?<![\w-])({months}|{short_months})\.?\s?[-–—]\s?({months}|{short_months})(?![\w-])",
            re.IGNORECASE,
        ),
        "short_month": re.compile(
            rf"(?<=\d )(?:{link})?({short_months})(?:\.|(?=,? (?:de )?\d{{4}}))(?!\w)"
            rf"|(?<!\w)({short_months})\.?/(?=\d{{4}}(?!\d))",
            re.IGNORECASE,
        ),
        "first_day": re.compile(
            rf"(?<![\w.,/-])1(?:er|º|°|ro|\.º|\.°)? (?={link}(?:{months})\b)", re.IGNORECASE
        ),
        "day_month": re.compile(
            rf"(?<!\w)((?i:{alternatives(words['before_date'])}) )(\d{{1,2}})/(\d{{1,2}})(?![\w/])"
            r"(?! (?:d[aeiou]s?|del|des|du|dell[aeo]|degli) [^\W\d])(?! d['’])"
        ),
        "identifier": re.compile(
            rf"(?<!\w)((?i:{named('identifiers')})\b[^\d\n,;!?]{{0,20}})"
            rf"(\d(?:[ ./-]?\d)*+)([A-Z]?)(?!\w|[.,]\d|\s?[€$%])"
        ),
        "call": re.compile(
            rf"(?<!\w)((?i:{named('calls')})\b[^\d\n,;!?(+]{{0,20}})(\d(?:[ .-]?\d)*+)(?![\w/])"
        ),
        "calls": re.compile(rf"(?<!\w)(?i:{named('calls')})\b"),
        "version": re.compile(
            rf"(?<!\w)({alternatives(products)}){_SPACE}?v?(\d++(?:[./]\d++)++)(?![\w,])"
        ),
        "century": re.compile(
            rf"(?<!\w)(?:((?i:{named('roman_ordinal')}))|((?i:{named('roman_cardinal')}))) {romans}"
        ),
        "roman_before": re.compile(
            rf"(?<!\w)(?<!\b[A-Z] ){romans}(?= ((?i:{named('after_roman')}))\b)"
        ),
        "regnal": re.compile(rf"(?<!\w)({named('regnal')}) ([IVX]+)(?![\w'’])"),
        "rate": re.compile(rf"/{_SPACE}?(?=(?:{named('per_words')})(?!\w))"),
        "symbol": re.compile(alternatives(words["symbols"])),
    }


def _variants(written: str) -> set[str]:
    """Return an abbreviation with and without a capital. Of two letters only as it is written."""
    upper = written[0].upper() + written[1:]
    return {written, upper} | ({written[0].lower() + written[1:]} if len(written) > 3 else set())


def _short_forms(words: Mapping[str, Any]) -> str:
    """Return the pattern of all abbreviations, each where it is one, in groups by section."""
    name = rf"{_SPACE}*(?:(?:d[aeiou]s?|du|della|dei|el|las?|los)\s(?:las?\s)?)?[A-ZÀ-Ý]"
    around = {
        "abbreviations_before_numbers": ("", rf"(?={_SPACE}*(?:\d|[IVXLC]+\b))"),
        "abbreviations_after_romans": (r"(?:(?<=[IVX] )|(?<=[IVX]e ))", ""),
        "abbreviations": ("", ""),
        "abbreviations_before_names": (r"(?<!\b[BCDF-NP-Z] )", rf"(?={name})"),
        "abbreviations_before_words": ("", ""),
    }
    return "|".join(
        f"(?P<{section}>{before}(?:{_written(words[section])}){after})"
        for section, (before, after) in around.items()
    )


def _written(section: Mapping[str, Any]) -> str:
    keys = {variant for key in section for variant in _variants(key)}
    return alternatives(keys).replace(r"\ ", f"{_SPACE}?")
