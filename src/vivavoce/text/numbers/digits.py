"""Separate digits that form no number: lists without spaces, and very long numbers.

Knows no language. The caller tells the meaning of a comma between two numbers.
"""

import re
from typing import Final

from vivavoce.text.tracked import Tracked

MAX_DIGITS: Final = 15  # longer ones are identifiers, and are read digit by digit

_NUMBERS = re.compile(r"([$€£¥₩₹]?)(\d++(?:,\d++)*+)")
_GROUPED = re.compile(r"\A\d{1,3}(?:,\d{3})++")


def separate(text: Tracked, *, decimal_comma: bool) -> Tracked:
    """Return `text` with spaces after list commas and between the digits of long numbers.

    A comma joins digits in groups of exactly three. With `decimal_comma` a single one between two
    numbers is left as it is. The sign of a currency goes behind the digits of a long number. Doing
    it twice changes nothing more.
    """
    return text.sub(_NUMBERS, lambda found: _apart(found[1], found[2], decimal_comma))


def _apart(sign: str, written: str, decimal_comma: bool) -> str:
    digits = written.replace(",", "")
    if _GROUPED.fullmatch(written):
        numbers = [written if len(digits) <= MAX_DIGITS else _spelled(digits)]
    else:
        numbers = [_spelled(number) for number in written.split(",")]
    mark = "," if decimal_comma and len(numbers) == 2 else ", "
    if sign and " " in numbers[0]:
        return f"{numbers[0]} {sign}" + "".join(mark + number for number in numbers[1:])
    return sign + mark.join(numbers)


def _spelled(digits: str) -> str:
    return " ".join(digits) if len(digits) > MAX_DIGITS else digits
