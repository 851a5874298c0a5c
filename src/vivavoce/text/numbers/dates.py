"""Speak dates and times of day in Spanish, French, Italian and Portuguese."""

import re

from vivavoce.text.numbers.amounts import cardinal, counted
from vivavoce.text.numbers.words import NUMBER_WORDS, NumberWords

_DATE_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])")
_DATE_DMY = re.compile(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-])")
_TIME = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-4])\s?[:hH]\s?([0-5]\d)(?::([0-5]\d))?(?!\d)(?:\s?h(?:s|rs)?\b)?(?:\s?([apAP])\.?\s?[mM]\b\.?)?"
)
_HOUR = re.compile(r"(?<![\w:.,])(\d{1,2})(?:\s?([apAP])\.?\s?[mM]\b\.?|h(?!\w))")
_HOUR_DOT = re.compile(r"\b((?:ore|alle|dalle) )([01]?\d|2[0-4])\.([0-5]\d)(?![\d.])")
_FIRST_DAY = {
    words.numerals: re.compile(
        rf"(?<![\w.,])1(?:er|º|°|ro|\.º|\.°)? (?={words.month_link}(?:{'|'.join(words.months)})\b)",
        re.IGNORECASE,
    )
    for words in NUMBER_WORDS.values()
}
_HALVES = {
    "es": ("de la mañana", "de la tarde", "de la noche"),
    "fr": ("du matin", "de l'après-midi", "du soir"),
    "it": ("di mattina", "del pomeriggio", "di sera"),
    "pt": ("da manhã", "da tarde", "da noite"),
}


def speak_dates(text: str, words: NumberWords) -> str:
    text = _DATE_ISO.sub(lambda m: _date(m, m.group(1), m.group(2), m.group(3), words), text)
    text = _DATE_DMY.sub(lambda m: _date(m, m.group(4), m.group(3), m.group(1), words), text)
    return _FIRST_DAY[words.numerals].sub(f"{words.first} ", text)


def _date(match: re.Match[str], year: str, month: str, day: str, words: NumberWords) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match.group()
    full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) > 50 else 2000)
    return words.date.format(
        day=words.first if int(day) == 1 else cardinal(int(day), words),
        month=words.months[int(month) - 1],
        year=cardinal(full_year, words),
    )


def speak_times(text: str, language: str, words: NumberWords) -> str:
    if language == "it":
        text = _HOUR_DOT.sub(
            lambda m: m.group(1) + _time(int(m.group(2)), int(m.group(3)), language, words), text
        )

    def spoken(match: re.Match[str]) -> str:
        hour, minute, second, half = match.groups()
        time = _time(int(hour), int(minute), language, words, half=half)
        return time + (
            f" {words.symbols['&']} {counted(second, words.units['s'], words)}" if second else ""
        )

    text = _TIME.sub(spoken, text)
    return _HOUR.sub(lambda m: _time(int(m.group(1)), 0, language, words, half=m.group(2)), text)


def _time(
    hour: int, minute: int, language: str, words: NumberWords, half: str | None = None
) -> str:
    """Return a time of day in words. `half` is the a or p of am/pm."""
    hours = counted(str(hour), words.units["h"], words)
    bare = hours.rsplit(" ", 1)[0]
    minutes = cardinal(minute, words)
    if language == "fr":
        spoken = f"{hours} {minutes}" if minute else hours
    elif language == "pt":
        spoken = f"{hours} e {counted(str(minute), words.units['min'], words)}" if minute else hours
    else:
        spoken = (
            f"{bare} {words.symbols['&']} {minutes}"
            if minute
            else (bare if half or language == "it" or hour <= 12 else hours)
        )
    if not half:
        return spoken
    morning, afternoon, evening = _HALVES[language]
    return f"{spoken} {morning if half in 'aA' else evening if 8 <= hour < 12 else afternoon}"
