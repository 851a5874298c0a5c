"""Make paragraphs of a PDF's lines, which know their places and nothing else.

Running heads, page numbers and the hyphens of divided words become blocks of kind `page`, marks of
notes become footnotes, all after the paragraph that they stand in.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from statistics import median
from typing import Final

from vivavoce.books.book import Block, BlockKind
from vivavoce.books.read.pdf.columns import Line, in_reading_order
from vivavoce.books.read.pdf.contents import contents_of, plain, titles_of
from vivavoce.books.read.pdf.extract import HYPHEN, MARK, MARK_END
from vivavoce.books.read.pdf.heads import Heads, running_heads
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
_MARK = re.compile(f"{MARK}([^{MARK_END}]*){MARK_END}")
# Of a note after a word or its punctuation. A raised number after a digit or a unit is a power.
_NOTED = re.compile(r"(?:[^\W\d_]{2}|[.,;:!?…。！？、」』)\]\"'”’»*†‡])\Z")
_UNITS = re.compile(r"(?:\b|\d)[mcdk]m\Z")


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
    titles: frozenset[str]  # of chapters, as a table of contents has them
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
            text, marks = _without_marks(text)
            if text:
                yield Placed(Block(text, self.kind), self.page, bottom, self.lines[0].size)
            if hyphens:
                yield Placed(Block(hyphens, "page", _HYPHENS), self.page, bottom)
            yield from (Placed(Block(mark, "footnote"), self.page, bottom) for mark in marks)
        yield from (Placed(block, self.page, bottom) for block in self.later)
        self.lines, self.later = [], []

    def take(
        self, line: Line, page: int, margins: tuple[float, float], kind: BlockKind = "paragraph"
    ) -> Iterator[Placed]:
        """Add a line to the paragraph, or begin a new one with it."""
        margin, right = margins
        large = line.size >= _LARGE * self.size and len(line.text) <= _HEADING_CHARS
        words = _without_marks(line.text)[0]
        named = is_heading([words]) or plain(words) in self.titles
        if kind == "paragraph" and (large or named):
            kind = "heading"
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
        if abs(line.size - last.size) > _SAME * height or self.kind == "contents":
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
    ordered = [in_reading_order(page) for page in pages]
    text = "\n".join(line.text for page in ordered for line in page)
    compounds = frozenset(word.lower() for word in _COMPOUND.findall(text))
    tables = contents_of(ordered)
    layout = _Layout(median(sizes), compounds, titles_of(ordered, tables))
    placed = _placed(layout, ordered, running_heads(ordered), tables)
    return _ranked(list(placed), layout.titles)


def _ranked(placed: list[Placed], titles: frozenset[str]) -> list[Placed]:
    """Give headings their levels: 1 for "Chapter 1" and the like, below that by their sizes."""
    sizes = {round(each.size) for each in placed if each.block.kind == "heading"}
    ranks = {size: min(rank, _LOWEST) for rank, size in enumerate(sorted(sizes, reverse=True), 2)}
    return [
        replace(each, block=replace(each.block, level=_level(each, ranks, titles)))
        if each.block.kind == "heading"
        else each
        for each in placed
    ]


def _level(placed: Placed, ranks: Mapping[int, int], titles: frozenset[str]) -> int:
    text = placed.block.text
    return 1 if is_heading([text]) or plain(text) in titles else ranks[round(placed.size)]


def _placed(
    layout: _Layout,
    pages: Sequence[Sequence[Line]],
    heads: Sequence[Heads],
    tables: Sequence[frozenset[int]],
) -> Iterator[Placed]:
    unfinished = False  # the last note of the page before
    for number, page in enumerate(pages):
        running, opening = heads[number].running, heads[number].opening
        body = [line for at, line in enumerate(page) if at not in running]
        notes = _notes(body, layout.size, unfinished)
        unfinished = bool(notes) and not _SENTENCE_END.search(notes[-1].text)
        noted = {id(line) for line in notes}
        margins = _margins(body)
        for at, line in enumerate(page):
            if at in running:
                layout.later.append(Block(_plain(line.text), "page"))
            elif id(line) not in noted:
                kind: BlockKind = "contents" if at in tables[number] else "paragraph"
                kind = "heading" if at in opening else kind
                yield from layout.take(line, number, _margin(margins, line), kind)
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


def _notes(lines: Sequence[Line], size: float, unfinished: bool) -> list[Line]:
    """Return the small lines at the foot of each column that begin with the mark of a note.

    If the last note of the page before is `unfinished`, they need no mark.
    """
    columns: dict[int, list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: line.bottom):
        columns[line.column].append(line)
    found: list[Line] = []
    for column in columns.values():
        notes = list(takewhile(lambda line: line.size <= _SMALL * size, column))[::-1]
        marked = (at for at, line in enumerate(notes) if _NOTE_MARK.match(_plain(line.text)))
        found += notes[0 if unfinished else next(marked, len(notes)) :]
    return found if len(found) < len(lines) else []


def _note_blocks(lines: Sequence[Line]) -> list[Block]:
    notes: list[list[str]] = []
    for line in lines:
        if not notes or _NOTE_MARK.match(_plain(line.text)):
            notes.append([])
        notes[-1].append(_plain(line.text))
    return [Block(joined(note), "footnote") for note in notes]


def _plain(text: str) -> str:
    """Return a line as it looks."""
    return text.replace(HYPHEN, "-").replace(MARK, "").replace(MARK_END, "")


def _without_marks(text: str) -> tuple[str, list[str]]:
    """Return a text without the marks of notes, and the marks."""
    parts, marks, at = list[str](), list[str](), 0
    for mark in _MARK.finditer(text):
        parts.append(text[at : mark.start()])
        before, at = parts[-1] or "".join(parts[-2:]), mark.end()
        if _NOTED.search(before) and not _UNITS.search(before):
            marks.append(mark[1])
        else:
            parts.append(mark[1])
    return " ".join("".join([*parts, text[at:]]).split()), marks
