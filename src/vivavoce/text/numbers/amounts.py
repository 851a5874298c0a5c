"""Numbers, money and units as words in Spanish, French, Italian and Portuguese.

The words come from `words`, the numerals from num2words. Knows no grammar beyond the gender of the
units it names.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

from vivavoce.text.numbers.words import NUMBER_WORDS, NumberWords

_MAX_DIGITS = 15  # longer runs are read digit by digit: they are identifiers, not amounts
_FRACTION = re.compile(r"(?<![\w/.,])(\d{1,3})/(\d{1,3})(?![\w/])")
_RANGE = re.compile(r"(?<![\w.,/-])(\d[\d.,]*)\s?[–-]\s?(\d[\d.,]*)(?![\w/-])")
_GROUPS = re.compile(
    r"(?<![\w.,/–-])(?:\d{2,}(?:[-–]\d{2,}){2,}|\+\d{1,3}(?:[ .-]\d{2,4}){2,})(?![\w/-])"
)
_ONE = re.compile(r"(?<![\w.,:/-])1 (?=([a-zà-ÿ]{3,}))")  # before its noun: "una", not "uno"
_ENDS_IN_ONE = re.compile(r"(?<![\w.,:/-])(\d*[02-9]1) (?=([a-zà-ÿ]{2,}s)\b)")  # 21 before its noun
_MASCULINE = re.compile(r"(?:días|[ae]mas|mapas|gramas|planetas)$")
_NO_NOUN = frozenset(("menos", "más", "pues", "entonces", "mais", "depois", "apenas"))
_VERSION = re.compile(
    r"(?<![\w,])(?<!\d\.)(?!\d{1,3}(?:\.\d{3})+(?!\.?\d))\d+(?:\.\d+){2,}(?!\w|,\d)"
)


def cardinal(number: int, words: NumberWords) -> str:
    return str(num2words(number, lang=words.numerals)).replace(",", "")


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Numbers as one language writes them, alone and with what belongs to them."""

    number: re.Pattern[str]
    grouped: re.Pattern[str]  # by the language's own signs
    group_sign: re.Pattern[str]
    negative: re.Pattern[str]  # the sign before a number
    money_before: re.Pattern[str]  # the currency before its amount
    money_after: re.Pattern[str]
    measure: re.Pattern[str]

    @classmethod
    def of(cls, words: NumberWords) -> "_Patterns":
        group = f"[{re.escape(words.thousands)}]"
        english = r"\d{1,3}(?:,\d{3}(?!\d))++\.\d+|\d{1,3}(?:,\d{3}(?!\d)){2,}+"
        number = rf"(?>{english}|\d{{1,3}}(?:{group}\d{{3}}(?!\d))++(?:,\d+)?|\d+(?:[.,]\d+)?)"
        inside = rf"(?<!\d\d\d{group})"  # a number, which begins at its first digits alone
        scale = rf"(?:\s?({'|'.join(words.magnitudes)}|M|k)\b)?"
        symbols = alternatives(words.currencies)
        return cls(
            number=re.compile(number),
            grouped=re.compile(rf"\A\d{{1,3}}(?:{group}\d{{3}})++(?:,\d+)?"),
            group_sign=re.compile(group),
            negative=re.compile(rf"(?<![\w)-])-(?={number})"),
            money_before=re.compile(rf"(?<![\w])(-?)({symbols})\s?({number}){scale}"),
            money_after=re.compile(
                rf"(?<![\w.,]){inside}(-?)({number}){scale}\s?({symbols})(?![\w])"
            ),
            measure=re.compile(
                rf"(?<![\w.,/]){inside}(-?)({number})(?:\s?[–/-]\s?({number}))?[ \u00a0\u202f]?"
                rf"({alternatives(words.units)})(?![\w²³/])"
            ),
        )


