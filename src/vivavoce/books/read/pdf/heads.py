"""Find the running heads and page numbers of a PDF: lines at the edges of pages that come again."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Final

_EDGE_LINES: Final = 3  # at the top and at the bottom
_APART: Final = 1.5  # heights of a line between the tops of two heads
_BODY_ENDS: Final = (".", ",", ";", ":", "!", "?")
_NEAR: Final = 2  # pages; left and right ones have heads of their own
_USUAL: Final = 3  # pages, whose numbers are as far from their places
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

    - A head comes again near by, with the same number or with one that has grown as the pages have.
    - A number alone is that of its page, or as far from it as the numbers of two other pages.
    - No head is inside of a line that is none, or far below or above another one.
    """
    places: dict[Key, list[int]] = defaultdict(list)
    offsets: Counter[int] = Counter()
    for number, page in enumerate(pages):
        edges = {at for edge in _edges(page) for at in edge}
        keys = {key for at in edges for key in _keys(page[at].text, number)}
        offsets.update({offset for _, offset in keys if offset is not None})
        for key in keys:
            places[key].append(number)
    again = {
        (key, number)
        for key, numbers in places.items()
        for before, after in pairwise(numbers)
        if after - before <= _NEAR
        for number in (before, after)
    }
    usual = {1, *(offset for offset, count in offsets.items() if count >= _USUAL)}

    def is_head(text: str, number: int) -> bool:
        return _offset_alone(text, number) in usual or any(
            (key, number) in again for key in _keys(text, number)
        )

    return [
        frozenset(
            at
            for edge in _edges(page)
            for at in takewhile(lambda at: is_head(page[at].text, number), edge)  # noqa: B023
        )
        for number, page in enumerate(pages)
    ]


def _edges(page: Sequence[Line]) -> tuple[list[int], list[int]]:
    """Return the highest lines of a page and its lowest, from the edge inwards."""
    order = sorted(range(len(page)), key=lambda at: -page[at].top)
    return _near(page, order), _near(page, order[::-1])


def _near(page: Sequence[Line], order: Sequence[int]) -> list[int]:
    near = list(order[:1])
    for before, at in pairwise(order[:_EDGE_LINES]):
        if abs(page[before].top - page[at].top) > _APART * page[at].size:
            break
        near.append(at)
    return near


def _keys(text: str, page: int) -> Iterator[Key]:
    """Yield what two running heads have in common."""
    plain = " ".join(text.lower().split())
    if not _ALONE.fullmatch(plain) and not plain.endswith(_BODY_ENDS):
        yield plain, None
    for found in (_NUMBER.match(plain), *list(_NUMBER.finditer(plain))[-1:]):
        if found:
            yield plain[: found.start()] + "#" + plain[found.end() :], _value(found[0]) - page


def _offset_alone(text: str, page: int) -> int | None:
    """Return how far a number that stands alone is from the place of its page, or None."""
    found = _NUMBER.search(text)
    return _value(found[0]) - page if found and _ALONE.fullmatch(text.lower()) else None


def _value(number: str) -> int:
    if number.isdecimal():
        return int(number)
    values = [_ROMAN[letter] for letter in number.lower()]
    following = [*values[1:], 0]
    return sum(
        -each if each < after else each for each, after in zip(values, following, strict=True)
    )
