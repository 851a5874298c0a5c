"""Speak amounts: money, measures, fractions, ranges and plain numbers."""

import re

from vivavoce.text.numbers.romance.language import RomanceLanguage
from vivavoce.text.numbers.romance.numerals import (
    agreeing,
    cardinal,
    counted,
    elided,
    is_feminine,
    linked,
    spoken_number,
)
from vivavoce.text.tracked import Piece, Tracked

_ARITHMETIC = re.compile(
    r"(?<![\w.,/-])\d[\d.,]*+(?:\s?[-–+×x*÷:/·]\s?\d[\d.,]*+){1,9}+\s?=\s?-?\d[\d.,]*+"
)
_OPERATORS = {":": "÷", "x": "×", "*": "×", "·": "×"}
_RATE = re.compile(r"(?:(?<=\d[lL])|(?<=\d [lL])|(?<=kWh))/(?=\d)")
_TIMES = re.compile(r"(?<=\d)\s?[x*×]\s?(?=\d)|(?<=\d [mt])\s[x×]\s(?=\d)|(?<=[cm]m)\s[x×]\s(?=\d)")
_RANGE = re.compile(
    r"(?:(?<=[\d%€$£°])|(?<=\d[hHk])|(?<=\d [hH])|(?<=°C))(?:\s[–-]\s|[–—-])(?=-?[$€£]?\d|R\$)"
)
_OVER = re.compile(r"(?<=[Α-Ωα-ω)])/(?=[\d(])|(?<=\d)/(?=[Α-Ωα-ω(])|(?<=\d[hj])/(?=\d)")
_LEADING_POINT = re.compile(r"(?<![\w.,)])[.,](?=\d)")
_SCORE = re.compile(r"(?<![\w:.,])(\d{1,3}):(\d{1,3})(?![\w:])")
_JOINED = re.compile(r"(?<=[^\W\d_])[-–]?(?=\d)|(?<=\d)-?(?=[^\W\d_])")
_SIGN = re.compile(r"(?<![\w)\]-])([-+±])(?=\d)")
_METERS = re.compile(r"(?<![\w.,])(\d{1,2})\s?m\s?(\d{2})(?![\w.,]\d|\w)")
_OUT_OF = frozenset((10, 20, 30, 100))


