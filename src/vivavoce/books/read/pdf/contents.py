"""Find the tables of contents of a PDF: lines that end with the number of a page."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.books.read.pdf.columns import Line
from vivavoce.books.read.plain import CONTENTS

_LEADERS: Final = " .·…_\u2024\u2025"  # between a title and its number
_LEADER_CHARS: Final = 3
_LINES: Final = 3  # of a table, at least
_INDENT: Final = 0.8  # heights of a line, of entries below others
_TITLE_CHARS: Final = 3  # a title as short as this is no name of a chapter
_ENDING = re.compile(r"(?:\d{1,4}|[ivxlc]{1,7}|[IVXLC]{1,7})\Z")
_NUMBERED = re.compile(r"\A(?:\d{1,3}|[ivxlc]{1,7})(?:\.\d{1,3})*[.): ]\s*", re.IGNORECASE)


def contents_of(pages: Sequence[Sequence[Line]]) -> list[frozenset[int]]:
    """Return the places of the tables' lines in each page, with their headings.

    A table has dots before its numbers, or is headed "Contents" and goes on from page to page.
    """
    found: list[frozenset[int]] = []
    goes_on = False
    for page in pages:
        heads = [at for at, line in enumerate(page) if CONTENTS.fullmatch(line.text.strip())]
        dotted = [at for at, line in enumerate(page) if _is_entry(line.text, has_leader=True)]
        first = heads[0] if heads else 0 if goes_on else len(page)
        listed = [at for at in range(first, len(page)) if _is_entry(page[at].text)]
        is_table = len(listed) >= _LINES and 2 * len(listed) >= len(page) - first - 1
        places = set(listed if is_table else [])
        places |= set(dotted if len(dotted) >= _LINES or is_table else [])
        if places:
            places |= set(heads[:1])
        goes_on = bool(places)
        found.append(frozenset(places))
    return found


def titles_of(pages: Sequence[Sequence[Line]], tables: Sequence[frozenset[int]]) -> frozenset[str]:
    """Return the titles in the tables as `plain` has them, of the entries that are not indented."""
    titles: set[str] = set()
    for page, table in zip(pages, tables, strict=True):
        lines = [page[at] for at in table if _is_entry(page[at].text)]
        edge = min((line.left + _INDENT * line.size for line in lines), default=0.0)
        for line in lines:
            if line.left <= edge:
                title = _title(line.text)
                titles |= {plain(title), plain(_NUMBERED.sub("", title))}
    return frozenset(title for title in titles if len(title) > _TITLE_CHARS)


def plain(text: str) -> str:
    """Return the letters and digits of a title, in lower case."""
    return "".join(filter(str.isalnum, text.lower()))


def _is_entry(text: str, *, has_leader: bool = False) -> bool:
    title = _title(text)
    left_out = text[len(title) :]
    leaders = sum(left_out.count(each) for each in _LEADERS.strip())
    if not any(map(str.isalnum, title)) or (has_leader and leaders < _LEADER_CHARS):
        return False
    return bool(left_out.strip(_LEADERS))


def _title(text: str) -> str:
    """Return a line without the number at its end, and without what is between them."""
    end = text.rstrip()
    found = _ENDING.search(end)
    if not found or end[: found.start()].rstrip(_LEADERS) == end[: found.start()]:
        return text
    return end[: found.start()].rstrip(_LEADERS)
