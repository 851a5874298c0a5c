"""Find footnotes and the marks that point to them, in a book whose pages may not name them.

A link is the mark of a note if it is typed as such. It also is if its paragraph has other text, the
note comes later, is short and no heading, and the link is raised or the note links back.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final
from urllib.parse import unquote

from lxml import etree

from vivavoce.books.read.html.kinds import BLOCKS
from vivavoce.books.read.html.pages import MARK_CHARS, Notes
from vivavoce.books.read.trees import Element, start_of, tag_of, types_of

_CONTAINERS: Final = 3  # innermost elements that a link back counts for
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_NOTE_CHARS: Final = 4_000
_NOTE_TEXTS: Final = 200

Place = tuple[str, str]  # a page's path, and an id on it
Resolve = Callable[[str, str], str]  # a page's path and an address on it → another page's path


@dataclass(eq=False, slots=True)
class _Paragraph:
    """A block of a page, with the ids in it and the places that it links to."""

    at: int  # in the order of reading
    element: Element | None
    tag: str
    start: str | None = None
    is_long: bool | None = None
    names: set[Place] = field(default_factory=set)
    targets: set[Place] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Link:
    page: str
    key: tuple[str, str]  # its address and text, as they are written
    target: Place
    paragraph: _Paragraph
    is_typed: bool
    is_raised: bool


@dataclass(slots=True)
class NoteFinder:
    """Looks at all pages of a book in their order, then tells the notes of each."""

    resolve: Resolve
    _links: list[_Link] = field(default_factory=list)
    _named: dict[Place, _Paragraph] = field(default_factory=dict)
    _count: int = 0

    def add(self, page: str, root: Element) -> None:
        """Look at a page."""
        around = [self._paragraph(root)]
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if not isinstance(element.tag, str):
                continue
            tag = tag_of(element)
            if event == "end":
                if tag in BLOCKS:
                    around.pop().element = None
                continue
            if tag in BLOCKS:
                around.append(self._paragraph(element))
            if name := element.get("id") or (element.get("name") if tag == "a" else None):
                self._add_name((page, name), around[-1])
            if tag == "a" and "#" in (element.get("href") or ""):
                self._add_link(page, element, around)
        around[0].element = None

    def found(self) -> dict[str, Notes]:
        """Return the notes and marks of each page that has any."""
        ids: dict[str, set[str]] = defaultdict(set)
        marks: dict[str, set[tuple[str, str]]] = defaultdict(set)
        links_back: dict[tuple[_Paragraph, _Paragraph], bool] = {}
        for link in self._links:
            note = self._named.get(link.target)
            if note and not link.is_typed:
                pair = (link.paragraph, note)
                if pair not in links_back:
                    links_back[pair] = not note.targets.isdisjoint(link.paragraph.names)
                is_mark = _may_hold(link, note) and (link.is_raised or links_back[pair])
            else:
                is_mark = link.is_typed
            if is_mark:
                marks[link.page].add(link.key)
                ids[link.target[0]].add(link.target[1])
        return {
            page: Notes(frozenset(ids[page]), frozenset(marks[page])) for page in {*ids, *marks}
        }

    def _paragraph(self, element: Element) -> _Paragraph:
        self._count += 1
        return _Paragraph(self._count, element, tag_of(element))

    def _add_name(self, place: Place, paragraph: _Paragraph) -> None:
        paragraph.names.add(place)
        self._named.setdefault(place, paragraph)
        if paragraph.is_long is None and paragraph.element is not None:
            texts = islice(paragraph.element.itertext(), _NOTE_TEXTS + 1)
            lengths = [len(text) for text in texts]
            paragraph.is_long = len(lengths) > _NOTE_TEXTS or sum(lengths) > _NOTE_CHARS

    def _add_link(self, page: str, element: Element, around: list[_Paragraph]) -> None:
        href = element.get("href")
        path, _, fragment = href.partition("#")
        target = (self.resolve(page, path), unquote(fragment))
        for paragraph in around[-_CONTAINERS:]:
            paragraph.targets.add(target)
        text = start_of(element)
        paragraph = around[-1]
        is_typed = not {"noteref", "footnoteref"}.isdisjoint(types_of(element))
        if not text or len(text) > MARK_CHARS:
            return
        if paragraph.start is None:
            paragraph.start = start_of(paragraph.element)
        if paragraph.start == text and not is_typed:
            return
        parent = element.getparent()
        is_raised = any(
            tag_of(each) == "sup" for each in (parent, *element[:1]) if each is not None
        )
        self._links.append(_Link(page, (href, text), target, paragraph, is_typed, is_raised))


def _may_hold(link: _Link, note: _Paragraph) -> bool:
    """True if `note` can be the note of a link that does not say so."""
    return note.at > link.paragraph.at and note.tag not in _HEADINGS and not note.is_long
