"""Make paragraphs of a PDF's lines, which know their places and nothing else.

Running heads, page numbers and the hyphens of divided words become blocks of kind `page`, after
the paragraph that they stand in.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from vivavoce.books.book import Block, BlockKind
from vivavoce.books.read.pdf.extract import HYPHEN
from vivavoce.books.read.pdf.heads import Line, running_heads
from vivavoce.books.read.plain import is_heading, joined

_LARGE: Final = 1.15  # of the usual size: a heading
_LOWEST: Final = 6  # level of a heading
_SMALL: Final = 0.92  # a footnote
_SAME: Final = 0.1  # difference of sizes in one paragraph
_HEADING_CHARS: Final = 120
_NOTE_MARK = re.compile(r"(?:\d{1,3}|[*†‡§¶]{1,3}|\[\d{1,3}\])\W*\s?\w")
_GAP: Final = 1.7  # heights of a line between the tops of two
_INDENT: Final = 0.8  # heights of a line
_RAGGED: Final = 2.5  # heights of a line that all lines but the last may lack at their end
_COMMON: Final = 5  # one in so many lines of a page begins at a margin
_SENTENCE_END = re.compile(r"[.!?…:。！？」』][\"'”’»)\]]*\Z")
_DIVIDED = re.compile(r"([^\W\d_]+)[-\u00ad\u2010\x02]\Z")
_WORD = re.compile(r"[^\W\d_]+")
_COMPOUND = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_HYPHENS: Final = "hyphens at the ends of lines"


@dataclass(frozen=True, slots=True)
class Placed:
    """A block, and the place where it begins."""

    block: Block
    page: int
    bottom: float  # of its first line
    size: float = 0.0


@dataclass(slots=True)
class _Layout:
    """The paragraph that is being read."""

    size: float  # of most lines
    compounds: frozenset[str]  # words with a hyphen inside a line
    lines: list[Line] = field(default_factory=list)
    kind: BlockKind = "paragraph"
    page: int = 0
    last_page: int = 0  # of its last line
    later: list[Block] = field(default_factory=list)

    def flush(self) -> Iterator[Placed]:
        """Yield the paragraph, and what stands beside it."""
        bottom = self.lines[0].bottom if self.lines else 0.0
        if self.lines:
            text, hyphens = self._joined()
            yield Placed(Block(text, self.kind), self.page, bottom, self.lines[0].size)
            if hyphens:
                yield Placed(Block(hyphens, "page", _HYPHENS), self.page, bottom)
        yield from (Placed(block, self.page, bottom) for block in self.later)
        self.lines, self.later = [], []

    def take(self, line: Line, page: int, margin: float, right: float) -> Iterator[Placed]:
        """Add a line to the paragraph, or begin a new one with it."""
        large = line.size >= _LARGE * self.size and len(line.text) <= _HEADING_CHARS
        kind: BlockKind = "heading" if large or is_heading([line.text]) else "paragraph"
        if self.lines and (kind != self.kind or self._begins(line, page, margin, right)):
            yield from self.flush()
        if not self.lines:
            yield from self.flush()
            self.kind, self.page = kind, page
        self.lines.append(line)
        self.last_page = page

    def _begins(self, line: Line, page: int, margin: float, right: float) -> bool:
        last = self.lines[-1]
        height = self.size
        if abs(line.size - last.size) > _SAME * height:
            return True
        below = last.top - line.top
        if page == self.last_page and (below > _GAP * max(height, line.size)):
            return True
        if self.kind == "heading":
            return page != self.last_page or below <= 0
        if line.left > margin + _INDENT * height and line.left > last.left - _INDENT * height:
            return True
        return last.right < right - _RAGGED * height and bool(_SENTENCE_END.search(last.text))

    def _joined(self) -> tuple[str, str]:
        """Return the text of the lines, and the hyphens that are no part of it."""
        parts: list[str] = []
        hyphens = []
        for line in self.lines:
            divided = _DIVIDED.search(parts[-1]) if parts else None
            goes_on = _WORD.match(line.text)
            if divided and goes_on and goes_on[0][0].islower():
                if f"{divided[1]}-{goes_on[0]}".lower() not in self.compounds:
                    hyphens.append(parts[-1][-1])
                    parts[-1] = parts[-1][:-1]
                    parts[-1] += line.text
                else:
                    parts.append(line.text)
            else:
                parts.append(line.text)
        text = joined([part.replace(HYPHEN, "-") for part in parts])
        return text, " ".join(hyphens).replace(HYPHEN, "-")


def paragraphs(pages: Sequence[Sequence[Line]]) -> list[Placed]:
    """Return the blocks of all pages."""
    sizes = [line.size for page in pages for line in page for _ in range(1 + len(line.text) // 20)]
    if not sizes:
        return []
    text = "\n".join(line.text for page in pages for line in page)
    compounds = frozenset(word.lower() for word in _COMPOUND.findall(text))
    heads = running_heads(pages)
    layout = _Layout(median(sizes), compounds)
    return _ranked(list(_placed(layout, pages, heads)))


def _ranked(placed: list[Placed]) -> list[Placed]:
    """Give headings their levels: 1 for "Chapter 1" and the like, below that by their sizes."""
    sizes = {round(each.size) for each in placed if each.block.kind == "heading"}
    ranks = {size: min(rank, _LOWEST) for rank, size in enumerate(sorted(sizes, reverse=True), 2)}
    return [
        replace(each, block=replace(each.block, level=_level(each, ranks)))
        if each.block.kind == "heading"
        else each
        for each in placed
    ]


def _level(placed: Placed, ranks: Mapping[int, int]) -> int:
    return 1 if is_heading([placed.block.text]) else ranks[round(placed.size)]


def _placed(
    layout: _Layout, pages: Sequence[Sequence[Line]], heads: Sequence[frozenset[int]]
) -> Iterator[Placed]:
    for number, page in enumerate(pages):
        body = [line for at, line in enumerate(page) if at not in heads[number]]
        notes = _notes(body, layout.size)
        noted = {id(line) for line in notes}
        margins = _margins(body)
        for at, line in enumerate(page):
            if at in heads[number]:
                layout.later.append(Block(line.text.replace(HYPHEN, "-"), "page"))
            elif id(line) not in noted:
                margin, right = _margin(margins, line)
                yield from layout.take(line, number, margin, right)
        layout.later += _note_blocks(notes)
        if not layout.lines:
            layout.page = number
            yield from layout.flush()
    yield from layout.flush()


def _margins(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """Return where lines of a page begin and end, for each column."""
    columns: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        columns[round(line.left)].append(line)
    usual = {
        left: column for left, column in columns.items() if len(column) * _COMMON >= len(lines)
    }
    return [
        (left - 1.0, max(line.right for line in column))
        for left, column in sorted(usual.items() or columns.items())
    ]


def _margin(margins: Sequence[tuple[float, float]], line: Line) -> tuple[float, float]:
    """Return the beginning and end of the column that a line is in."""
    found = [margin for margin in margins if margin[0] <= line.left]
    return found[-1] if found else (line.left, line.right)


def _notes(lines: Sequence[Line], size: float) -> list[Line]:
    """Return the small lines at the foot of a page that begin with the mark of a note."""
    notes: list[Line] = []
    for line in sorted(lines, key=lambda line: line.bottom):
        if line.size > _SMALL * size:
            break
        notes.append(line)
    notes.reverse()
    first = next((at for at, line in enumerate(notes) if _NOTE_MARK.match(line.text)), len(notes))
    del notes[:first]
    return notes if len(notes) < len(lines) else []


def _note_blocks(lines: Sequence[Line]) -> list[Block]:
    notes: list[list[str]] = []
    for line in lines:
        if not notes or _NOTE_MARK.match(line.text):
            notes.append([])
        notes[-1].append(line.text.replace(HYPHEN, "-"))
    return [Block(joined(note), "footnote") for note in notes]
