"""Find the running heads and page numbers of a PDF: lines at the edges of pages that come again."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Final

from vivavoce.books.read.pdf.columns import Line
from vivavoce.books.read.plain import is_heading

_EDGE_LINES: Final = 3  # at the top and at the bottom
_LARGER: Final = 1.05  # times a running head's size
_APART: Final = 1.5  # heights of a line between the tops of two heads
_BODY_ENDS: Final = (".", ",", ";", ":", "!", "?")
_NEAR: Final = 2  # pages; left and right ones have heads of their own
_USUAL: Final = 3  # pages, whose numbers are as far from their places
_NUMBER = re.compile(r"\d{1,5}|\b[ivxlc]{1,7}\b", re.IGNORECASE)
_ALONE = re.compile(
    r"\W*(?:page |p\. ?|seite |стр\. ?)?\d{1,5}(?: ?(?:of|/|von) ?\d{1,5})?\W*", re.I
)
_ROMAN: Final = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Heads:
    """Places in the lines of a page: of running heads, and of the heading that comes again."""

    running: frozenset[int] = frozenset()
    opening: frozenset[int] = frozenset()


def running_heads(pages: Sequence[Sequence[Line]]) -> list[Heads]:
    """Find the running heads and page numbers of each page.

    - A head comes again near by, with the same number or with one that has grown as the pages have.
    - A number alone is that of its page, or as far from it as the numbers of two other pages.
    - No head is inside of a line that is none, or far below or above another one.
    - The first of a run at the top of a page may be the heading of a chapter, which later pages
      repeat. It is, if it reads so ("Chapter 1"), is larger, or stands lower than the next.
    """
    places: dict[Key, dict[int, int]] = defaultdict(dict)  # by page, the first on each
    offsets: Counter[int] = Counter()
    for number, page in enumerate(pages):
        edges = sorted({at for edge in _edges(page) for at in edge}, key=lambda at: -page[at].top)
        found = [(key, at) for at in edges for key in _keys(page[at].text, number)]
        offsets.update({offset for (_, offset), _ in found if offset is not None})
        for key, at in found:
            places[key].setdefault(number, at)
    again = {
        (key, number)
        for key, numbers in places.items()
        for before, after in pairwise(numbers)
        if after - before <= _NEAR
        for number in (before, after)
    }
    usual = {1, *(offset for offset, count in offsets.items() if count >= _USUAL)}

    openings = _openings(pages, [own for (_, offset), own in places.items() if offset is None])

    def is_head(text: str, number: int) -> bool:
        return _offset_alone(text, number) in usual or any(
            (key, number) in again for key in _keys(text, number)
        )

    found_heads = []
    for number, page in enumerate(pages):
        own = frozenset(at for of, at in openings if of == number)
        running = (
            at
            for edge in _edges(page)
            for at in takewhile(
                lambda at: at not in own and is_head(page[at].text, number),  # noqa: B023
                edge,
            )
        )
        found_heads.append(Heads(frozenset(running), own))
    return found_heads


def _openings(
    pages: Sequence[Sequence[Line]], runs: Iterable[Mapping[int, int]]
) -> set[tuple[int, int]]:
    """Return page and place of the headings that later pages repeat as running heads."""
    found = set()
    for places in runs:
        before = -_NEAR - 1
        for number, following in pairwise(places):
            is_first, before = number - before > _NEAR, number
            at, page = places[number], pages[number]
            line, again = page[at], pages[following][places[following]]
            if (
                is_first
                and following - number <= _NEAR
                and at in _edges(page)[0]
                and (
                    is_heading([line.text])
                    or line.size > _LARGER * again.size
                    or again.top - line.top > line.size
                )
                and not any(_repeats(other, line) for other in page if other is not line)
            ):
                found.add((number, at))
    return found


def _repeats(line: Line, head: Line) -> bool:
    return " ".join(line.text.lower().split()).startswith(" ".join(head.text.lower().split()))


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
    heads_chapter = is_heading([text])
    for found in (_NUMBER.match(plain), *list(_NUMBER.finditer(plain))[-1:]):
        if found:
            rest = " ".join(text.split())[: found.start()].strip()
            if heads_chapter and rest and not is_heading([rest]):
                continue  # the number of a chapter, not of a page
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
