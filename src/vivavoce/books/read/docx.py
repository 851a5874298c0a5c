"""Read a Word document: its paragraphs, lists, tables and notes, as chapters by its headings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from vivavoce.books.book import Block, BlockKind, Book, Choices
from vivavoce.books.read.archive import Archive, open_archive
from vivavoce.books.read.chapters import by_headings, finished
from vivavoce.books.read.encodings import decode
from vivavoce.books.read.metadata import date_of, language_code
from vivavoce.books.read.refusal import refused, title_of
from vivavoce.books.read.trees import Element, parse_xml, tag_of

_MAIN: Final = "word/document.xml"
# Names are found in any namespace: Word has one, its strict form another.
_TEXTS: Final = frozenset(("t", "deltext"))
_SPACES: Final = frozenset(("br", "cr", "ptab", "tab", "tc"))
# Apart from the text, or in it twice.
_UNREAD: Final = frozenset(("fallback", "instrtext", "delinstrtext", "rpr", "ppr", "sectpr"))
_BESIDE: Final[Mapping[str, tuple[BlockKind, str]]] = {
    "del": ("paragraph", "deleted in the document"),
    "movefrom": ("paragraph", "moved to another place in the document"),
    "rt": ("alt_text", "the reading of the text before it"),
}
_OTHERS: Final[Mapping[str, tuple[BlockKind, str]]] = {
    "header": ("page", ""),
    "footer": ("page", ""),
    "comments": ("footnote", "a comment on the document"),
}
_OTHER_PART = re.compile(r"word/(header|footer|comments)\d*\.xml")
_HEADING = re.compile(r"heading (\d)")
_CODE = re.compile("[0-9A-Fa-f]{4}")
_BY_NAME: Final[Mapping[BlockKind, re.Pattern[str]]] = {
    "title_page": re.compile(r"title|subtitle"),
    "contents": re.compile(r"(?:toc|index)\b.*|table of .*"),
    "caption": re.compile(r"caption"),
    "quote": re.compile(r"(?:intense |block )?quote|block text"),
    "footnote": re.compile(r"(?:footnote|endnote) text"),
    "list_item": re.compile(r"list\b.*"),
    "code": re.compile(r"html preformatted|code|source code|macro"),
}


@dataclass(frozen=True, slots=True)
class _Style:
    kind: BlockKind = "paragraph"
    level: int = 0


@dataclass(slots=True)
class _Frame:
    """A block that is open."""

    tag: str
    style: _Style
    skipped: str
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """A part of the document that is being read: the text, a note, a header."""

    source: str
    styles: Mapping[str, _Style]
    base: _Style = _Style()
    skipped: str = ""
    notes: Mapping[str, Sequence[Block]] = field(default_factory=dict)
    frames: list[_Frame] = field(default_factory=list)  # the innermost last
    later: list[Block] = field(default_factory=list)  # what follows the outermost

    def take(self, root: Element) -> Iterator[Block]:
        unread: Element | None = None
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if not isinstance(element.tag, str):
                continue
            tag = tag_of(element)
            if unread is not None:
                unread = None if element is unread else unread
            elif event == "end":
                yield from self._end(tag)
            elif tag in _UNREAD:
                unread = element
                if tag == "ppr" and self.frames and self.frames[-1].tag == "p":
                    self.frames[-1].style = self._style(element)
            else:
                self._begin(tag, element)

    def _begin(self, tag: str, element: Element) -> None:
        in_row = any(frame.tag == "tr" for frame in self.frames)
        if tag == "tr" and not in_row and len(element.findall("{*}tc")) > 1:
            kind: BlockKind = "table" if self.base.kind == "paragraph" else self.base.kind
            self.frames.append(_Frame(tag, _Style(kind), self.skipped))
        elif tag == "p" and not in_row:
            self.frames.append(_Frame(tag, self.base, self.skipped))
        elif tag in _BESIDE and self.frames:
            kind, why = _BESIDE[tag]
            self.frames.append(_Frame(tag, _Style(kind), self.skipped or why))
        elif tag in _TEXTS:
            self._add(element.text or "")
        elif tag in _SPACES or tag == "p":
            self._add(" ")
        elif tag == "nobreakhyphen":
            self._add("-")
        elif tag == "sym":
            code = _value(element, "char")
            self._add(chr(int(code, 16)) if _CODE.fullmatch(code) else "")
        elif tag in ("footnotereference", "endnotereference"):
            self.later += self.notes.get(f"{tag[:-9]} {_value(element, 'id')}", ())
        elif tag == "docpr" and (words := " ".join((element.get("descr") or "").split())):
            self.later.append(Block(words, "alt_text", self.skipped, source=self.source))

    def _end(self, tag: str) -> Iterator[Block]:
        if not self.frames or self.frames[-1].tag != tag:
            return
        frame = self.frames.pop()
        text = " ".join("".join(frame.texts).split())
        kind, level = frame.style.kind, frame.style.level
        block = Block(text, kind, frame.skipped, source=self.source, level=level)
        if self.frames:
            self.later += [block] if text else []
            return
        if text:
            yield block
        yield from self.later
        self.later = []

    def _add(self, text: str) -> None:
        if self.frames:
            self.frames[-1].texts.append(text)

    def _style(self, properties: Element) -> _Style:
        """Return the style of a paragraph. Of a note, only the note's own counts."""
        if self.base.kind != "paragraph":
            return self.base
        style = self.styles.get(_value(properties.find("{*}pStyle")), _Style())
        level = _outline(properties)
        if level:
            return _Style("heading", level)
        is_list = style.kind == "paragraph" and properties.find("{*}numPr") is not None
        return _Style("list_item") if is_list else style


