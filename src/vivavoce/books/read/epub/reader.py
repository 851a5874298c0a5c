"""Read an EPUB, version 2 or 3: its pages in reading order, as chapters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vivavoce.books.book import BlockKind, Book, Choices
from vivavoce.books.read.archive import Archive, open_archive
from vivavoce.books.read.chapters import Page, by_contents, finished
from vivavoce.books.read.encodings import decode
from vivavoce.books.read.epub.package import Item, Package, read_package, resolved
from vivavoce.books.read.html.notes import NoteFinder
from vivavoce.books.read.html.pages import Notes, read_page
from vivavoce.books.read.refusal import refused, title_of
from vivavoce.books.read.trees import Element, parse_page, tag_of

_APART_CHARS: Final = 8_000  # a title page or a copyright page has fewer
_OUTSIDE: Final = "outside the book's reading order"


def read_epub(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in `data`. Raises `BadRequest` (`file`)."""
    archive = open_archive(data, name)
    package = read_package(archive)
    order = _order(package)
    finder = NoteFinder(resolved)
    kinds: dict[str, BlockKind] = {}
    for item, _ in order:  # pages are parsed twice, so that one at a time is in memory
        path, root = item.path or "", _root(archive, item)
        if root is not None:
            finder.add(path, root)
            kind = package.kinds.get(path)
            if kind and len(package.spine) > 1 and _is_apart(root, kind):
                kinds[path] = kind
    title = package.title or title_of(name)
    pages = _pages(archive, order, finder.found(), kinds)
    chapters = finished(by_contents(pages, package.entries), choices, title)
    if not chapters:
        raise refused(name, "has no text", "make sure that it is no book of pictures")
    return Book(title, chapters, package.authors, package.language, package.cover, package.modified)


def _order(package: Package) -> list[tuple[Item, bool]]:
    """Return the pages in reading order, then all others. Those are False."""
    read = {item.path for item, _ in package.spine}
    others = (item for item in package.items.values() if item.is_page and item.path)
    return [*package.spine, *((item, False) for item in others if item.path not in read)]


def _pages(
    archive: Archive,
    order: Sequence[tuple[Item, bool]],
    notes: Mapping[str, Notes],
    kinds: Mapping[str, BlockKind],
) -> Iterator[Page]:
    for item, is_linear in order:
        path, root = item.path or "", _root(archive, item)
        if root is not None:
            pieces = read_page(
                root,
                path,
                notes=notes.get(path, Notes()),
                kind=kinds.get(path, "paragraph"),
                skipped="" if is_linear else _OUTSIDE,
            )
            yield Page(path, list(pieces), follows=not is_linear)


def _root(archive: Archive, item: Item) -> Element | None:
    return parse_page(decode(archive.read(item.path or ""), markup=True), archive.name)


def _is_apart(root: Element, kind: BlockKind) -> bool:
    """True if a page that is said to be of `kind` may be that, as a whole."""
    parts = [part for part in root if isinstance(part.tag, str) and tag_of(part) != "head"]
    chars = sum(len(text.strip()) for part in parts for text in part.itertext())
    if kind != "contents":
        return chars <= _APART_CHARS
    links = (
        element
        for element in root.iter()
        if isinstance(element.tag, str) and tag_of(element) == "a"
    )
    return 2 * sum(len("".join(link.itertext()).strip()) for link in links) >= chars
