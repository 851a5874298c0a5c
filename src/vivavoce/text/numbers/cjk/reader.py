"""Speak dates, times, money, units, identifiers, letters and symbols in Japanese and Chinese.

Works on plain text by patterns, most specific first.
"""

import re
import unicodedata

from vivavoce.text.numbers.cjk.language import (
    MONEY,
    NUMBER,
    WHOLE,
    CjkLanguage,
    cardinal,
    language,
    spoken_digits,
    spoken_number,
)
from vivavoce.text.tracked import Piece, Tracked

_CJK = "\u3040-\u30ff\u3400-\u9fff々〇"
_ADDRESS = re.compile(
    r"https?://[\w./?=&%#~+-]+|(?<![A-Za-z0-9.])www\.[A-Za-z0-9./_-]+"
    r"|(?<![A-Za-z0-9._+-])[A-Za-z0-9._+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)+"
    r"|(?<![A-Za-z0-9._-])[A-Za-z][A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++)*?\.(?:com|org|net|jp|cn|io|dev|app|ai)(?![A-Za-z0-9])"
)
_DATE = re.compile(r"(?<![\w-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)", re.ASCII)
_MONTH_DAY = re.compile(
    r"(?<![\d./-])(1[0-2]|0?[1-9])/([12]\d|3[01]|0?[1-9])(?![\d./-])(?=(\s?\([月火水木金土日]\))?)"
)
_YEARS = re.compile(
    r"(?<![\d.])(?!\d00年(?:前|后|来|历史|的历史))(1\d{3}|20\d\d)(?:年?\s?[-–—~〜至到]\s?(\d{4}))?(?=年|赛季|学年|财年)"
)
_TIME = re.compile(
    r"(?:([AaPp])[Mm]\s?)?(?<!\d)(?<!\d[:：])([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?!\d)(?:\s?([AaPp])[Mm](?![A-Za-z]))?"
)
_TO = re.compile(
    r"(?<=[\d時分点秒日月年%℃°])\s?[-–—~〜～]\s?(?=-?\d)|(?<=[\u4e00-\u9fff])\s?[~〜～]\s?(?=\d)"
)
_ARITHMETIC = re.compile(
    r"(?<![\w.,/-])\d[\d.,]*+(?:\s?[-–+×x*÷]\s?\d[\d.,]*+){1,9}+(?=\s?=)", re.ASCII
)
_PRODUCT = re.compile(r"(?<=\d)\s?[x*]\s?(?=\d)")
_RATIO = re.compile(r"(?<![\d:：])(\d{1,3})[:：](\d{1,3})(?![\d:：])")
_PERCENT = re.compile(rf"(?<![A-Za-z0-9-])(-?)({WHOLE})\s?%|({WHOLE})\s?%")
_PRICE = re.compile(
    rf"(-?)((?:US|HK|NT|CA|AU|[ACR])?[{MONEY}])\s?(-?)({NUMBER})(?:\s?([万億亿千]))?"
)
_FRACTION = re.compile(r"(?<![\d/])(?:(\d{1,3})(?: |と|又))?(\d{1,12})/(\d{1,12})(?![\d/])")
_GROUPS = re.compile(
    r"\+?(?<![\d.,])\d+(?:[-–]\d+){2,}|\+\d++(?:[ -]\d++)++|(?<![\d-])0\d{2,3}-\d{7,8}(?!\d)"
    r"|(?<!\d)0\d{1,3}\(\d{2,4}\)\d{4}(?!\d)|\(0\d{2,3}\)\s?\d{7,8}(?!\d)|(?<=〒)\s?\d{3}-\d{4}|(?<![\d.,])1[3-9]\d{9}(?!\d)"
)
_BLOCKS = re.compile(r"[1-9]\d?(?:-[1-9]\d{0,2}){2,3}")  # of an address: 2-21-1
_LEADING_ZERO = re.compile(r"(?<![\d.:])0(?=\d[分秒日月](?!\d))")
_CODE = re.compile(
    r"(?<=[A-Z])-?(\d{3,})(?![\d.])|(?<![\d.])(\d{3,4})(?=室|号房|教室)|(?<=单元)(\d{3,4})(?![\d.])|(?<!\d)[0-9][05](?=后(?!来|面|的|天))"
)
_LIST_DASH = re.compile(r"(?<=\d)-(?=\d)")
_MINUS = re.compile(rf"(?<![A-Za-z0-9-])-(?={NUMBER})")
_PLUS = re.compile(r"(?<![\w])\+(?=\d)")
_VERSION = re.compile(r"(?<!\d)\d+(?:\.\d+){2,}")
_NUMBER = re.compile(NUMBER)
_ROMAN = re.compile(
    rf"(?<=第)([IVX]{{1,6}})(?![A-Za-z])|(?<=[{_CJK}])([IVX]{{2,6}})(?![A-Za-z])|(?<![A-Za-z])([IVX]{{1,6}})(?=世|章|部)"
)
_HOUR_OF_TWO = re.compile(r"(?<![\d第])2(?=点(?:钟|半|整|\d|左右|前|后|多|过))")
_GREEK = re.compile(r"(?<![\u0370-\u03ff])[Α-Ωα-ω](?![\u0370-\u03ff])")
_LAUGH = re.compile(r"(?<![A-Za-z])[wW]{2,}+(?=[、。！？!?\s]|\Z)")
_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,6}(?![A-Za-z])")
_SINGLE = re.compile(r"(?<![A-Za-z'’-])[A-Za-z](?![A-Za-z'’-])")
_LETTER = re.compile(r"(?<=[\u30a0-\u30ff])-([A-Z])(?![A-Za-z])")  # USB-C
_BETWEEN = re.compile(r"(?<=\w)[/／](?=\w)")
_OTHER = re.compile(
    r"[^\w\s、。，．！？；：,.!?;:…‥—–～〜・「」『』（）《》〈〉【】()\[\]“”‘’\"'’·ー-]|_"
)
_SPACES = re.compile(r"[ \t]{2,}")


