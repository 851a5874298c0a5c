"""Tell the part of a book that an element is, from its name, `epub:type`, role and class."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Final

from vivavoce.books.book import BlockKind
from vivavoce.books.read.trees import Element, tag_of, types_of

BLOCKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend",
    "li", "main", "menu", "nav", "noframes", "ol", "option", "p", "pre", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
# Text of these is for a machine.
UNREAD: Final = frozenset(("head", "script", "style"))
_UNSEEN: Final = frozenset(("template", "datalist", "audio", "video", "iframe", "rp"))
_DISPLAY_NONE = re.compile(r"display\s*+:\s*+none")
_HEADING = re.compile(r"h([1-6])")
_BY_TAG: Final[Mapping[str, BlockKind]] = {
    "blockquote": "quote",
    "caption": "caption",
    "dd": "list_item",
    "dt": "list_item",
    "figcaption": "caption",
    "li": "list_item",
    "nav": "contents",
    "pre": "code",
    "table": "table",
    **{f"h{level}": "heading" for level in range(1, 7)},
}
# Of EPUB's vocabulary, and of ARIA's, where each word begins with "doc-".
BY_TYPE: Final[Mapping[str, BlockKind]] = {
    "footnote": "footnote", "footnotes": "footnote", "endnote": "footnote", "endnotes": "footnote",
    "rearnote": "footnote", "rearnotes": "footnote",
    "titlepage": "title_page", "halftitlepage": "title_page", "cover": "title_page",
    "halftitle": "title_page", "title-page": "title_page",
    "copyright-page": "copyright", "copyright": "copyright", "imprint": "copyright",
    "toc": "contents", "toc-brief": "contents", "landmarks": "contents", "page-list": "contents",
    "loi": "contents", "lot": "contents", "loa": "contents", "lov": "contents", "index": "contents",
    "pagelist": "contents",
    "pagebreak": "page",
    "z3998:verse": "verse", "z3998:poem": "verse", "poem": "verse", "verse": "verse",
}  # fmt: skip
_BY_CLASS: Final[Mapping[str, BlockKind]] = {
    "pagenum": "page", "pageno": "page", "page-num": "page", "pagenumber": "page",
    "page-number": "page",
    "footnote": "footnote", "footnotes": "footnote", "endnote": "footnote", "endnotes": "footnote",
    "poem": "verse", "poetry": "verse", "stanza": "verse", "verse": "verse",
}  # fmt: skip
# These hold whatever is inside of them.
STRONG: Final = frozenset(("footnote", "contents", "copyright", "title_page", "page"))
_CODE_CLASS = re.compile(r"code|program|listing|screen|highlight", re.IGNORECASE)
_CODE_SIGN = re.compile(r"[{}()\[\]<>=;_/\\#$|+*&]")
_LOOKED_AT = 100  # elements: enough to tell, and tables may be nested
_CODE_SIGNS = 0.04  # of all characters; prose and verse have a fifth of that


def kind_of(element: Element) -> BlockKind | None:
    """Return the part that an element begins, None if it begins none."""
    types = types_of(element)
    for table, words in ((BY_TYPE, types), (_BY_CLASS, (element.get("class") or "").split())):
        for word in words:
            if kind := table.get(word.lower()):
                return kind
    if "heading" in types:
        return "heading"
    tag = tag_of(element)
    if tag == "table":
        is_layout = not {"presentation", "none"}.isdisjoint(types)
        return None if is_layout or not _has_columns(element) else "table"
    if tag == "pre":
        return "code" if _is_code(element) else "verse"
    return _BY_TAG.get(tag)


def level_of(element: Element) -> int:
    """Return the level of a heading."""
    found = _HEADING.fullmatch(tag_of(element))
    told = element.get("aria-level") or ""
    return int(found[1]) if found else int(told) if told in tuple("123456") else 2


def is_hidden(element: Element) -> bool:
    """True if nobody who looks at the page sees the element."""
    return (
        tag_of(element) in _UNSEEN
        or element.get("hidden") is not None
        or bool(_DISPLAY_NONE.search(element.get("style") or ""))
    )


def _has_columns(table: Element) -> bool:
    cells = 0
    for element in islice(table.iter(), _LOOKED_AT):
        tag = tag_of(element)
        cells = 0 if tag == "tr" else cells + (tag in ("td", "th"))
        if cells > 1:
            return True
    return False


def _is_code(element: Element) -> bool:
    if _CODE_CLASS.search(f"{element.get('class')} {element.get('data-type')}"):
        return True
    if any(tag_of(child) in ("code", "samp", "kbd") for child in element):
        return True
    text = "".join(islice(element.itertext(), _LOOKED_AT))
    return len(_CODE_SIGN.findall(text)) > _CODE_SIGNS * len(text)
