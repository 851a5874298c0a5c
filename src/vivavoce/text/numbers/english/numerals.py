"""Write English numerals: cardinals, ordinals, years, digits, decimals and fractions.

Knows no text around them. American usage: no "and" after "hundred".
"""

from itertools import zip_longest
from typing import Final

MAX_DIGITS: Final = 15  # longer numbers are read digit by digit

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def cardinal(number: int) -> str:
    """Return `number`, of up to 15 digits, in words: "one thousand two hundred five"."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" {cardinal(rest)}" if rest else "")
    groups = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(cardinal(group) + scale)
    return " ".join(reversed(groups))


def ordinal(number: int) -> str:
    """Return the ordinal of `number`: "twenty-first"."""
    words = cardinal(number)
    last = words.replace("-", " ").rpartition(" ")[2]
    head = words.removesuffix(last)
    if last in _ORDINALS:
        return head + _ORDINALS[last]
    return head + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def pairs(written: str) -> str:
    """Return digits in pairs, as in years and rooms: "nineteen oh five", "one oh one"."""
    high, low = written[:-2], written[-2:]
    if low == "00":
        return f"{cardinal(int(high))} hundred"
    return f"{cardinal(int(high))} {'oh ' if low[0] == '0' else ''}{cardinal(int(low))}"


def year(number: int) -> str:
    """Return the year `number`: "nineteen oh five", "two thousand seven", "twenty ten"."""
    if number < 1000 or number > 9999 or number % 1000 < 10:
        return cardinal(number)
    return pairs(str(number))


def decade(number: int) -> str:
    """Return the decade that begins with `number`: "nineteen nineties", "eighteen hundreds"."""
    words = year(number)
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def digits(written: str, zero: str = "zero") -> str:
    """Return the digits of `written` one by one."""
    return " ".join(zero if c == "0" else _ONES[int(c)] for c in written if c.isdecimal())


def number(written: str) -> str:
    """Return a number as it is written, with commas or a point: "one thousand point five"."""
    whole, point, rest = written.replace(",", "").partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        spoken = digits(whole)
    else:
        spoken = cardinal(int(whole)) if whole else ""
    return f"{spoken} point {digits(rest)}".strip() if point and rest else spoken


def version(written: str) -> str:
    """Return a version: "three point ten", "two point oh", "twenty-two point oh four"."""
    first, *rest = written.split(".")
    return " point ".join([number(first), *(_part(part) for part in rest)])


def _part(part: str) -> str:
    if part.startswith("0") and len(part) > 1:
        return digits(part, "oh")
    return digits(part) if len(part) > 2 else cardinal(int(part))


def fraction(top: int, bottom: int) -> str:
    """Return a fraction: "one half", "two thirds", "seven sixteenths"."""
    if bottom in (2, 4):
        name, many = ("half", "halves") if bottom == 2 else ("quarter", "quarters")
    else:
        name = ordinal(bottom)
        many = f"{name}s"
    return f"{cardinal(top)} {name if top == 1 else many}"


def mixed(whole: int, top: int, bottom: int) -> str:
    """Return a mixed number: "one and a half", "two and three quarters"."""
    part = fraction(top, bottom)
    return f"{cardinal(whole)} and {part.replace('one ', 'a ', 1) if top == 1 else part}"


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(numeral: str) -> int:
    """Return the value of a Roman numeral."""
    values = [_ROMAN[letter] for letter in numeral]
    return sum(
        -one if one < two else one for one, two in zip_longest(values, values[1:], fillvalue=0)
    )
