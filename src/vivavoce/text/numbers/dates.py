"""Dates and times of day as words in Spanish, French, Italian and Portuguese; the words come from `lexis`."""

import re

from vivavoce.text.numbers.amounts import cardinal, counted
from vivavoce.text.numbers.words import LEXES, NumberWords

_DATE_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])")
_DATE_DMY = re.compile(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-])")
_TIME = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-4])\s?[:hH]\s?([0-5]\d)(?::([0-5]\d))?(?!\d)(?:\s?h(?:s|rs)?\b)?(?:\s?([apAP])\.?\s?[mM]\b\.?)?"
)
_HOUR = re.compile(r"(?<![\w:.,])(\d{1,2})(?:\s?([apAP])\.?\s?[mM]\b\.?|h(?!\w))")
_HOUR_DOT = re.compile(r"\b((?:ore|alle|dalle) )([01]?\d|2[0-4])\.([0-5]\d)(?![\d.])")
_FIRST_DAY = {
    lexis.numerals: re.compile(
        rf"(?<![\w.,])1(?:er|º|°|ro|\.º|\.°)? (?={lexis.month_link}(?:{'|'.join(lexis.months)})\b)",
        re.IGNORECASE,
    )
    for lexis in LEXES.values()
}
_HALVES = {
    "es": ("de la mañana", "de la tarde", "de la noche"),
    "fr": ("du matin", "de l'après-midi", "du soir"),
    "it": ("di mattina", "del pomeriggio", "di sera"),
    "pt": ("da manhã", "da tarde", "da noite"),
}


def speak_dates(text: str, lexis: NumberWords) -> str:
    text = _DATE_ISO.sub(lambda m: _date(m, m.group(1), m.group(2), m.group(3), lexis), text)
    text = _DATE_DMY.sub(lambda m: _date(m, m.group(4), m.group(3), m.group(1), lexis), text)
    return _FIRST_DAY[lexis.numerals].sub(f"{lexis.first} ", text)


def _date(match: re.Match[str], year: str, month: str, day: str, lexis: NumberWords) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match.group()
    full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) > 50 else 2000)
    return lexis.date.format(
        day=lexis.first if int(day) == 1 else cardinal(int(day), lexis),
        month=lexis.months[int(month) - 1],
        year=cardinal(full_year, lexis),
    )


def speak_times(text: str, language: str, lexis: NumberWords) -> str:
    if language == "it":
        text = _HOUR_DOT.sub(
            lambda m: m.group(1) + _time(int(m.group(2)), int(m.group(3)), language, lexis), text
        )

    def spoken(match: re.Match[str]) -> str:
        hour, minute, second, half = match.groups()
        words = _time(int(hour), int(minute), language, lexis, half=half)
        return words + (
            f" {lexis.symbols['&']} {counted(second, lexis.units['s'], lexis)}" if second else ""
        )

    text = _TIME.sub(spoken, text)
    return _HOUR.sub(lambda m: _time(int(m.group(1)), 0, language, lexis, half=m.group(2)), text)


def _time(
    hour: int, minute: int, language: str, lexis: NumberWords, half: str | None = None
) -> str:
    """A time of day; `half` is the a or p of am/pm."""
    hours = counted(str(hour), lexis.units["h"], lexis)
    bare = hours.rsplit(" ", 1)[0]
    minutes = cardinal(minute, lexis)
    if language == "fr":
        spoken = f"{hours} {minutes}" if minute else hours
    elif language == "pt":
        spoken = f"{hours} e {counted(str(minute), lexis.units['min'], lexis)}" if minute else hours
    else:
        spoken = (
            f"{bare} {lexis.symbols['&']} {minutes}"
            if minute
            else (bare if half or language == "it" or hour <= 12 else hours)
        )
    if not half:
        return spoken
    morning, afternoon, evening = _HALVES[language]
    return f"{spoken} {morning if half in 'aA' else evening if 8 <= hour < 12 else afternoon}"