def read_ranges(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with sums in words, and with words for the dash between two numbers."""
    text = text.sub(_LEADING_POINT, "0,").sub(_RATE, f" {lang['per']} ")
    text = text.sub(_OVER, f" {lang['over']} ")
    text = text.sub(_ARITHMETIC, lambda m: _arithmetic(m[0], lang))
    text = text.sub(_TIMES, f" {lang['times']} ")
    return text.sub(_RANGE, f" {lang['to']} ")


def _arithmetic(written: str, lang: RomanceLanguage) -> str:
    def operator(match: re.Match[str]) -> str:
        sign = match[1]
        if sign in "-–":
            return f" {lang['minus']} "
        return f" {lang['symbols'].get(_OPERATORS.get(sign, sign)) or lang['over']} "

    left, _, right = written.partition("=")
    left = re.sub(r"(?<=\d)\s?([-–+×x*÷:/·])\s?(?=\d)", operator, left)
    return f"{left.strip()} {lang['symbols']['=']} {right.strip()}"


def read_money(text: Tracked, lang: RomanceLanguage) -> Tracked:
    patterns = lang.patterns
    text = text.sub(
        patterns["money_before"],
        lambda m: _amount(m[1] or m[3], m[4], m[5], m[7] or m[2], m[6], (4, 2), lang),
    )
    return text.sub(
        patterns["money_after"],
        lambda m: _amount(m[1], m[2], m[3], m[4], m[5], (2, 4), lang),
    )


def _amount(
    sign: str,
    written: str,
    scale: str | None,
    symbol: str,
    per: str | None,
    groups: tuple[int, int],
    lang: RomanceLanguage,
) -> list[Piece]:
    """Return an amount of money. `groups` are those of the number and of the currency."""
    one, many, cents = lang["currencies"][symbol]
    prefix = _signed(sign, lang)
    after = _per(per, lang)
    number, currency = groups
    if "." in written[-3:]:  # the American way: 1,299.00
        written = written.replace(",", "")
    parts = re.fullmatch(r"(.+)[,.](\d\d)", written)
    if scale:
        scaled, link = _scaled(written, scale, many, lang)
        return [(prefix + scaled, number), link, (many + after, currency)]
    if not parts or parts[2] == "00":
        spoken, noun = counted(parts[1] if parts else written, (one, many), lang)
        link = linked(spoken, noun, lang)
        return [(prefix + spoken, number), link, (noun + after, currency)]
    if parts[1] == "0":
        return [
            (prefix + agreeing(cardinal(int(parts[2]), lang), cents, lang), number),
            " ",
            (cents + after, currency),
        ]
    spoken, noun = counted(parts[1], (one, many), lang)
    join = f" {lang['money_link']} ".replace("  ", " ")
    return [f"{prefix}{spoken} {noun}{join}{cardinal(int(parts[2]), lang)}{after}"]


def _scaled(written: str, scale: str, many: str, lang: RomanceLanguage) -> tuple[str, str]:
    if scale in ("k", "mil", "mille", "mila"):
        thousand = cardinal(1000, lang) if scale == "k" else scale
        return f"{spoken_number(written, lang)} {thousand}", " "
    scale = lang["short_magnitudes"].get(scale, scale)
    spoken = agreeing(spoken_number(written, lang), "", lang)
    return f"{spoken} {scale}", elided(lang["of_money"], many, lang)


def _per(unit: str | None, lang: RomanceLanguage) -> str:
    if not unit:
        return ""
    name = lang["units"].get(unit, [unit])[0]
    if lang.code == "it" and name[0] in "aeiou":
        return f" all'{name}"
    return f" {'alla' if lang.code == 'it' and is_feminine(name, lang) else lang['per']} {name}"


def _signed(sign: str, lang: RomanceLanguage) -> str:
    if not sign:
        return ""
    return f"{lang['minus'] if sign == '-' else lang['symbols'][sign]} "


def read_measures(text: Tracked, lang: RomanceLanguage) -> Tracked:
    text = text.sub(_METERS, lambda m: _meters(m, lang))
    text = text.sub(lang.patterns["fraction"], lambda m: _fraction(m, lang))
    return text.sub(lang.patterns["measure"], lambda m: _measure(m, lang))


def _meters(match: re.Match[str], lang: RomanceLanguage) -> list[Piece]:
    spoken, noun = counted(match[1], lang["units"]["m"], lang)
    return [f"{spoken} {noun} {cardinal(int(match[2]), lang)}"]


def _measure(match: re.Match[str], lang: RomanceLanguage) -> list[Piece]:
    sign, written, unit, per, _ = match.groups()
    prefix = _signed(sign, lang)
    after = _per(per, lang)
    forms = lang["units"][unit]
    if unit in "%‰":  # "uno por ciento": the numeral does not agree with a noun
        return [(prefix + spoken_number(written, lang), 2), " ", (forms[0] + after, 3)]
    spoken, noun = counted(written, forms, lang)
    if lang.code == "it" and spoken in ("un", "una") and noun[0] in "aeiou":
        return [
            (prefix + "un'" + noun + after if spoken == "una" else f"{prefix}un {noun}{after}", 0)
        ]
    return [(prefix + spoken, 2), linked(spoken, noun, lang), (noun + after, 3)]


def _fraction(match: re.Match[str], lang: RomanceLanguage) -> str | list[Piece]:
    whole, top, bottom, unit, noun = match.groups()
    upper, lower = int(top), int(bottom)
    if noun in lang.lists["not_nouns"]:
        after, noun = f" {noun}", None
    else:
        after = ""
    if unit:
        noun = lang["units"][unit][0]
    named = 2 <= lower <= len(lang["denominators"]) + 1 and upper < lower
    if not named or (lower in _OUT_OF and not whole and not unit):
        tail = f" {noun or ''}{after}".rstrip()
        start = f"{cardinal(int(whole), lang)} {lang['and']} " if whole else ""
        return start + _unnamed(upper, lower, lang) + tail
    if (upper, lower) == (1, 2) and noun:
        return _halved(whole, unit, noun, lang) + after
    part = _part(upper, lower, lang)
    if whole:
        start = (
            agreeing(cardinal(int(whole), lang), noun, lang) if noun else cardinal(int(whole), lang)
        )
        part = part.split(" ", 1)[-1] if (upper, lower) == (1, 2) and lang.code == "fr" else part
        return f"{start} {lang['and']} {part}{f' {noun}' if noun else ''}{after}"
    of = elided(lang["of_money"].strip().replace("d'", "de"), noun, lang) if noun else ""
    return f"{part}{of}{noun or ''}{after}"


def _unnamed(upper: int, lower: int, lang: RomanceLanguage) -> str:
    if (upper, lower) == (24, 7):
        link = " "
    elif lower in _OUT_OF and upper <= lower:
        link = f" {lang['out_of']} "
    elif lower < upper <= 20:  # a score
        link = f" {lang['to']} "
    else:
        link = f" {lang['over']} "
    return cardinal(upper, lang) + link + cardinal(lower, lang)


def _part(upper: int, lower: int, lang: RomanceLanguage) -> str:
    name = lang["denominators"][lower - 2]
    if (upper, lower) == (1, 2):
        return f"un {name}" if lang.code == "fr" else str(name)
    if upper > 1 and not name.endswith("s"):
        name = name[:-1] + "i" if lang.code == "it" else name + "s"
    return f"{agreeing(cardinal(upper, lang), '', lang)} {name}"


def _halved(whole: str | None, unit: str | None, noun: str, lang: RomanceLanguage) -> str:
    """Return half of something: *media taza*, *deux heures et demie*."""
    feminine = is_feminine(noun, lang)
    half = lang["half"][feminine]
    if not whole:
        article = ("une " if feminine else "un ") + "demi " if lang.code == "fr" else f"{half} "
        return article + noun
    one = whole == "1"
    if unit:
        noun = lang["units"][unit][0 if one or (lang.code == "fr" and one) else 1]
    elif one and lang.code != "it":
        noun = noun.removesuffix("s")
    return f"{agreeing(cardinal(int(whole), lang), noun, lang)} {noun} {lang['and']} {half}"


def read_numbers(text: Tracked, lang: RomanceLanguage) -> Tracked:
    """Return the text with all numbers that are left in words."""
    text = text.sub(_SCORE, rf"\1 {lang['to']} \2")
    text = text.sub(_JOINED, " ")
    text = text.sub(_SIGN, lambda m: _signed(m[1], lang))
    text = text.sub(lang.patterns["counted"], lambda m: _counted(m, lang))
    return text.sub(lang.patterns["number"], lambda m: f" {spoken_number(m[0], lang)} ")


def _counted(match: re.Match[str], lang: RomanceLanguage) -> list[Piece]:
    """Return a number before its noun: *veintiún libros*, *veintiuna mesas*, *une pomme*."""
    written, noun = match.groups()
    spoken = spoken_number(written, lang)
    if noun is None or noun.lower() in lang.lists["not_nouns"]:
        before = match.string[max(0, match.start() - 8) : match.start()].lower().split(" ")
        if len(before) > 1 and not before[-1] and before[-2] in lang.lists["feminine_articles"]:
            spoken = agreeing(spoken, "la" if lang.code != "fr" else "heure", lang)
        return [(spoken, 1)] if noun is None else [(spoken, 1), " ", (noun, 2)]
    if noun in lang["magnitudes"]:  # "2 mil pessoas" agrees with what is counted
        after = re.match(r"\s([^\W\d_]+)", match.string[match.end() : match.end() + 20])
        counts = lang.code in ("es", "pt") and noun == "mil" and after
        return [(agreeing(spoken, after[1] if counts and after else "", lang), 1), " ", (noun, 2)]
    if re.search("[.,]", written) and lang["decimal"] in spoken:
        return [(spoken, 1), " ", (noun, 2)]
    spoken = agreeing(spoken, noun, lang)
    if lang.code == "it" and spoken == "una" and noun[0] in "aeiouàèé":
        return [("un'", 1), (noun, 2)]
    return [(spoken, 1), linked(spoken, noun, lang), (noun, 2)]
