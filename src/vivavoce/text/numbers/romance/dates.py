"""Speak dates, days and times of day."""

import re

from vivavoce.text.numbers.romance.language import RomanceLanguage
from vivavoce.text.numbers.romance.numerals import cardinal, counted
from vivavoce.text.tracked import Tracked

_ISO = re.compile(r"(?<![\w/-])(\d{4})([/-])(\d{1,2})\2(\d{1,2})(?![\w/-])")
_DAY_FIRST = re.compile(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_HALF = r"\s?([apAP])\.?\s?[mM](?![^\W_])\.?"
_TIME = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-4])(?:\s?[hH]\s?|:)([0-5]\d)(?::([0-5]\d))?(?!\d)"
    r"(?:\s?(?:h(?:s|rs|oras)?|min|mn|m)\b)?" + f"(?:{_HALF})?"
)
_HOUR = re.compile(rf"(?<![\w:.,])(\d{{1,2}})(?:h(?!\w)|{_HALF})")
_HOUR_DOT = re.compile(
    r"\b((?i:ore|d?alle|las?|le) )([01]?\d|2[0-4])\.([0-5]\d)(?!\d|\.\d)(?:\s?h\b)?"
)


def read_dates(text: Tracked, lang: RomanceLanguage) -> Tracked:
    patterns = lang.patterns
    text = text.sub(_ISO, lambda m: _date(m, m[1], m[3], m[4], lang))
    text = text.sub(_DAY_FIRST, lambda m: _date(m, m[4], m[3], m[1], lang))
    text = text.sub(patterns["day_month"], lambda m: _day_and_month(m, lang))
    return text.sub(patterns["first_day"], f"{lang['first']} ")


def read_days(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with short days and months, and with ranges of them, in words."""
    if not re.search("[-–—.]", text.text):
        return text
    days = lang["days"]
    months = {month: month for month in lang["months"]} | lang["month_abbreviations"]

    def full(name: str, names: dict[str, str]) -> str:
        return names.get(name.lower()) or names[name.upper()]

    text = text.sub(
        lang.patterns["days"],
        lambda m: (
            full(m[3], days)
            if m[3]
            else [(full(m[1], days), 1), f" {lang['to']} ", (full(m[2], days), 2)]
        ),
    )
    text = text.sub(lang.patterns["short_month"], lambda m: _short_month(m, lang))
    return text.sub(
        lang.patterns["months"],
        lambda m: [(full(m[1], months), 1), f" {lang['to']} ", (full(m[2], months), 2)],
    )


def spoken_date(year: str, month: int, day: int, lang: RomanceLanguage) -> str:
    full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) > 50 else 2000)
    return str(lang["date"]).format(
        day=lang["first"] if day == 1 else cardinal(day, lang),
        month=lang["months"][month - 1],
        year=cardinal(full_year, lang),
    )


def _date(match: re.Match[str], year: str, month: str, day: str, lang: RomanceLanguage) -> str:
    first, second = int(month), int(day)
    if first > 12 >= second:  # the American order
        first, second = second, first
    if not (1 <= first <= 12 and 1 <= second <= 31):
        return match[0]
    return spoken_date(year, first, second, lang)


def _day_and_month(match: re.Match[str], lang: RomanceLanguage) -> str:
    day, month = int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    number = lang["first"] if day == 1 else cardinal(day, lang)
    return f"{match[1]}{number} {lang['month_link']}{lang['months'][month - 1]}"


def _short_month(match: re.Match[str], lang: RomanceLanguage) -> str:
    month = lang["month_abbreviations"][(match[1] or match[2]).lower()]
    if match[2]:
        link = lang["month_link"]
        return f"{month} {link}"
    return f"{lang['month_link']}{month}"


def read_times(text: Tracked, lang: RomanceLanguage) -> Tracked:
    if lang.code in ("es", "it"):
        text = text.sub(
            _HOUR_DOT, lambda m: m[1] + spoken_time(int(m[2]), int(m[3]), None, None, lang)
        )
    text = text.sub(
        _TIME,
        lambda m: spoken_time(int(m[1]), int(m[2]), m[3], m[4], lang) + _stop(m),
    )
    return text.sub(_HOUR, lambda m: spoken_time(int(m[1]), 0, None, m[2], lang) + _stop(m))


def _stop(match: re.Match[str]) -> str:
    """Return the full stop of "p. m." if it also ends the sentence."""
    ends = re.match(r"\s+[A-ZÀ-Ý¿¡«]|\s*\Z", match.string[match.end() : match.end() + 4])
    return "." if match[0].endswith(".") and ends else ""


def spoken_time(
    hour: int, minute: int, second: str | None, half: str | None, lang: RomanceLanguage
) -> str:
    """Return a time of day in words. `half` is the a or p of am/pm."""
    bare, noun = counted(str(hour), lang["units"]["h"], lang)
    hours = f"{bare} {noun}"
    minutes = cardinal(minute, lang)
    if lang.code == "fr":
        spoken = f"{hours} {minutes}" if minute else hours
    elif lang.code == "pt":
        name = " ".join(counted(str(minute), lang["units"]["min"], lang))
        spoken = f"{hours} e {name}" if minute else hours
    elif minute:
        spoken = f"{bare} {lang['and']} {minutes}"
    else:
        spoken = bare if half or lang.code == "it" or hour <= 12 else hours
    if second:
        spoken += f" {lang['and']} " + " ".join(counted(second, lang["units"]["s"], lang))
    if not half:
        return spoken
    morning, afternoon, evening = lang["day_parts"]
    return f"{spoken} {morning if half in 'aA' else evening if 8 <= hour < 12 else afternoon}"
