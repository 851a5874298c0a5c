"""Read the package of an EPUB: its metadata, the order of its pages, its contents and cover."""

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote

from vivavoce.books.book import BlockKind, Picture
from vivavoce.books.read.archive import Archive
from vivavoce.books.read.chapters import Entry
from vivavoce.books.read.encodings import decode
from vivavoce.books.read.html.kinds import BY_TYPE
from vivavoce.books.read.metadata import date_of, language_code
from vivavoce.books.read.refusal import refused
from vivavoce.books.read.trees import (
    Element,
    parse_page,
    parse_xml,
    tag_of,
    types_of,
)
from vivavoce.errors import BadRequest

MAX_COVER_BYTES: Final = 20 * 2**20
_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_PAGE_TYPES: Final = (
    "application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document",
    "image/svg+xml",
)  # fmt: skip
_PAGE_NAMES: Final = (".xhtml", ".html", ".htm", ".xht")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the book. `path` is None if the archive lacks it."""

    href: str
    path: str | None
    media_type: str
    properties: tuple[str, ...]
    fallback: str

    @property
    def is_page(self) -> bool:
        """True if the file has text."""
        return self.media_type in _PAGE_TYPES or self.href.lower().endswith(_PAGE_NAMES)


@dataclass(frozen=True, slots=True)
class Package:
    """A book as its package describes it."""

    title: str
    authors: tuple[str, ...]
    language: str | None
    items: Mapping[str, Item]
    spine: tuple[tuple[Item, bool], ...]  # False for pages outside the reading order
    entries: tuple[Entry, ...]
    kinds: Mapping[str, BlockKind]  # of whole pages, as the package claims
    cover: Picture | None
    modified: datetime | None


def resolved(page: str, href: str) -> str:
    """Return the path in the archive of an address on `page`, "" for one outside of it."""
    path = unquote(href.partition("#")[0].partition("?")[0])
    if not path:
        return page
    if ":" in path.partition("/")[0] or path.startswith("/"):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def read_package(archive: Archive) -> Package:
    """Return the package of a book. Raises `BadRequest` (`file`)."""
    path = _package_path(archive)
    root = _tree(archive, path)
    if root is None or tag_of(root) != "package":
        raise refused(archive.name, f"has no package that can be read at {path!r}")
    items = _items(archive, path, root)
    spine = tuple(_spine(archive, root, items))
    _check_rights(archive, [item.path for item, _ in spine])
    entries, kinds = _contents(archive, path, root, items)
    return Package(
        title=_first(root, "title"),
        authors=tuple(dict.fromkeys(filter(None, map(_words, _all(root, "creator"))))),
        language=language_code(_first(root, "language")),
        items=items,
        spine=spine,
        entries=entries,
        kinds=kinds,
        cover=_cover(archive, path, root, items),
        modified=_modified(root),
    )


def _package_path(archive: Archive) -> str:
    """Return the path of the package: as the container says, else by its name."""
    if place := archive.find(_CONTAINER):
        root = _tree(archive, place)
        for rootfile in () if root is None else _all(root, "rootfile"):
            if path := archive.find(rootfile.get("full-path") or ""):
                return path
    for path in archive:
        if path.lower().endswith(".opf"):
            return path
    raise refused(archive.name, "is a zip file but no EPUB: it has no package (.opf)")


def _tree(archive: Archive, path: str) -> Element | None:
    return parse_xml(decode(archive.read(path), markup=True), repair=True)


def _all(root: Element, tag: str) -> Iterator[Element]:
    for element in root.iter():
        if isinstance(element.tag, str) and tag_of(element) == tag:
            yield element


def _words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _first(root: Element, tag: str) -> str:
    return next(filter(None, map(_words, _all(root, tag))), "")


def _modified(root: Element) -> datetime | None:
    """Return the date of the latest change, else that of the publication."""
    metas = (each for each in _all(root, "meta") if each.get("property") == "dcterms:modified")
    return date_of(next(map(_words, metas), "") or _first(root, "date"))


def _items(archive: Archive, path: str, root: Element) -> dict[str, Item]:
    items = {}
    for element in _all(root, "item"):
        href = element.get("href") or ""
        items[element.get("id") or href] = Item(
            href,
            archive.find(resolved(path, href)),
            (element.get("media-type") or "").strip().lower(),
            tuple((element.get("properties") or "").split()),
            element.get("fallback") or "",
        )
    return items


def _spine(
    archive: Archive, root: Element, items: Mapping[str, Item]
) -> Iterator[tuple[Item, bool]]:
    """Yield the pages in their order, each once."""
    seen = set()
    for reference in _all(root, "itemref"):
        item = items.get(reference.get("idref") or "")
        for _ in range(len(items)):
            if item is None or item.is_page:
                break
            item = items.get(item.fallback)
        if item is None or not item.is_page or item.href in seen:
            continue
        seen.add(item.href)
        is_linear = reference.get("linear") != "no"
        if item.path:
            yield item, is_linear
        elif is_linear:
            raise refused(archive.name, f"lacks {item.href!r}, a part of its text")


def _check_rights(archive: Archive, paths: list[str | None]) -> None:
    """Raise `BadRequest` (`file`) if the text is encrypted. Fonts may be."""
    place = archive.find(_ENCRYPTION)
    root = _tree(archive, place) if place else None
    if root is None:
        return
    locked = {
        resolved("", each.get("uri") or each.get("URI") or "")
        for each in _all(root, "cipherreference")
    }
    if not locked.isdisjoint(filter(None, paths)):
        raise refused(
            archive.name, "is protected against copying (DRM)", "get the book without protection"
        )


def _contents(
    archive: Archive, path: str, root: Element, items: Mapping[str, Item]
) -> tuple[tuple[Entry, ...], dict[str, BlockKind]]:
    """Return the table of contents, and the kinds of pages."""
    kinds: dict[str, BlockKind] = {}
    for reference in _all(root, "reference"):  # the guide of EPUB 2
        _claim(kinds, path, reference.get("href") or "", [(reference.get("type") or "").lower()])
    entries: list[Entry] = []
    nav = next((item.path for item in items.values() if "nav" in item.properties), None)
    if nav:
        page = parse_page(decode(archive.read(nav), markup=True), archive.name)
        for element in () if page is None else _all(page, "nav"):
            if "toc" in types_of(element):
                entries = entries or list(_nav_entries(nav, element))
            elif "landmarks" in types_of(element):
                for link in _all(element, "a"):
                    _claim(kinds, nav, link.get("href") or "", types_of(link))
    ncx = next((i.path for i in items.values() if i.media_type == "application/x-dtbncx+xml"), None)
    if not entries and ncx and (tree := _tree(archive, ncx)) is not None:
        entries = list(_ncx_entries(ncx, tree))
    return tuple(entry for entry in entries if entry.path), kinds


def _claim(kinds: dict[str, BlockKind], base: str, href: str, types: list[str]) -> None:
    for word in types:
        if (kind := BY_TYPE.get(word)) and "#" not in href:
            kinds.setdefault(resolved(base, href), kind)


def _nav_entries(path: str, nav: Element) -> Iterator[Entry]:
    depths: dict[Element, int] = {nav: 0}
    for element in nav.iter():
        if not isinstance(element.tag, str) or element is nav:
            continue
        depth = depths[element.getparent()] + (tag_of(element) in ("ol", "ul"))
        depths[element] = depth
        if tag_of(element) == "a" and (href := element.get("href")):
            yield _entry(path, href, _words(element), max(1, depth))


def _ncx_entries(path: str, root: Element) -> Iterator[Entry]:
    depths: dict[Element, int] = {}
    for element in root.iter():
        parent = element.getparent()
        depth = depths.get(parent, 0)
        tag = tag_of(element) if isinstance(element.tag, str) else ""
        depths[element] = depth + (tag == "navpoint")
        if tag == "content" and parent is not None and tag_of(parent) == "navpoint":
            label = next(_all(parent, "navlabel"), None)
            title = "" if label is None else _words(label)
            yield _entry(path, element.get("src") or "", title, depth)


def _entry(path: str, href: str, title: str, depth: int) -> Entry:
    return Entry(title, resolved(path, href), unquote(href.partition("#")[2]), depth)


def _cover(archive: Archive, path: str, root: Element, items: Mapping[str, Item]) -> Picture | None:
    """Return the cover: as EPUB 3 names it, as EPUB 2 does, or of the cover's page."""
    named = [item.path for item in items.values() if "cover-image" in item.properties]
    for meta in _all(root, "meta"):
        if (meta.get("name") or "").lower() == "cover":
            item = items.get(meta.get("content") or "")
            named += [item.path] if item else []
    for reference in _all(root, "reference"):
        if (reference.get("type") or "").lower() == "cover":
            named.extend(
                _pictures(archive, archive.find(resolved(path, reference.get("href") or "")))
            )
    for place in filter(None, named):
        with suppress(BadRequest):  # a damaged cover is no reason to refuse the book
            picture = _picture(archive.read(place, MAX_COVER_BYTES))
            if picture:
                return picture
    return None


def _pictures(archive: Archive, path: str | None) -> Iterator[str | None]:
    """Yield the paths of the pictures on a page."""
    if not path or not path.lower().endswith(_PAGE_NAMES):
        return
    page = parse_page(decode(archive.read(path), markup=True), archive.name)
    for element in () if page is None else page.iter():
        if isinstance(element.tag, str) and tag_of(element) in ("img", "image"):
            address = element.get("src") or element.get("{http://www.w3.org/1999/xlink}href")
            yield archive.find(resolved(path, address or element.get("xlink:href") or ""))


def _picture(data: bytes) -> Picture | None:
    if data.startswith(b"\xff\xd8\xff"):
        return Picture(data, "image/jpeg")
    return Picture(data, "image/png") if data.startswith(b"\x89PNG\r\n\x1a\n") else None
