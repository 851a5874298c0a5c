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
COMMON = {key: frozenset(words.split()) for key, words in table("romance").items()}
_SPACE = "[ \u00a0\u202f]"
_LISTS = (
    "acronyms", "after_roman", "calls", "feminine", "feminine_articles", "identifiers",
    "masculine", "not_nouns", "regnal", "roman_cardinal", "roman_ordinal", "short_words",
    "version_words",
)  # fmt: skip
_NO_STOP = ("abbreviations_before_words", "abbreviations_before_names")
_BEFORE_NUMBER = "abbreviations_before_numbers"


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its table, its lists of words as sets, and its patterns by name."""

    code: str
    table: Mapping[str, Any]
    lists: Mapping[str, frozenset[str]]
    abbreviations: Mapping[str, str | list[str]]  # of two, one before feminine names
    patterns: Mapping[str, re.Pattern[str]]

    def __getitem__(self, key: str) -> Any:
        return self.table[key]


def alternatives(keys: Iterable[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


@cache
def language(code: str) -> Language:
    """Return the language with this code, one of `LANGUAGES`."""
    words = table(code)
    lists = {key: frozenset(words[key].split()) for key in _LISTS}
    short_forms = {
        variant: spoken
        for section in ("abbreviations", *_NO_STOP, _BEFORE_NUMBER)
        for written, spoken in words[section].items()
        for variant in _variants(written)
    }
    abbreviations = {written.replace(" ", ""): spoken for written, spoken in short_forms.items()}
    return Language(
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
        "abbreviation": re.compile(
            rf"(?<![\w.])(?<!\b[BCDF-NP-Z] )(?:{_short_forms(words)})(?!\w)"
        ),
        "days": re.compile(
            rf"(?<![\w-])({days})\.?\s?[-–—]\s?({days})(?![\w-])\.?"
            rf"|(?<!\w)({long_days})\.(?=\s\d)",
            re.IGNORECASE,
        ),
        "months": re.compile(
            rf"(?<![\w-])({months}|{short_months})\.?\s?[-–—]\s?({months}|{short_months})(?![\w-])",
            re.IGNORECASE,
        ),
        "short_month": re.compile(
            rf"(?<=\d )(?:{link})?({short_months})(?:\.|(?=,? (?:de )?\d{{4}}))(?!\w)",
            re.IGNORECASE,
        ),
        "first_day": re.compile(
            rf"(?<![\w.,/-])1(?:er|º|°|ro|\.º|\.°)? (?={link}(?:{months})\b)", re.IGNORECASE
        ),
        "day_month": re.compile(
            rf"(?<!\w)((?i:{alternatives(words['before_date'])}) )(\d{{1,2}})/(\d{{1,2}})(?![\w/])"
        ),
        "identifier": re.compile(
            rf"(?<!\w)((?i:{named('identifiers')})\b[^\d\n,;!?]{{0,20}})"
            rf"(\d(?:[ ./-]?\d)*+)([A-Z]?)(?!\w|[.,]\d|\s?[€$%])"
        ),
        "call": re.compile(
            rf"(?<!\w)((?i:{named('calls')})\b[^\d\n,;!?(+]{{0,20}})(\d(?:[ .-]?\d)*+)(?![\w/])"
        ),
        "version": re.compile(
            rf"(?<!\w)({alternatives(products)}){_SPACE}?v?(\d++(?:[./]\d++)++)(?![\w,])"
        ),
        "century": re.compile(
            rf"(?<!\w)(?:((?i:{named('roman_ordinal')}))|((?i:{named('roman_cardinal')}))) {romans}"
        ),
        "roman_before": re.compile(rf"(?<!\w)(?<!\b[A-Z] ){romans}(?= ((?i:{named('after_roman')}))\b)"),
        "regnal": re.compile(rf"(?<!\w)({named('regnal')}) ([IVX]+)(?![\w'’])"),
        "symbol": re.compile(alternatives(words["symbols"])),
    }


def _variants(written: str) -> set[str]:
    """Return an abbreviation with and without a capital. Of two letters only as it is written."""
    upper = written[0].upper() + written[1:]
    return {written, upper} | ({written[0].lower() + written[1:]} if len(written) > 3 else set())


def _short_forms(words: Mapping[str, Any]) -> str:
    """Return the pattern of all abbreviations, each where it is one."""
    following = {
        "abbreviations": "",
        "abbreviations_before_words": "",
        "abbreviations_before_names": (
            rf"(?={_SPACE}*(?:(?:d[aeiou]s?|du|della|dei|el|las?|los)\s(?:las?\s)?)?[A-ZÀ-Ý])"
        ),
        _BEFORE_NUMBER: rf"(?={_SPACE}*(?:\d|[IVXLC]+\b))",
    }
    return "|".join(
        "(?:{}){}".format(
            alternatives({each for key in words[section] for each in _variants(key)}).replace(
                r"\ ", rf"{_SPACE}?"
            ),
            after,
        )
        for section, after in following.items()
    )
