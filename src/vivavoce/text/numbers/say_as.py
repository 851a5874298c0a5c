"""Read a text of which its author says what it is, as SSML's `say-as` does.

Each kind is written as the readers understand it best, and read by them. English is here, the
other languages have modules of their own.
"""

import re
from collections.abc import Callable
from typing import Final

from vivavoce.text.numbers.english import read_english
from vivavoce.text.tables import table
from vivavoce.text.tracked import Tracked

_NUMBER = re.compile(r"[-+−]?\d[\d,. ]*")
_ORDINAL_END = re.compile(r"(?:\.|st|nd|rd|th)$", re.IGNORECASE)
_ORDERS: Final = frozenset(("mdy", "dmy", "ymd", "ydm", "md", "dm", "ym", "my", "y", "m", "d"))


def say_as(text: str, kind: str, format: str | None, language: str) -> str | None:
    """Return `text` in words, as a `kind` of `say-as`, or None if it is not of that kind.

    `language` is one of `verbalize.LANGUAGES`. `format` is the order of a date, such as "dmy".
    """
    if language == "en":
        written = _WRITTEN[kind](text.strip(), format or "") if kind in _WRITTEN else text
        return read_english(Tracked.of(written)).text if written else None
    if language in ("ja", "zh"):
        from vivavoce.text.numbers.cjk.say_as import say_as as say
    else:
        from vivavoce.text.numbers.romance.say_as import say_as as say
    return say(text, kind, format, language)


def _spelled(text: str, format: str) -> str:
    return " ".join(character.upper() for character in text if not character.isspace())


def _digits(text: str, format: str) -> str:
    return " ".join(re.findall(r"\d", text))


def _telephone(text: str, format: str) -> str:
    said = ", ".join(" ".join(group) for group in re.findall(r"\d+", text))
    return f"plus {said}" if text.startswith("+") and said else said


def _cardinal(text: str, format: str) -> str:
    return text if _NUMBER.fullmatch(text) else ""


def _ordinal(text: str, format: str) -> str:
    number = _ORDINAL_END.sub("", text)
    if not number.isdecimal():
        return ""
    ending = {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    return number + ("th" if number[-2:-1] == "1" else ending)


def _fraction(text: str, format: str) -> str:
    found = re.fullmatch(r"(?:(\d{1,4})[ +])?(\d{1,4})\s*[/⁄]\s*(\d{1,4})", text)
    return f"{found[1] or ''} {found[2]}/{found[3]}".strip() if found else ""


def _date(text: str, format: str) -> str:
    numbers, order = re.findall(r"\d+", text), format.lower()
    if order == "yyyymmdd" or (len(numbers) == 1 and len(numbers[0]) == 8):
        numbers, order = [text[:4], text[4:6], text[6:8]], "ymd"
    if not order:
        order = "ymd" if numbers and len(numbers[0]) == 4 else "mdy"
    if order not in _ORDERS or len(numbers) != len(order):
        return text  # with the name of a month, which the reader knows
    fields = dict(zip(order, map(int, numbers), strict=True))
    day, month, year = fields.get("d"), fields.get("m"), fields.get("y")
    if year is not None and year < 100:
        year += 2000 if year < 50 else 1900
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31:
        return ""
    if day and month and year:
        return f"{year:04}-{month:02}-{day:02}"
    months = list(dict.fromkeys(table("en")["months"].values()))
    named = [str(months[month - 1])] if month else []
    return " ".join([*named, *(str(part) for part in (day, year) if part)])


def _currency(text: str, format: str) -> str:
    found = re.fullmatch(r"([A-Z]{3})\s?([\d.,]+)|([\d.,]+)\s?([A-Z]{3})", text)
    signs = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
    code = (found[1] or found[4]) if found else ""
    return f"{signs[code]}{found[2] or found[3]}" if found and code in signs else text


_WRITTEN: Final[dict[str, Callable[[str, str], str]]] = {
    "characters": _spelled,
    "spell-out": _spelled,
    "cardinal": _cardinal,
    "ordinal": _ordinal,
    "digits": _digits,
    "telephone": _telephone,
    "fraction": _fraction,
    "date": _date,
    "currency": _currency,
}
