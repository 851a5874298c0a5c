"""Load the words and the patterns of Japanese or Chinese from its table.

Japanese numerals come from num2words, Chinese ones from cn2an. Knows no rule of reading, and no
readings: whether 十分 is *jippun* or *jūbun* is the front end's question.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import cn2an  # type: ignore[import-untyped]  # the package ships no types
from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

from vivavoce.text.tables import table

LANGUAGES = ("ja", "zh")
NUMBER = r"\d{1,3}(?:,\d{3}(?!\d))++(?:\.\d+)?|\d+(?:\.\d+)?"
WHOLE = rf"(?<!\d)(?<!\d\d\d,)(?:{NUMBER})"  # from its first digit on
MONEY = "€$£¥₩"
_MAX_DIGITS = 12  # longer runs are read digit by digit: they are identifiers, not amounts


@dataclass(frozen=True, slots=True)
class CjkLanguage:
    """One language: its table, and the patterns that contain words of it, by name."""

    code: str
    table: Mapping[str, Any]
    patterns: Mapping[str, re.Pattern[str]]

    def __getitem__(self, key: str) -> Any:
        return self.table[key]


def _any(keys: Iterable[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


@cache
def language(code: str) -> CjkLanguage:
    """Return the language with this code, one of `LANGUAGES`."""
    words = table(code)
    days, digits = words["days"], r"\d{1,3}"
    return CjkLanguage(
        code,
        words,
        {
            "measure": re.compile(
                rf"((?<![A-Za-z0-9-])-)?({WHOLE})([万億亿千]?)\s?({_any(words['units'])})(?![A-Za-z²³])"
            ),
            "identifier": re.compile(
                rf"((?:{_any(words['identifiers'])})[^\d，。、,;；]{{0,5}})"
                r"(\d{3,}(?:[- ]\d+)*+(?:[或和及、]\d{3,6}(?!\d))*+)(?![\d.年円元米%])"
            ),
            "days": re.compile(
                rf"(?<![\w-])({days})[-–—~〜]({days})(?=[はにのも、。，\s()（）:上营休]|\Z)"
            ),
            "score": re.compile(
                rf"((?:{_any(words['score_before'])})[^\d，。、]{{0,4}}{digits})[-–]({digits})(?![\d-])"
                rf"|(?<![\d-])({digits})[-–]({digits})(?={_any(words['score_after'])}|で[^。\n]{{0,20}}[勝敗負引]|\Z)"
            ),
            "words": re.compile(rf"(?<![A-Za-z.])(?:{_any(words['words'])})(?![A-Za-z])"),
            "symbol": re.compile(_any(words["symbols"])),
            "two": re.compile(
                rf"(?<![\d.,:第/-])2(?=(?:{_any(words.get('counters', ['∅']))})(?!级|代|分之))"
            ),
        },
    )


@lru_cache(4096)
def cardinal(number: int, code: str) -> str:
    if code == "ja":
        return "ゼロ" if number == 0 else str(num2words(number, lang="ja"))
    spoken = str(cn2an.an2cn(str(number)))
    return spoken.removeprefix("一") if 10 <= number < 20 else spoken


def spoken_digits(text: str, lang: CjkLanguage) -> str:
    return "".join(lang["digits"][int(c)] for c in text if c.isdecimal())


def spoken_number(written: str, lang: CjkLanguage) -> str:
    whole, _, part = written.replace(",", "").partition(".")
    identifier = len(whole) > _MAX_DIGITS or (len(whole) > 1 and whole[0] == "0")
    spoken = spoken_digits(whole, lang) if identifier else cardinal(int(whole), lang.code)
    if part and spoken == "ゼロ":
        spoken = "零"  # れいてんご
    return f"{spoken}{lang['point']}{spoken_digits(part, lang)}" if part else spoken
