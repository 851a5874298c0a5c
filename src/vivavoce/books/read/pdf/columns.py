"""Put the lines of a PDF's page in the order of reading: column by column.

Columns are apart by a strip that few lines cross. Lines that cross it are headings, pictures'
captions and the like: what is above them is read first. Other pages keep the order of the file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from statistics import median
from typing import Final

_LINES: Final = 4  # of a column, at least
_SHARE: Final = 0.08  # of a page's lines that begin a column
_CROSSING: Final = 0.3  # of a page's lines, at most
_NARROWEST: Final = 0.2  # of the page's text, that a column takes
_FILLED: Final = 0.4  # of a column's width, that most of its lines take
_BEGINS: Final = 8  # places where columns may begin
_DEPTH: Final = 2
_ALL: Final = -1  # the number of what goes over all columns


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and its place, in points from the lower left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    beside: bool = False  # in one row with the line before it
    column: int = 0


def in_reading_order(page: Sequence[Line]) -> list[Line]:
    """Return the lines of a page. Those in one row and one column are one line."""
    return list(_ordered(page, count()))


def _ordered(lines: Sequence[Line], numbers: Iterator[int]) -> Iterator[Line]:
    gutter = _gutter(lines)
    if gutter is None:
        number = next(numbers)
        for row in _rows(lines):
            yield replace(row, column=number)
        return
    sides: tuple[list[Line], list[Line]] = ([], [])
    crossing: list[Line] = []
    for line in lines:  # of one that is written backwards, the ends are swapped
        low, high = min(line.left, line.right), max(line.left, line.right)
        where = sides[0] if high <= gutter else sides[1] if low >= gutter else crossing
        where.append(line)
    for line in sorted(crossing, key=lambda line: -line.top):
        for at, side in enumerate(sides):
            above = [each for each in side if each.top > line.top]
            sides[at][:] = [each for each in side if each.top <= line.top]
            yield from _ordered(above, numbers)
        yield replace(line, column=_ALL, beside=False)
    for side in sides:
        yield from _ordered(side, numbers)


def _rows(lines: Sequence[Line]) -> list[Line]:
    rows: list[Line] = []
    for line in lines:
        if line.beside and rows and line.left >= rows[-1].left:
            text = f"{rows[-1].text} {line.text}"
            rows[-1] = replace(rows[-1], text=text, right=max(line.right, rows[-1].right))
        else:
            rows.append(replace(line, beside=False))
    return rows


def _gutter(lines: Sequence[Line], depth: int = 0) -> float | None:
    """Return the beginning of the right column, or None if there is one column."""
    begins = Counter(round(line.left) for line in lines)
    enough = max(_LINES, _SHARE * len(lines))
    found: list[tuple[int, int, float]] = []
    for begin, lines_there in begins.most_common(_BEGINS):
        gutter = begin - 1.0
        left = [line for line in lines if line.right <= gutter] if lines_there >= enough else []
        right = [line for line in lines if line.left >= gutter]
        if len(left) >= _LINES and _are_columns(left, right, depth):
            crossing = len(lines) - len(left) - len(right)
            if crossing <= _CROSSING * len(lines):
                found.append((crossing, -min(len(left), len(right)), gutter))
    return min(found)[2] if found else None


def _are_columns(left: Sequence[Line], right: Sequence[Line], depth: int) -> bool:
    """True if both have the width of text, or columns again, and stand beside each other."""
    begin, end = min(line.left for line in left), max(line.right for line in right)
    spans = []
    for side in (left, right):
        width = max(line.right for line in side) - min(line.left for line in side)
        filled = median(line.right - line.left for line in side)
        is_filled = filled >= _FILLED * width
        if not is_filled and depth < _DEPTH:  # there may be more than two columns
            is_filled = _gutter(side, depth + 1) is not None
        if width < _NARROWEST * (end - begin) or not is_filled:
            return False
        spans.append((min(line.bottom for line in side), max(line.top for line in side)))
    (low, high), (other_low, other_high) = spans
    shared = min(high, other_high) - max(low, other_low)
    return shared >= min(high - low, other_high - other_low) / 2
