"""Find the running heads and page numbers of a PDF: lines at the edges of pages that come again."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_EDGE_LINES: Final = 2  # at the top and at the bottom
_NEAR: Final = 2  # pages; left and right ones have heads of their own
_NUMBER = re.compile(r"\d{1,5}|\b[ivxlc]{1,7}\b", re.IGNORECASE)
_ALONE = re.compile(
    r"\W*(?:page |p\. ?|seite |стр\. ?)?\d{1,5}(?: ?(?:of|/|von) ?\d{1,5})?\W*", re.I
)
_ROMAN: Final = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and its place, in points from the lower left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float


Key = tuple[str, int | None]


def running_heads(pages: Sequence[Sequence[Line]]) -> list[frozenset[int]]:
    """Return the places of running heads and page numbers in the lines of each page.

    A line is one if it comes again near by, with the same number or with one that has grown as the
    pages have. A number alone at an edge is one if it is that of its page.
    """
    places: dict[Key, list[int]] = defaultdict(list)
    edges = [_edges(page) for page in pages]
    for number, page in enumerate(pages):
        for key in {key for at in edges[number] for key in _keys(page[at].text, number)}:
            places[key].append(number)
    again = {
        (key, number)
        for key, numbers in places.items()
        for before, after in pairwise(numbers)
        if after - before <= _NEAR
        for number in (before, after)
    }
    return [
        frozenset(
            at
            for at in edges[number]
            if any((key, number) in again for key in _keys(page[at].text, number))
            or _is_number_of(page[at].text, number)
        )
        for number, page in enumerate(pages)
    ]


def _edges(page: Sequence[Line]) -> set[int]:
    order = sorted(range(len(page)), key=lambda at: -page[at].top)
    return {*order[:_EDGE_LINES], *order[-_EDGE_LINES:]}


def _keys(text: str, page: int) -> Iterator[Key]:
    """Yield what two running heads have in common."""
    plain = " ".join(text.lower().split())
    if not _ALONE.fullmatch(plain):
        yield plain, None
    for found in (_NUMBER.match(plain), *list(_NUMBER.finditer(plain))[-1:]):
        if found:
            yield plain[: found.start()] + "#" + plain[found.end() :], _value(found[0]) - page


def _is_number_of(text: str, page: int) -> bool:
    found = _NUMBER.search(text)
    return bool(_ALONE.fullmatch(text.lower()) and found and _value(found[0]) == page + 1)


def _value(number: str) -> int:
    if number.isdecimal():
        return int(number)
    values = [_ROMAN[letter] for letter in number.lower()]
    following = [*values[1:], 0]
    return sum(
        -each if each < after else each for each, after in zip(values, following, strict=True)
    )
