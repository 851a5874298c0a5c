"""Read one page of HTML, or a text in Markdown, as a book with chapters by its headings."""

import re
from typing import Final

from markdown_it import MarkdownIt
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from vivavoce.books.book import Book, Choices
from vivavoce.books.read.chapters import by_headings, finished
from vivavoce.books.read.encodings import decode
from vivavoce.books.read.html.notes import NoteFinder
from vivavoce.books.read.html.pages import Notes, read_page
from vivavoce.books.read.metadata import language_code
from vivavoce.books.read.refusal import refused, title_of
from vivavoce.books.read.trees import Element, language_of, parse_page, tag_of

MAX_MARKDOWN_BYTES: Final = 8 * 2**20
_NESTING: Final = 40  # elements; each costs time in a text of brackets
_DEFINITION = re.compile(r"^ {0,3}\[\^([^\]\s]{1,99})\]:", re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\r?\n((?:(?!\+\+\+).*\n)*+)\+\+\+[ \t]*\r?\n")
_META = re.compile(
    r"^(title|author|lang|language)[ \t]*+[:=][ \t]*+([^\n]*+)$", re.MULTILINE | re.IGNORECASE
)


def read_html(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in a page. Raises `BadRequest` (`file`)."""
    return _read(decode(data, markup=True), name, choices, {})


def read_markdown(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in a text. Raises `BadRequest` (`file`)."""
    if len(data) > MAX_MARKDOWN_BYTES:
        why = f"has {len(data):,} bytes, the limit of Markdown is {MAX_MARKDOWN_BYTES:,}"
        raise refused(name, why, "split the book, or convert it to EPUB")
    page, meta = _rendered(decode(data), name)
    return _read(page, name, choices, meta)


def _read(page: str, name: str, choices: Choices, meta: dict[str, str]) -> Book:
    root = parse_page(page, name)
    if root is None:
        raise refused(name, "is empty", "choose a file with text")
    finder = NoteFinder(lambda page, address: address)  # links to this page have none
    finder.add("", root)
    pieces = list(read_page(root, "", notes=finder.found().get("", Notes())))
    if not pieces:
        raise refused(name, "has no text", "choose a file with text")
    title = meta.get("title") or _head(root, "title") or title_of(name)
    author = meta.get("author") or _author(root)
    language = language_code(meta.get("lang", meta.get("language", ""))) or language_of(root)
    chapters = finished(by_headings([piece.block for piece in pieces]), choices, title)
    return Book(title, chapters, (author,) if author else (), language)


def _rendered(text: str, name: str) -> tuple[str, dict[str, str]]:
    """Return Markdown as HTML, and the metadata before it."""
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": _NESTING})
    parser.enable(["table", "strikethrough"]).use(footnote_plugin).use(front_matter_plugin)
    text = _TOML.sub(r"---\n\1---\n", text)
    known: dict[str, dict[str, dict[str, int]]] = {}
    tokens = parser.parse(text, known)
    unused = {
        label[1:] for label, at in known.get("footnotes", {}).get("refs", {}).items() if at < 0
    }
    if unused:  # a note that nothing points to would be lost, so it is a paragraph
        text = _DEFINITION.sub(
            lambda note: f"\n\\{note[0].strip()}" if note[1] in unused else note[0], text
        )
        known = {}
        tokens = parser.parse(text, known)
    if max((token.level for token in tokens), default=0) >= _NESTING - 2:
        raise refused(name, f"has lists or quotes nested more than {_NESTING // 2} deep")
    front = tokens[0].content if tokens and tokens[0].type == "front_matter" else ""
    meta = {key.lower(): value.strip(" \t\"'") for key, value in _META.findall(front)}
    return parser.renderer.render(tokens, parser.options, known), meta


def _head(root: Element, tag: str) -> str:
    for element in root.iter():
        if isinstance(element.tag, str) and tag_of(element) == tag:
            return " ".join("".join(element.itertext()).split())
    return ""


def _author(root: Element) -> str:
    for element in root.iter():
        is_meta = isinstance(element.tag, str) and tag_of(element) == "meta"
        if is_meta and (element.get("name") or "").lower() == "author":
            return " ".join((element.get("content") or "").split())
    return ""
