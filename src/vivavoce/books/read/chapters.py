"""Make chapters of blocks: by a table of contents, or by headings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vivavoce.books.book import Block, BlockKind, Chapter, Choices
from vivavoce.books.read.html.pages import Piece

_TITLE_CHARS: Final = 200
_LOWEST: Final = 6  # level of a heading
_OFF: Final = "the choice"
_EMPTYING: Final = frozenset(("footnote", "contents", "copyright"))
_CHOICES: Final[Mapping[BlockKind, str]] = {
    "footnote": "footnotes",
    "table": "tables",
    "caption": "captions",
    "alt_text": "alt_texts",
    "code": "code",
    "title_page": "title_page",
    "copyright": "copyright",
    "contents": "contents",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a table of contents, and the place that it points to."""

    title: str
    path: str
    fragment: str = ""
    depth: int = 1


@dataclass(slots=True)
class Draft:
    """A chapter that is being read."""

    title: str
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a book. One that `follows` never begins a chapter."""

    path: str
    pieces: Sequence[Piece]
    follows: bool = False


def finished(drafts: Iterable[Draft], choices: Choices, title: str) -> tuple[Chapter, ...]:
    """Return chapters with the reasons for what is not spoken. None has no block.

    A chapter without a title has that of its first heading, else `title`, the book's. Without a
    heading and with nothing spoken it is no chapter: its blocks belong to the next.
    """
    chapters = []
    before: list[Block] = []
    for draft in drafts:
        blocks = _without_bare_headings([_told(block, choices) for block in draft.blocks])
        headings = (block.text for block in blocks if block.kind == "heading")
        name = " ".join(draft.title.split()) or next(headings, "")
        if name or not all(block.skipped for block in blocks):
            name = (name or title)[:_TITLE_CHARS]
            chapters.append(Chapter(name, (*before, *blocks)))
            before = []
        else:
            before += blocks
    if before:
        last = chapters.pop() if chapters else Chapter(title[:_TITLE_CHARS], ())
        chapters.append(Chapter(last.title, (*last.blocks, *before)))
    return tuple(chapters)


def by_headings(blocks: Sequence[Block]) -> Iterator[Draft]:
    """Yield chapters that begin at headings, of the level that has two with those above it."""
    levels = sorted(block.level for block in blocks if block.kind == "heading")
    level = levels[1] if len(levels) > 1 else _LOWEST
    draft = Draft("", [])
    for block in blocks:
        if block.kind == "heading" and block.level <= level:
            yield draft
            draft = Draft("", [])
        draft.blocks.append(block)
    yield draft


def by_contents(pages: Iterable[Page], entries: Sequence[Entry]) -> Iterator[Draft]:
    """Yield chapters that begin where `entries` say.

    - Entries of the highest level that has two with those above it begin chapters. One below
      begins a chapter if it is the first for its page.
    - A page without an entry begins a chapter with a heading of level 1, of 2 if there are no
      entries. Any other belongs to the chapter before.
    """
    starts = _starts(entries)
    draft = Draft("", [])
    for page in pages:
        titles = {} if page.follows else starts.get(page.path, {})
        known = {identifier for piece in page.pieces for identifier in piece.ids}
        first = next((title for at, title in titles.items() if at not in known), None)
        if first is None and not titles and not page.follows and _opens(page, 1 if entries else 2):
            first = ""
        if first is not None:
            yield draft
            draft = Draft(first, [])
        for piece in page.pieces:
            opened = [titles[at] for at in piece.ids if at in titles]
            if opened:
                yield draft
                draft = Draft(opened[-1], [])
            draft.blocks.append(piece.block)
    yield draft


def _starts(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    """Return the titles of chapters by path and id, which is "" for a whole page."""
    starts: dict[str, dict[str, str]] = {}
    depths = sorted(entry.depth for entry in entries)
    depth = depths[1] if len(depths) > 1 else 1
    for entry in entries:
        if entry.depth <= depth or entry.path not in starts:
            starts.setdefault(entry.path, {}).setdefault(entry.fragment, entry.title)
    return starts


def _opens(page: Page, level: int) -> bool:
    """True if a page begins with a heading of `level` or above."""
    blocks = (piece.block for piece in page.pieces)
    first = next((block for block in blocks if block.kind not in ("page", "alt_text")), None)
    return first is not None and first.kind == "heading" and first.level <= level


def _without_bare_headings(blocks: list[Block]) -> list[Block]:
    """Leave out headings that have nothing below them but notes and the like, left out."""
    left_out = [False] * (_LOWEST + 1)  # below the next heading of each level
    spoken = [False] * (_LOWEST + 1)
    for at in reversed(range(len(blocks))):
        block = blocks[at]
        if block.kind != "heading" or block.skipped:
            for level in range(_LOWEST + 1):
                left_out[level] |= block.skipped.startswith(_OFF) and block.kind in _EMPTYING
                spoken[level] |= not block.skipped
            continue
        level = block.level
        bare = left_out[level] and not spoken[level]
        if bare:
            blocks[at] = replace(block, skipped="all below it is left out")
        for lower in range(level, _LOWEST + 1):
            left_out[lower] = spoken[lower] = False
        for upper in range(level):
            spoken[upper] |= not bare
    return blocks


def _told(block: Block, choices: Choices) -> Block:
    """Return `block` with the reason why it is not spoken, if there is one."""
    choice = _CHOICES.get(block.kind)
    if block.skipped:
        return block
    if block.kind == "page":
        return replace(block, skipped="page number or running head")
    if choice and not getattr(choices, choice):
        return replace(block, skipped=f"{_OFF} {choice!r} is off")
    if not any(map(str.isalnum, block.text)):
        return replace(block, skipped="no letters or digits")
    return block
