"""Read a text of which its author says what it is, as SSML's `say-as` does.

Each kind is written as the readers understand it best, and read by them.
"""

import re
from collections.abc import Callable
from typing import Final

from vivavoce.text.numbers.verbalize import read
from vivavoce.text.tables import table
from vivavoce.text.tracked import Tracked

_NUMBER = re.compile(r"[-+−]?\d[\d,. ]*")
_ORDINALS: Final = {
    "en": "{}th", "es": "{}.º", "fr": "{}e", "it": "{}º", "pt": "{}º", "ja": "第{}", "zh": "第{}",
}  # fmt: skip
_ORDINAL_END = re.compile(r"(?:\.?[ºª]|\.|st|nd|rd|th|er|e|ème|番目)$", re.IGNORECASE)
_MONTH_AND_DAY: Final = {"en": "{month} {day}", "ja": "{m}月{day}日", "zh": "{m}月{day}日"}
_MONTH_AND_YEAR: Final = {"ja": "{year}年{m}月", "zh": "{year}年{m}月"}
_FIELDS: Final = frozenset(
    ("mdy", "dmy", "ymd", "ydm", "md", "dm", "ym", "my", "yyyymmdd", "y", "m", "d")
)


def say_as(text: str, kind: str, format: str | None, language: str) -> str | None:
    """Return `text` in words, as a `kind` of `say-as`, or None if it is not of that kind.

    `language` is one of `verbalize.LANGUAGES`. `format` is the order of a date, such as "dmy".
    """
    written = _WRITTEN.get(kind, _as_it_is)(text.strip(), format or "", language)
    return read(Tracked.of(written), language).text if written else None


def _spelled(text: str, format: str, language: str) -> str:
    return " ".join(character.upper() for character in text if not character.isspace())


def _digits(text: str, format: str, language: str) -> str:
    return " ".join(re.findall(r"\d", text))


def _telephone(text: str, format: str, language: str) -> str:
    groups = re.findall(r"\d+", text)
    said = ", ".join(" ".join(group) for group in groups)
    return f"+ {said}" if text.startswith("+") and said else said


def _cardinal(text: str, format: str, language: str) -> str:
    return text if _NUMBER.fullmatch(text) else ""


def _ordinal(text: str, format: str, language: str) -> str:
    number = _ORDINAL_END.sub("", text).removeprefix("第")
    if not number.isdecimal():
        return ""
    if language == "en" and number[-1] in "123" and number[-2:-1] != "1":
        return number + {"1": "st", "2": "nd", "3": "rd"}[number[-1]]
    if language == "fr" and number == "1":
        return "1er"
    return _ORDINALS[language].format(number)


def _fraction(text: str, format: str, language: str) -> str:
    found = re.fullmatch(r"(?:(\d{1,4})[ +])?(\d{1,4})\s*[/⁄]\s*(\d{1,4})", text)
    return "".join((f"{found[1]} " if found[1] else "", found[2], "/", found[3])) if found else ""


def _date(text: str, format: str, language: str) -> str:
    order = format.lower() or ("mdy" if language == "en" else "dmy")
    numbers = re.findall(r"\d+", text)
    if order == "yyyymmdd" or (len(numbers) == 1 and len(numbers[0]) == 8):
        numbers, order = [text[:4], text[4:6], text[6:8]], "ymd"
    if re.match(r"\d{4}\D", text) and len(numbers) == 3 and not format:
        order = "ymd"
    if order not in _FIELDS or len(numbers) != len(order):
        return text  # with the name of a month, which the reader knows
    fields = dict(zip(order, map(int, numbers), strict=True))
    day, month, year = fields.get("d"), fields.get("m"), fields.get("y")
    if year is not None and year < 100 and "y" in order and len(numbers[order.index("y")]) == 2:
        year += 2000 if year < 50 else 1900
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31:
        return ""
    if day and month and year:
        return f"{year:04}-{month:02}-{day:02}"
    name = _month(month, language) if month else ""
    parts = {"day": day, "month": name, "m": month, "year": year}
    if day and month:
        link = table(language).get("month_link", "")
        return _MONTH_AND_DAY.get(language, f"{{day}} {link}{{month}}").format(**parts)
    if month and year:
        link = table(language).get("month_link", "") if language in ("es", "pt") else ""
        return _MONTH_AND_YEAR.get(language, f"{{month}} {link}{{year}}").format(**parts)
    return name or str(day or year)


def _month(number: int, language: str) -> str:
    months = table(language).get("months", ())
    if isinstance(months, dict):  # by abbreviation, some with two
        return str([*dict.fromkeys(months.values())][number - 1])
    return str(months[number - 1]) if months else f"{number}"


def _currency(text: str, format: str, language: str) -> str:
    found = re.fullmatch(r"([A-Z]{3})\s?([\d.,]+)|([\d.,]+)\s?([A-Z]{3})", text)
    signs = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
    code = (found[1] or found[4]) if found else ""
    if not found or code not in signs:
        return text
    return f"{signs[code]}{found[2] or found[3]}"


def _as_it_is(text: str, format: str, language: str) -> str:
    return text


_WRITTEN: Final[dict[str, Callable[[str, str, str], str]]] = {
    "characters": _spelled,
    "spell-out": _spelled,
    "verbatim": _spelled,
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "digits": _digits,
    "telephone": _telephone,
    "fraction": _fraction,
    "date": _date,
    "currency": _currency,
}