def read_japanese(text: Tracked) -> Tracked:
    """Return `text` with every number in kanji, and every unit and letter in kana."""
    return _read(text, language("ja"))


def read_chinese(text: Tracked) -> Tracked:
    """Return `text` with every number in Chinese characters.

    Years and identifiers are read digit by digit. 二 becomes 两 in amounts.
    """
    return _read(text, language("zh"))


def _read(text: Tracked, lang: CjkLanguage) -> Tracked:
    text = _plain(text)
    text = text.sub(_ADDRESS, lambda m: _address(m[0], lang))
    text = text.sub(lang.patterns["words"], lambda m: lang["words"][m[0]])
    text = text.sub(_ROMAN, _arabic)
    text = text.sub(lang.patterns["days"], lambda m: [(m[1], 1), lang["to"], (m[2], 2)])
    if re.search(r"\d", text.text):
        text = _numbers(_amounts(_dates(_identifiers(text, lang), lang), lang), lang)
    return _letters(text, lang)


def _plain(text: Tracked) -> Tracked:
    """Return `text` with digits, letters and signs in ASCII, and fraction signs as a/b."""
    return text.map(_character).sub(re.compile(r"(?<=\d)，(?=\d{3})"), ",")


def _character(char: str) -> str:
    if char.isascii() or char in "²³":
        return char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    kind = unicodedata.category(char)
    if kind in ("No", "Nl") and char != "〇":
        form = unicodedata.normalize("NFKC", char).replace("\u2044", "/")
        value = unicodedata.numeric(char, None)
        return format(value, "g") if form == char and value is not None else form
    if char in "−－﹣":
        return "-"
    if char in "￥≧≦":
        return {"￥": "¥", "≧": "≥", "≦": "≤"}[char]
    if "\uff21" <= char <= "\uff5a" or char in "％＋＝＃＆＠＄／＜＞．＊" or "㍱" <= char <= "㏟":
        return unicodedata.normalize("NFKC", char).replace("m2", "m²").replace("m3", "m³")
    return char


def _address(address: str, lang: CjkLanguage) -> str:
    address = re.sub(r"^https?://", "", address)
    return re.sub(r"[^A-Za-z0-9]", lambda m: str(lang["address"].get(m[0], "")), address)


