"""Read dates, years, decades and times of day: "march fourth twenty twenty-five", "ten A M"."""

import re

from vivavoce.text.numbers.english.numerals import cardinal, decade, digits, ordinal, pairs, year
from vivavoce.text.numbers.english.rules import (
    START,
    TABLE,
    Rule,
    after,
    before,
    one_of,
    stop,
    words_of,
)

_MONTH_NAMES = tuple(dict.fromkeys(TABLE["months"].values()))
_MONTHS = one_of({*_MONTH_NAMES, *(m.lower() for m in _MONTH_NAMES if m not in ("March", "May"))})
_MONTH_NUMBER = {month.lower(): at for at, month in enumerate(_MONTH_NAMES, 1)}
_DAY = r"(?:[12]\d|3[01]|0?[1-9])"
_YEAR = r"(?:1\d{3}|20\d\d|21\d\d)"
_TH = "(?:st|nd|rd|th)?"
_TO = r" ?[-–—] ?"
_BEFORE_YEARS = words_of("years", "before")
_BEFORE_DECADES = words_of("years", "before_decades")
_PLURALS = words_of("years", "plural_nouns")
_NO_NOUN = words_of("measured", "not_a_noun")
_IN_S = words_of("years", "nouns_in_s")
_ZONE = r"(?: ?(EST|EDT|CST|CDT|MST|MDT|PST|PDT|GMT|UTC|BST|CET|CEST|IST|JST|ET|CT|MT|PT)\b)?"
_CLOCK = r"(?:1\d|2[0-3]|0?\d)(?:[:.][0-5]\d){0,2}"
_HALF = r" ?([AaPp])(?:\.[Mm]\.?|[Mm]\b(?!['’]))"


def full_year(written: str) -> int:
    """Return the year of two or four digits."""
    return int(written) + (0 if len(written) > 2 else 1900 if int(written) > 40 else 2000)


def date(day: int | str, month: int | str, written_year: str | None = None) -> str | None:
    """Return "July fourth, twenty twenty-five", or None if there is no such day."""
    day, month = int(day), int(month)
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    spoken = f"{_MONTH_NAMES[month - 1]} {ordinal(day)}"
    return f"{spoken}, {year(full_year(written_year))}" if written_year else spoken


def _day_month_year(match: re.Match[str]) -> str:
    """Return a date in figures: month first, unless there is no such month."""
    one, two, written_year = match[1], match[3], match[4]
    dotted = match[2] == "." or int(one) > 12
    return (date(one, two, written_year) if dotted else date(two, one, written_year)) or match[0]


def _year_month_day(match: re.Match[str]) -> str:
    spoken = date(match[4], match[3], match[1])
    if not spoken:
        return match[0]
    return f"{spoken}, " if match[0].endswith("T") else spoken


def _month_day(match: re.Match[str]) -> str:
    """Return "July fourth", "July fourth to sixth, twenty twenty-five"."""
    month, day, last, written_year = match.groups()
    spoken = f"{month} {ordinal(int(day))}" + (f" to {ordinal(int(last))}" if last else "")
    return f"{spoken}, {year(int(written_year))}" if written_year else spoken


def _day_month(match: re.Match[str]) -> str:
    """Return "the fourth of July", "the fourth to the sixth of July"."""
    the, day, last, month, written_year = match.groups()
    spoken = ordinal(int(day)) + (f" to the {ordinal(int(last))}" if last else "")
    spoken = f"{the or 'the '}{spoken} of {month}"
    return f"{spoken}, {year(int(written_year))}" if written_year else spoken


def _years(match: re.Match[str]) -> str:
    """Return "nineteen fourteen to eighteen"."""
    first, last = int(match[1]), match[2]
    if len(last) == 2:
        return f"{year(first)} to {year(int(last)) if first % 100 else year(full_year(last))}"
    return f"{year(first)} to {year(int(last))}"


def _year(match: re.Match[str]) -> str:
    """Return a number as a year, if what is around does not count something by it."""
    written, following = match[0], after(match)
    if before(match).lower().lstrip("'’") in _BEFORE_YEARS:
        return year(int(written))
    counts = (following.endswith("s") and following not in _IN_S) or following in _PLURALS
    is_round = int(written) % 100 == 0 and int(written) % 1000
    if (counts and not is_round) or following in TABLE["units"]:
        return cardinal(int(written))
    return year(int(written))


