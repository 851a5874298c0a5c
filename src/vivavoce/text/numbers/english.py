"""Rewrite the English forms that hibari's normaliser cannot read.

The normaliser reads plain numbers, dates, times, money, units and most symbols. This module knows
only the rest, and keeps digits.
"""

import re
import unicodedata
from typing import Final

from vivavoce.text.numbers.digits import set_apart

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_HALVES = {
    "1/2": "a half",
    "1/4": "a quarter",
    "3/4": "three quarters",
    "1/3": "a third",
    "2/3": "two thirds",
}
_MIXED = re.compile(r"(\d) ?\[(\d/\d)\]")
_AREA = re.compile(rf"(?<![\w.])(?<!\d,)({_NUMBER})\s?(km|m|cm|mm|ft|mi|in)(²|³|(?<=m)[23])(?!\w)")
_LENGTHS = {
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "mi": "mile",
    "in": "inch",
}
_BILLIONS = re.compile(rf"([$£€])({_NUMBER})\s?(bn|tn)\b")
_REAIS = re.compile(rf"R\$\s?({_NUMBER})")
_DOTTED = re.compile(r"(?<![\w,])(?<!\d\.)(v?)(\d+(?:\.\d+){2,})(?!\w)")
_IDENTIFIER = re.compile(r"(?<![\w.,:/$£€¥-])(0\d+|\d{16,})(?![\w.,:/-]\d|\w)")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"“”]*[\w/]|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"
    r"|(?<![\w-])(?<![\w-]\.)\w[\w-]*+(?:\.[\w-]++)*\.(?:com|org|net|edu|gov|info|io|dev|app|ai|eu|uk|us|ca|au)\b(?:/[\w/.-]*\w)?"
)
_ADDRESS_MARKS = {
    ".": "dot",
    "/": "slash",
    "@": "at",
    "_": "underscore",
    "-": "dash",
    "=": "equals",
    "&": "and",
}
_SPACED_THOUSANDS = re.compile(
    r"(?<![\d+])(?<!\d[ .,-])\d{1,3}(?:(?:[\u00a0\u202f]\d{3})+| 000(?: 000)*)(?!\d)"
)
_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
_SIGN_BEHIND = re.compile(r"(?<=\d) ?([$£€])(?! ?\d)")
MAX_RUN_CHARS: Final = (
    40  # of what has no space: hibari's time grows with the third power of its length
)
# A run of more parts than this is broken too: each part of a-b-c costs as much as a long word.
MAX_RUN_PARTS: Final = 8
_REJOINED = frozenset(",.;:!?")  # hibari takes the spaces before these away
_SPACE_TAKEN = re.compile(r"(?<!\s)\s++(?=[,.;:!?])")
_LONG_RUN = re.compile(rf"\S{{{MAX_RUN_CHARS + 1},}}+")
_MANY_PARTS = re.compile(rf"(?:\w{{1,{MAX_RUN_CHARS}}}+[^\w\s,.;:!?]){{{MAX_RUN_PARTS}}}(?=\w)")
_SYMBOLS = {
    "≈": "approximately", "∞": "infinity", "√": "square root of", "‰": "per mille",
    "≤": "less than or equal to",
    "≥": "greater than or equal to", "≠": "is not equal to", "Ω": "ohms",
}  # fmt: skip


def verbalize_english(text: str) -> str:
    """Return `text` with the forms that hibari cannot read replaced by ones that it can."""
    text = _MIXED.sub(
        lambda m: f"{m.group(1)} and {_HALVES.get(m.group(2), m.group(2))}", _plain_digits(text)
    )
    text = re.sub(r"\[(\d+/\d+)\]", r"\1", text)
    text = _ADDRESS.sub(lambda m: _address(m.group()), text)
    text = _SPACED_THOUSANDS.sub(lambda m: re.sub(r"\s", ",", m.group()), text)
    text = _SIGN_BEHIND.sub(lambda m: f" {_CURRENCIES[m[1]]}", set_apart(text, decimal_comma=False))
    text = _AREA.sub(_area, text)
    text = _BILLIONS.sub(
        lambda m: f"{m.group(1)}{m.group(2)} {'billion' if m.group(3) == 'bn' else 'trillion'}",
        text,
    )
    text = _REAIS.sub(r"\1 reais", text)
    text = _DOTTED.sub(
        lambda m: ("version " if m.group(1) else "") + m.group(2).replace(".", " point "), text
    )
    text = _IDENTIFIER.sub(lambda m: " ".join(m.group()), text)
    for symbol, words in _SYMBOLS.items():
        text = text.replace(symbol, f" {words} ")
    return re.sub(r"[ \t]+", " ", break_runs(text)).strip()


def break_runs(text: str) -> str:
    """Return `text` with spaces in its runs of more than `MAX_RUN_CHARS` or `MAX_RUN_PARTS`."""
    broken = _LONG_RUN.sub(lambda m: _broken(m[0]), _SPACE_TAKEN.sub("", text))
    return _MANY_PARTS.sub(r"\g<0> ", broken)


def _broken(run: str) -> str:
    """Return a run in parts of at most `MAX_RUN_CHARS`. A part ends at a mark if possible."""
    out = []
    while len(run) > MAX_RUN_CHARS:
        ends = [
            at for at in range(MAX_RUN_CHARS, MAX_RUN_CHARS // 2, -1) if run[at] not in _REJOINED
        ]
        end = next(
            (at for at in ends if not run[at - 1].isalnum()), ends[0] if ends else MAX_RUN_CHARS
        )
        out.append(run[:end])
        run = run[end:]
    return " ".join([*out, run])


def _plain_digits(text: str) -> str:
    """Return `text` with digits in ASCII, number signs as numbers, fractions in brackets."""
    out = []
    for char in text:
        if char.isascii() or char in "²³":
            out.append(char)
        elif char.isdecimal():
            out.append(str(unicodedata.decimal(char)))
        elif "\u2044" in (form := unicodedata.normalize("NFKC", char)):
            apart = " " if out and out[-1].endswith("]") else ""
            out.append(f"{apart}[{form.replace(chr(0x2044), '/')}]")
        elif unicodedata.category(char) in ("No", "Nl"):
            out.append(f" {unicodedata.numeric(char):g} ")
        else:
            out.append(char)
    return "".join(out)


def _address(address: str) -> str:
    address = re.sub("^https?://", "", address)
    return re.sub(r"\W|_", lambda m: f" {_ADDRESS_MARKS.get(m.group(), '')} ", address)


def _area(match: re.Match[str]) -> str:
    number, unit, power = match.groups()
    noun = (
        "feet"
        if unit == "ft"
        else _LENGTHS[unit] + ("" if number == "1" else "es" if unit == "in" else "s")
    )
    return f"{number} {'square' if power in '²2' else 'cubic'} {noun}"