def _arabic(match: re.Match[str]) -> str:
    values = [{"I": 1, "V": 5, "X": 10}[c] for c in match[0]]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return str(sum(-v if v < after else v for v, after in pairs))


def _identifiers(text: Tracked, lang: CjkLanguage) -> Tracked:
    def groups(match: re.Match[str]) -> str:
        if _DATE.fullmatch(match[0]):
            return match[0]
        if lang.code == "ja" and _BLOCKS.fullmatch(match[0]):
            return "の".join(cardinal(int(p), "ja") for p in match[0].split("-"))
        plus = lang["symbols"]["+"] if match[0].startswith("+") else ""
        return plus + "、".join(spoken_digits(p, lang) for p in re.findall(r"\d+", match[0]))

    def named(match: re.Match[str]) -> list[Piece]:
        return [(match[1], 1), (re.sub(r"\d+", lambda m: spoken_digits(m[0], lang), match[2]), 2)]

    text = text.sub(_GROUPS, groups).sub(lang.patterns["identifier"], named)
    if lang.code == "zh":
        text = text.sub(_CODE, lambda m: spoken_digits(m[0], lang))
    return text


def _dates(text: Tracked, lang: CjkLanguage) -> Tracked:
    text = text.sub(_DATE, lambda m: _date(m, lang)).sub(_MONTH_DAY, lambda m: _month_day(m, lang))
    if lang.code == "zh":
        text = text.sub(
            _YEARS,
            lambda m: (
                spoken_digits(m[1], lang) + (lang["to"] + spoken_digits(m[2], lang) if m[2] else "")
            ),
        )
    text = text.sub(lang.patterns["score"], lambda m: _score(m, lang))
    text = text.sub(_ARITHMETIC, lambda m: _arithmetic(m[0], lang))
    text = text.sub(_PRODUCT, lang["symbols"]["×"]).sub(_TO, lang["to"])
    if lang.code == "ja":
        text = text.sub(_LEADING_ZERO, "")
    text = text.sub(_TIME, lambda m: _time(m, lang))
    return text.sub(_RATIO, rf"\1{lang['against']}\2")


def _date(match: re.Match[str], lang: CjkLanguage) -> str:
    year, month, day = match[1], int(match[3]), int(match[4])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    spoken_year = spoken_digits(year, lang) if lang.code == "zh" else cardinal(int(year), "ja")
    return f"{spoken_year}{lang['date'][0]}{_day(month, day, lang)}"


def _day(month: int, day: int, lang: CjkLanguage) -> str:
    _, m, d = lang["date"]
    return f"{cardinal(month, lang.code)}{m}{cardinal(day, lang.code)}{d}"


def _month_day(match: re.Match[str], lang: CjkLanguage) -> str:
    """Return 12/25 and 3/4(土) as days. 2/3 is a fraction."""
    month, day = int(match[1]), int(match[2])
    fraction = day <= 12 and not match[3]
    measured = re.match(r"[杯寸インチ]", match.string[match.end() : match.end() + 1])
    return match[0] if fraction or measured else _day(month, day, lang)


def _score(match: re.Match[str], lang: CjkLanguage) -> str:
    one, two = (match[1], match[2]) if match[1] else (match[3], match[4])
    if not match[1] and match.string[: match.start()].endswith(("ページ", "第", "页", "p.")):
        return match[0]
    return one + str(lang["against"]) + two


def _arithmetic(written: str, lang: CjkLanguage) -> str:
    signs = {"-": "subtract", "–": "subtract"}

    def operator(match: re.Match[str]) -> str:
        sign = "×" if match[1] in "x*" else match[1]
        return str(lang[signs[sign]] if sign in signs else lang["symbols"][sign])

    return re.sub(r"(?<=\d)\s?([-–+×x*÷])\s?(?=\d)", operator, written)