def time(hour: str, minute: str, second: str | None = None, half: str | None = None) -> str:
    """Return a time of day: "three oh five P M", "ten o'clock", "seventeen thirty"."""
    hours = "zero" if int(hour) == 0 and not half else cardinal(int(hour))
    if int(minute):
        spoken = f"{hours} {'oh ' if int(minute) < 10 else ''}{cardinal(int(minute))}"
    elif second:
        spoken = f"{hours} oh oh"
    elif half:
        spoken = hours
    else:
        spoken = f"{hours} o'clock" if 0 < int(hour) < 13 else f"{hours} hundred"
    if second:
        spoken += f" {'oh ' if int(second) < 10 else ''}{cardinal(int(second))}"
    return f"{spoken} {half.upper()} M" if half else spoken


def _time(match: re.Match[str]) -> str:
    hour, minute, second, utc, zone = match.groups()
    if int(hour) > 24:
        return match[0]
    spoken = time(hour, minute, second)
    if after(match) in ("hours", "hrs"):
        spoken = spoken.removesuffix(" o'clock")
    return spoken + (" U T C" if utc else "") + (f" {' '.join(zone)}" if zone else "")


def _clock(written: str) -> str:
    """Return "9", "9:30" or "9.30" in words, without "o'clock"."""
    hour, minute, second, *_ = [*written.replace(".", ":").split(":"), "", ""]
    return time(hour, minute or "0", second or None, half="a").removesuffix(" A M")


def _hour(match: re.Match[str]) -> str:
    """Return "ten A M"."""
    clock, half, zone = match.groups()
    ends = stop(match) if match[0].endswith(".") else ""
    return f"{_clock(clock)} {half.upper()} M" + (f" {' '.join(zone)}" if zone else "") + ends


def _decade(match: re.Match[str]) -> str:
    """Return "nineteen nineties", "nineties". "60s" alone is a time."""
    mark, written = match.groups()
    joined = _JOINED.search(match.string, max(0, match.start() - 2), match.start())
    alone = len(written) == 2 and not (
        mark or joined or before(match) in _BEFORE_DECADES or after(match) not in {"", *_NO_NOUN}
    )
    return match[0] if alone else decade(int(written))


def _hours(match: re.Match[str]) -> str:
    """Return "1h 30m" and "2m 5s" in words."""
    named = (("hour", "hours"), ("minute", "minutes"), ("second", "seconds"))
    parts = [
        f"{cardinal(int(written))} {one if int(written) == 1 else many}"
        for written, (one, many) in zip(match.groups(), named, strict=True)
        if written
    ]
    return " ".join(parts)


_JOINED = re.compile(r"[a-z][-–]\Z")  # mid-80s

