"""Read a page of HTML into blocks, in the order of its text.

A mark inside a paragraph, such as a footnote's number or that of a page, comes in a block of its
own after the paragraph, so that the paragraph stays whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from vivavoce.books.book import Block, BlockKind
from vivavoce.books.read.html.kinds import (
    BLOCKS,
    STRONG,
    UNREAD,
    is_hidden,
    kind_of,
    level_of,
)
from vivavoce.books.read.trees import Element, language_of, start_of, tag_of

_LINES: Final = frozenset(("caption", "table", "tr"))  # the blocks inside a table
_HOLD_NOTES: Final = frozenset((
    "aside", "dd", "div", "dt", "li", "p", "section", "td", "tr",
))  # fmt: skip
_BESIDE: Final = {"rt": "the reading of the text before it", "annotation": "a formula's source"}
_PICTURES: Final = frozenset(("area", "image", "img", "input"))
_INITIAL_CHARS: Final = 2
MARK_CHARS: Final = 12
Marks = frozenset[tuple[str, str]]  # the address and text of links


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, and the ids of the elements that begin in it."""

    block: Block
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notes:
    """The footnotes of a page: ids of their elements, and the links to notes on any page."""

    ids: frozenset[str] = frozenset()
    marks: Marks = frozenset()


def read_page(
    root: Element, source: str, *, notes: Notes, kind: BlockKind = "paragraph", skipped: str = ""
) -> Iterator[Piece]:
    """Yield the pieces of a page. `kind` and `skipped` are those of the whole page."""
    page = _Page(source, notes, [_Open("", kind, skipped)])
    last: Piece | None = None
    for piece in page.take(root):
        if last:
            yield last
        last = piece
    if last:
        yield Piece(last.block, (*last.ids, *page.ids))  # nothing follows these ids


@dataclass(slots=True)
class _Open:
    """An element that is open, and what is known of its text."""

    tag: str
    kind: BlockKind = "paragraph"
    skipped: str = ""
    language: str | None = None
    level: int = 0
    is_block: bool = True


@dataclass(slots=True)
class _Page:
    source: str
    notes: Notes
    open: list[_Open]  # the innermost one last
    text: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    paragraph: list[str] = field(default_factory=list)  # around the aside
    aside: _Open | None = None  # a mark inside a paragraph, which is open
    later: list[Block] = field(default_factory=list)  # what follows the paragraph

    def take(self, root: Element) -> Iterator[Piece]:
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if not isinstance(element.tag, str):
                continue
            if event == "start":
                yield from self._begin(element)
                self._add(element.text)
            else:
                yield from self._end()
                if element is not root:
                    self._add(element.tail)
        yield from self._flush()

    def _add(self, text: str | None) -> None:
        if text and self.open[-1].tag not in UNREAD:
            self.text.append(text)

    def _begin(self, element: Element) -> Iterator[Piece]:
        around = self.open[-1]
        if around.tag in UNREAD:
            self.open.append(around)
            return
        tag = tag_of(element)
        is_block = not self.aside and tag in (_LINES if around.kind == "table" else BLOCKS)
        if is_block:
            yield from self._flush()
        now = _Open(tag, around.kind, around.skipped, around.language, around.level, is_block)
        self._describe(now, element)
        self._name(now, element)
        self.open.append(now)
        if tag == "br" and around.kind == "verse" and not self.aside:
            yield from self._flush()
        elif tag in ("br", "td", "th", "text"):
            self.text.append(" ")
        elif tag in _PICTURES:
            yield from self._picture(element)
        elif not is_block and not self.aside and self._is_beside(now, element):
            self.aside, self.paragraph, self.text = now, self.text, []

    def _describe(self, now: _Open, element: Element) -> None:
        """Set the kind of an element, its language, and whether it is hidden."""
        kind = kind_of(element)
        fixed = now.kind in STRONG or (now.kind == "table" and kind not in (*STRONG, "caption"))
        if kind and not fixed:
            now.kind = kind
            now.level = level_of(element) if kind == "heading" else 0
        if now.is_block:
            now.language = language_of(element) or now.language
        if is_hidden(element):
            now.skipped = now.skipped or "hidden on the page"

    def _name(self, now: _Open, element: Element) -> None:
        """Keep the id of an element. One that a note's mark points to makes a footnote."""
        identifier = element.get("id") or (element.get("name") if now.tag == "a" else None)
        if not identifier:
            return
        self.ids.append(identifier)
        if identifier in self.notes.ids:
            owner = now if now.is_block else next(e for e in reversed(self.open) if e.is_block)
            if owner.tag in _HOLD_NOTES and owner.kind not in STRONG:
                owner.kind = now.kind = "footnote"

    def _is_beside(self, now: _Open, element: Element) -> bool:
        """True if an inline element is no part of the paragraph that it is in."""
        if now.tag in _BESIDE:
            now.kind, now.skipped = "alt_text", now.skipped or _BESIDE[now.tag]
        elif now.tag in ("title", "desc"):
            now.kind = "alt_text"
        elif self._is_mark(now.tag, element):
            now.kind, now.skipped = "footnote", now.skipped or "the mark of a note"
        around = self.open[-2]
        return (now.kind, now.skipped) != (around.kind, around.skipped)

    def _is_mark(self, tag: str, element: Element) -> bool:
        links = [element] if tag == "a" else list(element)[:1] if tag == "sup" else []
        return any(
            (link.get("href") or "", start_of(link)) in self.notes.marks
            and len(start_of(element)) <= MARK_CHARS
            for link in links
        )

    def _end(self) -> Iterator[Piece]:
        now = self.open[-1]
        if now is self.aside:
            block = self._block(now)
            self.aside, self.text = None, self.paragraph
            yield from self._beside(block)
        elif now.is_block and now.tag not in UNREAD:
            yield from self._flush()
        self.open.pop()

    def _picture(self, element: Element) -> Iterator[Piece]:
        """Take the words for a picture. One of a letter begins the word after it."""
        alt = " ".join((element.get("alt") or "").split())
        parent = element.getparent()
        after = element.tail or (parent is not None and parent.tail) or ""
        if len(alt) <= _INITIAL_CHARS and alt.isalpha() and after[:1].isalpha():
            self.text.append(alt)
        elif alt and self.aside:
            self.text.append(f" {alt} ")
        elif alt:
            now = self.open[-1]
            kind = now.kind if now.kind in STRONG else "alt_text"
            yield from self._beside(Block(alt, kind, now.skipped, now.language, self.source))

    def _beside(self, block: Block) -> Iterator[Piece]:
        if not block.text:
            return
        if any(map(str.strip, self.text)):
            self.later.append(block)
        else:
            yield Piece(block)

    def _flush(self) -> Iterator[Piece]:
        block = self._block(self.open[-1])
        self.text = []
        if block.text:
            yield Piece(block, tuple(self.ids))
            self.ids = []
        yield from map(Piece, self.later)
        self.later = []

    def _block(self, now: _Open) -> Block:
        text = " ".join("".join(self.text).split())
        return Block(text, now.kind, now.skipped, now.language, self.source, now.level)