def alternatives(keys: Iterable[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


_PATTERNS = {words.numerals: _Patterns.of(words) for words in NUMBER_WORDS.values()}


def spoken_number(written: str, words: NumberWords) -> str:
    """Return a written amount in words: `1.250`, `3,5`, `1,250.50`, `007`."""
    patterns = _PATTERNS[words.numerals]
    english = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", written) and (
        "." in written or written.count(",") > 1
    )
    if english:
        whole, _, part = written.replace(",", "").partition(".")
    elif patterns.grouped.fullmatch(written):
        whole, _, part = patterns.group_sign.sub("", written).partition(",")
    else:
        whole, _, part = written.replace(",", ".").partition(".")
    if len(whole) > _MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        spoken = _digits(whole, words)
    else:
        spoken = cardinal(int(whole or "0"), words)
    return f"{spoken} {words.decimal} {_decimals(part, words)}" if part else spoken


def _digits(text: str, words: NumberWords) -> str:
    return " ".join(cardinal(int(c), words) for c in text if c.isdigit())


def _decimals(part: str, words: NumberWords) -> str:
    zeros = len(part) - len(part.lstrip("0"))
    if len(part) > 2 or zeros == len(part):
        return _digits(part, words)
    return " ".join([cardinal(0, words)] * zeros + [cardinal(int(part), words)])


def counted(written: str, forms: tuple[str, str], words: NumberWords) -> str:
    """Return an amount with its unit, agreeing in number and gender."""
    noun = forms[0] if re.fullmatch(r"0*1(?:[.,]0+)?", written) else forms[1]
    if words.numerals == "fr" and re.fullmatch(r"[01](?:,\d+)?", written):
        noun = forms[0]
    return (
        f"{_agreeing(spoken_number(written, words), noun in words.feminine, words.numerals)} {noun}"
    )


def _agreeing(spoken: str, feminine: bool, numerals: str) -> str:
    """Return a numeral in the gender of its noun."""
    if not feminine:
        return re.sub(r"\buno$", "un", re.sub(r"veintiuno$", "veintiún", spoken))
    spoken = re.sub(r"\b(?:uno|un)$", "una" if numerals != "fr" else "une", spoken)
    if numerals == "pt_BR":
        return re.sub(r"\bum$", "uma", re.sub(r"\bdois$", "duas", spoken))
    if numerals == "es":
        return re.sub(r"veintiuno$", "veintiuna", re.sub("cientos", "cientas", spoken))
    return spoken


def plain_digits(text: str) -> str:
    """Return `text` with digits and fraction signs in ASCII. ² and ³ stay for the units."""
    out = []
    for char in text:
        if char.isdecimal():
            out.append(str(unicodedata.decimal(char)))
        elif unicodedata.category(char) == "No" and "\u2044" in (
            form := unicodedata.normalize("NFKC", char)
        ):
            out.append((" & " if out and out[-1].isdigit() else "") + form.replace("\u2044", "/"))
        else:
            out.append(char)
    return "".join(out).replace("−", "-").replace("\u2044", "/")


def speak_numbers(text: str, words: NumberWords) -> str:
    patterns = _PATTERNS[words.numerals]
    text = _GROUPS.sub(lambda m: ", ".join(_groups(m.group(), words)), text)
    text = _VERSION.sub(
        lambda m: f" {words.point} ".join(spoken_number(p, words) for p in m.group().split(".")),
        text,
    )
    text = _FRACTION.sub(lambda m: _fraction(int(m.group(1)), int(m.group(2)), words), text)
    text = _RANGE.sub(lambda m: f"{m.group(1)} {words.to} {m.group(2)}", text)
    text = re.sub(r"(?<=[^\W\d_])-?(?=\d)|(?<=\d)(?=[^\W\d_])", " ", text)
    text = _ONE.sub(lambda m: _one(m.group(1), words), text)
    if words.numerals in ("es", "pt_BR"):
        text = _ENDS_IN_ONE.sub(lambda m: _ending_in_one(m.group(1), m.group(2), words), text)
    text = patterns.negative.sub(f"{words.minus} ", text)
    return patterns.number.sub(lambda m: f" {spoken_number(m.group(), words)} ", text)


def _one(noun: str, words: NumberWords) -> str:
    feminine = noun.endswith("a") if words.numerals != "fr" else noun in words.feminine
    return _agreeing(cardinal(1, words), feminine, words.numerals) + " "


def _ending_in_one(written: str, noun: str, words: NumberWords) -> str:
    """Return a number before its plural noun: *veintiún libros*, *veintiuna mesas*."""
    spoken = spoken_number(written, words)
    if noun in _NO_NOUN:
        return f"{spoken} "
    feminine = noun.endswith("as") and not _MASCULINE.search(noun)
    return re.sub("veintiuno$", "veintiuna", _agreeing(spoken, feminine, words.numerals)) + " "


def _groups(written: str, words: NumberWords) -> list[str]:
    plus = f"{words.symbols['+']} " if written.startswith("+") else ""
    first, *rest = (spoken_number(part, words) for part in re.findall(r"\d+", written))
    return [plus + first, *rest]


def _fraction(top: int, bottom: int, words: NumberWords) -> str:
    known = words.fractions.get((top, bottom))
    return known or f"{cardinal(top, words)} {words.over} {cardinal(bottom, words)}"


def speak_money(text: str, words: NumberWords) -> str:
    patterns = _PATTERNS[words.numerals]
    text = patterns.money_before.sub(lambda m: _amount(m[1], m[3], m[4], m[2], words), text)
    return patterns.money_after.sub(lambda m: _amount(m[1], m[2], m[3], m[4], words), text)


def _amount(sign: str, written: str, scale: str | None, symbol: str, words: NumberWords) -> str:
    forms = words.currencies[symbol]
    prefix = f"{words.minus} " if sign else ""
    if scale in ("k", "mil", "mille", "mila"):
        thousand = cardinal(1000, words) if scale == "k" else scale
        return f"{prefix}{spoken_number(written, words)} {thousand} {forms[1]}"
    if scale:
        scale = (
            (words.magnitudes[1] if words.numerals == "es" else words.magnitudes[0])
            if scale == "M"
            else scale
        )
        link = words.of_money if words.numerals != "fr" or forms[1][0] in "aeiouy" else "de "
        return f"{prefix}{spoken_number(written, words)} {scale} {link}{forms[1]}"
    cents = re.fullmatch(r"(.+)[,.](\d\d)", written)
    if not cents or (cents.group(2) == "00"):
        return prefix + counted(cents.group(1) if cents else written, forms, words)
    join = {"es": " con ", "fr": " ", "it": " e ", "pt_BR": " e "}[words.numerals]
    whole = counted(cents.group(1), forms, words)
    return f"{prefix}{whole}{join}{cardinal(int(cents.group(2)), words)}"


def speak_units(text: str, words: NumberWords) -> str:
    return _PATTERNS[words.numerals].measure.sub(lambda m: _measure(m, words), text)


def _measure(match: re.Match[str], words: NumberWords) -> str:
    sign, low, high, unit = match.groups()
    prefix = f"{words.minus} " if sign else ""
    if high and match.string[match.end(2)] == "/" and low.isdigit() and high.isdigit():
        return f"{prefix}{_fraction(int(low), int(high), words)} {words.units[unit][0]}"
    if high:
        highest = counted(high, words.units[unit], words)
        return f"{prefix}{spoken_number(low, words)} {words.to} {highest}"
    if unit in "%‰":  # "uno por ciento": the numeral does not agree with a noun
        return f"{prefix}{spoken_number(low, words)} {words.units[unit][0]}"
    return prefix + counted(low, words.units[unit], words)


def speak_leftovers(text: str, words: NumberWords) -> str:
    """Return `text` with all other digits (², ⑦, Ⅳ …) read as their value."""
    out = []
    for char in text:
        value = unicodedata.numeric(char, None) if not char.isalpha() else None
        if value is None:
            out.append(char)
        else:
            out.append(f" {spoken_number(format(value, 'g').replace('.', ','), words)} ")
    return "".join(out)
