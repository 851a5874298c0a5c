"""Say a text as SSML's `say-as` asks, in Spanish, French, Italian and Portuguese."""

import re

from vivavoce.text.numbers.romance.dates import read_times, spoken_date
from vivavoce.text.numbers.romance.identifiers import spoken_groups
from vivavoce.text.numbers.romance.language import RomanceLanguage, language
from vivavoce.text.numbers.romance.letters import name_letters
from vivavoce.text.numbers.romance.numerals import cardinal, ordinal, roman, spoken_digits
from vivavoce.text.numbers.romance.reader import read_romance
from vivavoce.text.tracked import Tracked

_ORDINAL = re.compile(r"(\d{1,12})\s?\.?(?:([ºªoa°])|er|re|e|ème|ère|nd|nde)?(s?)")
_PARTS = re.compile(r"\d+")


def say_as(text: str, kind: str, order: str | None, code: str) -> str | None:
    """Return `text` said as `kind`, None if it is not of that kind.

    `order` is that of a date: letters of `dmy`.
    """
    lang, text = language(code), text.strip()
    match kind:
        case "characters" | "spell-out":
            return _characters(text, lang) or None
        case "digits":
            return spoken_digits(text, lang) or None
        case "telephone":
            plus = f"{lang['symbols']['+']} " if text.startswith("+") else ""
            return plus + spoken_groups(text, lang) if _PARTS.search(text) else None
        case "ordinal":
            return _ordinal(text, lang)
        case "date":
            return _date(text, order, lang)
        case "time" if re.fullmatch(r"\d{1,2}", text):
            text = f"{text}h"
        case "time" if _PARTS.search(text):
            return read_romance(read_times(Tracked.of(text), lang), code).text
        case "cardinal" if text.isascii() and text.isupper() and (number := roman(text)):
            return cardinal(number, lang)
        case "cardinal" | "fraction" | "unit" | "currency" if _PARTS.search(text):
            pass
        case _:
            return None
    return read_romance(Tracked.of(text), code).text


def _characters(text: str, lang: RomanceLanguage) -> str:
    names = {**lang["symbols"], **lang["address"], **lang["letters"]}
    said = (
        spoken_digits(char, lang) if char.isdecimal() else names.get(char.lower(), char)
        for char in text
        if not char.isspace()
    )
    return name_letters(Tracked.of(" ".join(said)), lang.code).text


def _ordinal(text: str, lang: RomanceLanguage) -> str | None:
    found = _ORDINAL.fullmatch(text)
    number = int(found[1]) if found else roman(text)
    if not number:
        return None
    feminine = bool(found) and (text[-1] in "ªa" or text.endswith(("re", "ère", "nde")))
    return ordinal(number, lang, feminine=feminine)


def _date(text: str, order: str | None, lang: RomanceLanguage) -> str | None:
    parts = _PARTS.findall(text)
    order = order or ("ymd" if parts and len(parts[0]) == 4 else "dmy")
    if len(parts) != len(order) or not set(order) <= set("dmy"):
        return None
    value = dict(zip(order, parts, strict=True))
    month, day = int(value.get("m", 1)), int(value.get("d", 1))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    if len(value) == 3:
        return spoken_date(value["y"], month, day, lang)
    said = {
        "d": lang["first"] if day == 1 else cardinal(day, lang),
        "m": lang["months"][month - 1],
        "y": cardinal(int(value.get("y", 0)), lang),
    }
    link = f" {lang['month_link']}" if lang["month_link"] else " "
    return link.join(said[part] for part in "dmy" if part in value)
