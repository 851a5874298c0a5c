"""Cut long texts into parts of a limited length, at the best places.

Each part is worked on by itself, so that no single step takes long.
"""

import unicodedata
from collections.abc import Iterator

from vivavoce.text.tracked import Tracked

_ENDS = (
    ("\n\n", "\n\n"),
    ("\n", " "),
    (". ", " "),
    ("。", ""),
    (" ", " "),
)  # where a part may end, the best first

Part = tuple[Tracked, str]  # a text, and what stands between it and the next


def windows(text: Tracked, size: int) -> Iterator[Part]:
    """Cut normalised `text` at its blank lines, and longer paragraphs into at most `size`."""
    for paragraph, gap in _by_paragraph(text):
        start = 0
        while len(paragraph) - start > size:
            end, _ = part_end(paragraph.text, start, size)
            yield paragraph[start:end], " "
            start = end
        yield paragraph[start:], gap


def _by_paragraph(text: Tracked) -> Iterator[Part]:
    start = 0
    while (end := text.text.find("\n\n", start)) >= 0:
        yield text[start:end], "\n\n"
        start = end + 2
    yield text[start:], ""


def part_end(text: str, start: int, size: int) -> tuple[int, str]:
    """Return the end of the part that begins at `start`, and what stands behind it."""
    stop = start + size
    if stop >= len(text):
        return len(text), ""
    for mark, gap in _ENDS:
        at = text.rfind(mark, start + size // 2, stop)
        if at >= 0:
            return at + len(mark), gap
    while stop > start + size // 2 and unicodedata.combining(text[stop]):
        stop -= 1  # a letter keeps its accents
    return stop, ""