def _time(match: re.Match[str], lang: CjkLanguage) -> str:
    half = match[1] or match[5]
    parts = [int(part) for part in match.groups()[1:4] if part is not None]
    chinese = lang.code == "zh"
    spoken = [lang["day_halves"][half in "Pp"]] if half else []
    for position, (value, unit) in enumerate(zip(parts, lang["time"], strict=False)):
        if position == 1 and value == 0 and len(parts) == 2:
            break
        lead = lang["zero"] if chinese and position and value < 10 else ""
        number = "两" if chinese and not position and value == 2 else cardinal(value, lang.code)
        spoken.append(f"{lead}{number}{unit}")
    return "".join(spoken)


def _amounts(text: Tracked, lang: CjkLanguage) -> Tracked:
    """Speak amounts with a unit or a currency, before or after the number."""
    text = text.sub(
        _PRICE,
        lambda m: (
            (lang["minus"] if m[1] or m[3] else "")
            + spoken_number(m[4], lang)
            + (m[5] or "")
            + lang["units"].get(m[2], lang["units"][m[2][-1]])
        ),
    )
    text = text.sub(_FRACTION, lambda m: _fraction(m, lang))
    if lang["percent"]:
        text = text.sub(
            _PERCENT,
            lambda m: (
                (lang["minus"] if m[1] else "")
                + lang["percent"]
                + spoken_number(m[2] or m[3], lang)
            ),
        )
    return text.sub(lang.patterns["measure"], lambda m: _measure(m, lang))


def _fraction(match: re.Match[str], lang: CjkLanguage) -> str:
    whole, top, bottom = match.groups()
    if (whole, top, bottom) == (None, "24", "7"):
        return str(lang["around_the_clock"])
    if int(top) > int(bottom) and not whole:  # not a part of one: blood pressure
        return f"{cardinal(int(top), lang.code)}{lang['pause']}{cardinal(int(bottom), lang.code)}"
    start = cardinal(int(whole), lang.code) + lang["mixed"] if whole else ""
    return f"{start}{cardinal(int(bottom), lang.code)}{lang['over']}{cardinal(int(top), lang.code)}"


def _measure(match: re.Match[str], lang: CjkLanguage) -> list[Piece]:
    sign = lang["minus"] if match[1] else ""
    pair = match[2] == "2" and lang.code == "zh" and match[4] not in "℃°"
    number = "两" if pair else spoken_number(match[2], lang)
    return [(sign + number + match[3], 2), (lang["units"][match[4]], 4)]


def _numbers(text: Tracked, lang: CjkLanguage) -> Tracked:
    if lang.code == "zh":
        text = text.sub(_HOUR_OF_TWO, "两").sub(lang.patterns["two"], "两")
    text = text.sub(_MINUS, lang["minus"]).sub(_PLUS, lang["symbols"]["+"])
    text = text.sub(_LIST_DASH, " ")
    text = text.sub(
        _VERSION,
        lambda m: lang["point"].join(spoken_digits(p, lang) for p in m[0].split(".")),
    )
    return text.sub(_NUMBER, lambda m: spoken_number(m[0], lang))


def _letters(text: Tracked, lang: CjkLanguage) -> Tracked:
    """Spell capitals: in kana in Japanese, with spaces between them in Chinese."""
    greek, names, symbols = lang["greek"], lang["letters"], lang["symbols"]

    def spelled(match: re.Match[str]) -> str:
        if match[0] in lang["acronyms"]:
            return match[0]
        if names:
            return "".join(names[letter.lower()] for letter in match[0])
        return " ".join(match[0])

    text = text.sub(_GREEK, lambda m: greek.get(m[0].lower(), ""))
    text = text.sub(lang.patterns["symbol"], lambda m: symbols[m[0]])
    if names:
        text = text.sub(_LAUGH, "").sub(_SINGLE, spelled)
    text = text.sub(_CAPITALS, spelled)
    if names:
        text = text.sub(_LETTER, lambda m: names[m[1].lower()])
    text = text.sub(_BETWEEN, lang["pause"])
    return text.sub(_OTHER, _leftover).sub(_SPACES, " ")


def _leftover(match: re.Match[str]) -> str:
    """Keep marks that belong to letters, and leave other symbols out."""
    return match[0] if unicodedata.category(match[0])[0] == "M" else ""