DATES: tuple[Rule, ...] = (
    # 1h 30m, 2m5s
    Rule(
        re.compile(
            r"(?<![\w.,])(\d{1,3}) ?h(?:rs?)? ?(\d{1,2}) ?m(?:ins?)?"
            r"(?: ?(\d{1,2}) ?s(?:ecs?)?)?(?!\w)"
        ),
        _hours,
    ),
    Rule(re.compile(r"(?<![\w.,])()(\d{1,3}) ?m ?(\d{1,2}) ?s(?!\w)"), _hours),
    # 2024-02-29, 2024/2/29, 2024-02-29T10:00
    Rule(
        re.compile(rf"(?<![\w/.-])({_YEAR})([-/.])(\d{{1,2}})\2(\d{{1,2}})(?:(?![\w/-])|T(?=\d))"),
        _year_month_day,
        "-/.",
    ),
    # 3/4/2025, 25.12.1990, 1-2-99
    Rule(
        re.compile(r"(?<![\w/.-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)"),
        _day_month_year,
        "/.-",
    ),
    # 03/2024
    Rule(
        re.compile(r"(?<![\w/.-])(0[1-9]|1[0-2])/((?:19|20)\d\d)(?![\w/-])"),
        lambda m: f"{_MONTH_NAMES[int(m[1]) - 1]} {year(int(m[2]))}",
        "/",
    ),
    # Nov 3 - Dec 9, 3 Nov – 9 Dec: the sign between
    Rule(
        re.compile(rf"\b({_MONTHS} {_DAY}{_TH}(?:, {_YEAR})?){_TO}(?={_MONTHS} \d)"),
        lambda m: f"{m[1]} to ",
        "-–—",
    ),
    Rule(
        re.compile(rf"{START}({_DAY}{_TH} {_MONTHS}(?: {_YEAR})?){_TO}(?=\d\d? ?{_MONTHS})"),
        lambda m: f"{m[1]} to ",
        "-–—",
    ),
    # July 4th–6th, 2025
    Rule(
        re.compile(
            rf"\b({_MONTHS}) (?:the )?({_DAY}){_TH}(?:(?:{_TO}| to )({_DAY}){_TH})?"
            rf"(?![\w%]|[.,/:]\d|-\d)(?:,? ({_YEAR})(?![\w-]|[.,]\d))?"
        ),
        _month_day,
    ),
    # Jan-15-2020, 15-Jan-2020
    Rule(
        re.compile(rf"\b({_MONTHS})[-/](\d\d?)(?:[-/](\d{{4}}))?(?![\w-])"),
        lambda m: date(m[2], _MONTH_NUMBER[m[1].lower()], m[3]) or m[0],
        "-/",
    ),
    Rule(
        re.compile(rf"{START}(?<!-)(\d\d?)[-/]({_MONTHS})(?:[-/](\d{{4}}|\d\d))?(?![\w-])"),
        lambda m: date(m[1], _MONTH_NUMBER[m[2].lower()], m[3]) or m[0],
    ),
    # 4 July 2025, the 4th of July, 4–6 July
    Rule(
        re.compile(
            rf"{START}(?<![-/:$£€])([Tt]he )?({_DAY}){_TH}(?:{_TO}({_DAY}){_TH})?"
            rf" (?:of )?({_MONTHS})\b(?:,? ({_YEAR})(?![\w-]|[.,]\d))?"
        ),
        _day_month,
    ),
    # 1914–1918, 2023-24
    Rule(
        re.compile(rf"(?<![\w.,/$£€-])({_YEAR}){_TO}({_YEAR}|\d\d)(?![\w/-]|[.,]\d)(?! ?[%°])"),
        _years,
        "-–—",
    ),
    # 1960s–70s: the end
    Rule(
        re.compile(rf"(?<=0s){_TO}['’]?((?:\d\d)?\d0)s(?!\w)"),
        lambda m: f" to {decade(int(m[1]))}",
        "s",
    ),
    # 100s of people
    Rule(
        re.compile(r"(?<![\w.,])1(00|,?000)s(?= of\b)"),
        lambda m: "hundreds" if m[1] == "00" else "thousands",
    ),
    # the 1990s, '90s, 1800's
    Rule(re.compile(r"(?<![\w.,])(['’]?)(1\d{3}|2[01]\d\d|\d0)['’]?s(?!\w)"), _decade, "s"),
    # class of '98
    Rule(
        re.compile(r"(?<!\w)['’](\d\d)(?![\w'’\"])"),
        lambda m: cardinal(int(m[1])) if int(m[1]) > 9 else digits(m[1], "oh"),
        "'’",
    ),
    # 10am–5pm, 9:00-17:30, 9-11am: the sign between
    Rule(
        re.compile(rf"(?<=[apAP][mM]){_TO}(?=\d)|(?<=[apAP]\.[mM]\.){_TO}(?=\d)"),
        lambda m: " to ",
        "-–—",
    ),
    Rule(re.compile(rf"(?<=:\d\d){_TO}(?=\d{{1,2}}:\d\d)"), lambda m: " to "),
    Rule(
        re.compile(rf"{START}(?<![:-])({_CLOCK})(?:{_TO}| to )(?={_CLOCK}{_HALF})"),
        lambda m: f"{_clock(m[1])} to ",
    ),
    # 10am, 5.30 p.m., 7:00 PM EST
    Rule(re.compile(rf"{START}(?<![:-])({_CLOCK}){_HALF}{_ZONE}"), _hour),
    # 4:02.13: a race
    Rule(
        re.compile(r"(?<![\w.:])(\d{1,2}):([0-5]\d)\.(\d{1,3})(?![\w:]|\.\d)"),
        lambda m: f"{time(m[1], m[2], half='a').removesuffix(' A M')} point {digits(m[3])}",
        ":",
    ),
    # 17:30, 2:03:59, 10:15:00Z
    Rule(
        re.compile(
            rf"{START}(?<!:)(2[0-4]|[01]?\d):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?(?!:?\w|[.,]\d)(Z\b)?{_ZONE}"
        ),
        _time,
        ":",
    ),
    # 0600 hours, 5 o'clock
    Rule(
        re.compile(r"(?<![\w.,])([01]\d|2[0-4])([0-5]\d)(?= (?:hours|hrs)\b)"),
        lambda m: (
            f"{digits(m[1], 'oh') if m[1][0] == '0' else cardinal(int(m[1]))} "
            + ("hundred" if m[2] == "00" else pairs(m[0])[len(cardinal(int(m[1]))) + 1 :])
        ),
    ),
    # 1905, 2026, mid-2025
    Rule(
        re.compile(
            rf"(?:(?<![\w.,$£€¥#/+-])|(?<=\b(?:mid|pre)-)|(?<=\bpost-))"
            rf"({_YEAR})(?![\w%°/]|[.,:]\d|-\d| ?[$€£])"
        ),
        _year,
    ),
)
