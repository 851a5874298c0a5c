"""Say a text as SSML's `say-as` asks, in Japanese and Chinese."""

import re

from vivavoce.text.numbers.cjk.language import CjkLanguage, cardinal, language, spoken_digits
from vivavoce.text.numbers.cjk.reader import read_chinese, read_japanese
from vivavoce.text.tracked import Tracked

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
        case "telephone" if parts := _PARTS.findall(text):
            plus = lang["symbols"]["+"] if text.startswith("+") else ""
            return plus + "、".join(spoken_digits(part, lang) for part in parts)
        case "ordinal" if re.fullmatch(r"第?\d{1,12}", text):
            return "第" + cardinal(int(text.removeprefix("第")), code)
        case "date":
            return _date(text, order, lang)
        case "cardinal" | "fraction" | "unit" | "currency" | "time" if _PARTS.search(text):
            read = read_japanese if code == "ja" else read_chinese
            return read(Tracked.of(text)).text
    return None


def _characters(text: str, lang: CjkLanguage) -> str:
    names = {**lang["symbols"], **lang["address"], **lang["letters"]}
    said = (
        spoken_digits(char, lang) if char.isdecimal() else names.get(char.lower(), char.upper())
        for char in text
        if not char.isspace()
    )
    return ("" if lang["letters"] else " ").join(said)


def _date(text: str, order: str | None, lang: CjkLanguage) -> str | None:
    parts = _PARTS.findall(text)
    order = order or ("ymd" if parts and len(parts[0]) == 4 else "md")
    if len(parts) != len(order) or not set(order) <= set("dmy"):
        return None
    value = dict(zip(order, parts, strict=True))
    if not (1 <= int(value.get("m", 1)) <= 12 and 1 <= int(value.get("d", 1)) <= 31):
        return None
    chinese_year = lang.code == "zh"
    return "".join(
        (
            spoken_digits(value[part], lang)
            if part == "y" and chinese_year
            else cardinal(int(value[part]), lang.code)
        )
        + unit
        for part, unit in zip("ymd", lang["date"], strict=True)
        if part in value
    )
