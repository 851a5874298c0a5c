"""Parse XML and broken HTML into trees. No entity is expanded, no DTD read, nothing fetched."""

import re
from html.entities import html5
from itertools import islice
from typing import Any, Final

from lxml import etree

from vivavoce.books.read.metadata import language_code
from vivavoce.books.read.refusal import refused

Element = Any  # lxml has no types

# Of void elements and of those that HTML cannot close at once, as XHTML does: `<a id="p1"/>`.
_CLOSED_AT_ONCE = re.compile(
    r"""<([A-Za-z][\w:.-]*+)((?:[^<>"'/]|/(?!>)|"[^"<]*+"|'[^'<]*+')*+)/>"""
)
# libxml2's time grows with the square of an element's attributes.
_MANY_ATTRIBUTES = re.compile(
    r"""<[A-Za-z][\w:.-]*+(?:\s++[^\s"'<>=/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>]++))?+){256}"""
)
_START_TEXTS: Final = 8
_START_CHARS: Final = 80
_VOID: Final = frozenset((
    "area", "base", "br", "col", "embed", "frame", "hr", "img", "image", "input", "link",
    "meta", "param", "source", "track", "wbr",
))  # fmt: skip
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_KEPT: Final = ("amp", "lt", "gt", "quot", "apos")  # XML knows these
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*+", re.IGNORECASE)
_PROLOG_CHARS: Final = 100_000
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*+>")
_OPTIONS: Final[dict[str, Any]] = {  # arguments by name
    "no_network": True,
    "remove_comments": True,
    "remove_pis": True,
    "huge_tree": True,  # a text of 10 MB, and elements 2,048 deep
    "encoding": "utf-8",
}


def parse_xml(text: str, *, repair: bool = False) -> Element | None:
    """Return the root of a document, or None. It has to be well-formed, unless to `repair` it."""
    plain = _ENTITY.sub(_character, _without_doctype(text))
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, recover=repair, **_OPTIONS)
    try:
        return etree.fromstring(_DECLARATION.sub("", plain).strip().encode(), parser)
    except etree.XMLSyntaxError:
        return None


def parse_page(text: str, name: str) -> Element | None:
    """Return the root of an XHTML or HTML page, or None if it is blank.

    Nothing of a broken page is lost. Raises `BadRequest` (`file`, of the book `name`) for what no
    page has: elements nested thousands deep, or with hundreds of attributes.
    """
    if "xmlns" in text[:_PROLOG_CHARS] and (root := parse_xml(text)) is not None:
        return root
    plain = _CDATA.sub(_escaped, _DECLARATION.sub("", _without_doctype(text)))
    plain = _CLOSED_AT_ONCE.sub(_opened_and_closed, plain)
    if _MANY_ATTRIBUTES.search(plain):
        raise refused(name, "has an element with more than 255 attributes")
    parser = etree.HTMLParser(**_OPTIONS)
    try:
        root = etree.fromstring(plain.encode(), parser)
    except etree.XMLSyntaxError:
        return None
    if any(problem.level_name == "FATAL" for problem in parser.error_log):
        raise refused(name, "has a page with elements nested more than 2,000 deep")
    return root


def tag_of(element: Element) -> str:
    """Return the name of an element without its namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()


def types_of(element: Element) -> list[str]:
    """Return the words of `epub:type`, and of `role` without their "doc-"."""
    types = element.get("{http://www.idpf.org/2007/ops}type") or element.get("epub:type") or ""
    roles = element.get("role") or ""
    return [word.removeprefix("doc-") for word in f"{types} {roles}".lower().split()]


def language_of(element: Element) -> str | None:
    """Return the language that an element names, if it is known here."""
    return language_code(
        element.get("{http://www.w3.org/XML/1998/namespace}lang")
        or element.get("xml:lang")
        or element.get("lang")
        or ""
    )


def start_of(element: Element) -> str:
    """Return the first text inside an element, with single spaces: all of it, if it is short."""
    texts = (text[:_START_CHARS] for text in islice(element.itertext(), _START_TEXTS))
    return " ".join("".join(texts).split())


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return entity[0] if name in _KEPT else html5.get(f"{name};", entity[0])


def _escaped(section: re.Match[str]) -> str:
    return section[1].replace("&", "&amp;").replace("<", "&lt;")


def _opened_and_closed(element: re.Match[str]) -> str:
    if element[1].lower() in _VOID:
        return element[0]
    return f"<{element[1]}{element[2]}></{element[1]}>"


def _without_doctype(text: str) -> str:
    found = _DOCTYPE.search(text, 0, _PROLOG_CHARS)
    if not found:
        return text
    end = found.end()
    if text.startswith("[", end):  # declarations of entities
        end = text.find("]", end)
    end = text.find(">", end) if end >= 0 else -1
    return text[: found.start()] + text[end + 1 :] if end >= 0 else text