def read_docx(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in `data`. Raises `BadRequest` (`file`)."""
    archive = open_archive(data, name)
    if _MAIN not in archive:
        raise refused(name, f"is a zip file but no Word document: it has no {_MAIN!r}")
    root = _tree(archive, _MAIN)
    if root is None:
        raise refused(name, f"is damaged at {_MAIN!r}, which is not XML")
    styles = _styles(archive)
    notes = {
        f"{kind} {_value(note, 'id')}": list(_Part(path, styles, _Style("footnote")).take(note))
        for kind in ("footnote", "endnote")
        if (path := f"word/{kind}s.xml") in archive and (tree := _tree(archive, path)) is not None
        for note in tree.findall(f"{{*}}{kind}")
    }
    blocks = list(_Part(_MAIN, styles, notes=notes).take(root))
    blocks += _unused(notes, blocks)
    blocks += _others(archive, styles)
    if not any(block.text for block in blocks):
        raise refused(name, "has no text", "make sure that it is no document of pictures")
    meta = _meta(archive)
    first = next((block.text for block in blocks if block.kind == "title_page"), "")
    title = meta.get("title") or first or title_of(name)
    authors = tuple(author.strip() for author in meta.get("creator", "").split(";"))
    return Book(
        title,
        finished(by_headings(blocks), choices, title),
        tuple(filter(None, authors)),
        language_code(meta.get("language", "")) or _language(archive),
        modified=date_of(meta.get("modified") or meta.get("created") or ""),
    )


def _unused(notes: Mapping[str, Sequence[Block]], blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield the notes that nothing points to."""
    used = {id(block) for block in blocks}
    return (block for note in notes.values() for block in note if id(block) not in used)


def _others(archive: Archive, styles: Mapping[str, _Style]) -> Iterator[Block]:
    """Yield the text around the document: headers, footers, comments."""
    for path in archive:
        found = _OTHER_PART.fullmatch(path)
        tree = _tree(archive, path) if found else None
        if found and tree is not None:
            kind, why = _OTHERS[found[1]]
            yield from _Part(path, styles, _Style(kind), why).take(tree)


def _value(element: Element | None, name: str = "val") -> str:
    """Return an attribute, or ""."""
    attributes = {} if element is None else element.attrib
    return next((value for key, value in attributes.items() if key.endswith(f"}}{name}")), "")


def _tree(archive: Archive, path: str) -> Element | None:
    return parse_xml(decode(archive.read(path), markup=True)) if path in archive else None


def _styles(archive: Archive) -> dict[str, _Style]:
    """Return the styles of paragraphs by their ids, which differ between languages of Word."""
    root = _tree(archive, "word/styles.xml")
    styles = {}
    for style in () if root is None else root.iter("{*}style"):
        name = _value(style.find("{*}name")).lower()
        heading = _HEADING.fullmatch(name)
        properties = style.find("{*}pPr")
        level = int(heading[1]) if heading else 0 if properties is None else _outline(properties)
        kinds = (kind for kind, pattern in _BY_NAME.items() if pattern.fullmatch(name))
        found = _Style(next(kinds, "heading" if level else "paragraph"), min(level, 6))
        styles[_value(style, "styleId")] = found
    return styles


def _outline(properties: Element) -> int:
    """Return the level of a heading, from 1, or 0."""
    value = _value(properties.find("{*}outlineLvl"))
    return int(value) + 1 if value in ("0", "1", "2", "3", "4", "5") else 0


def _meta(archive: Archive) -> dict[str, str]:
    root = _tree(archive, "docProps/core.xml")
    elements = () if root is None else [e for e in root if isinstance(e.tag, str)]
    return {tag_of(element): " ".join((element.text or "").split()) for element in elements}


def _language(archive: Archive) -> str | None:
    root = _tree(archive, "word/styles.xml")
    defaults = None if root is None else root.find("{*}docDefaults")
    found = None if defaults is None else next(defaults.iter("{*}lang"), None)
    return language_code(_value(found))
