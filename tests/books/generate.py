"""Make EPUBs of every sort: of both versions, whole and broken, with all that books have."""

import io
import random
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)
WORDS = {
    "en": "the lamp stood on a table near the open door and nobody came in that night",
    "de": "über die alte Brücke ging später ein müder Mann mit großen Schuhen nach Hause",
    "ru": "однажды зимой старый лес стоял тихий и белый под холодной луной до утра",
}
CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="{}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
XHTML = (
    '<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE html>\n'
    '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'
    ' xml:lang="{language}"><head><title>{title}</title><style>p {{ margin: 0 }}</style></head>'
    "<body>{body}</body></html>"
)

Version = Literal[2, 3]


@dataclass
class Document:
    """A page: its markup, and its text in the order in which blocks have it."""

    name: str
    title: str = ""
    language: str = "en"
    linear: bool = True
    listed: bool = True  # in the table of contents
    in_spine: bool = True
    html: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def add(self, html: str, *text: str) -> None:
        self.html.append(html)
        self.text.extend(text)

    def heading(self, words: str, level: int = 1) -> None:
        self.add(f"<h{level}>{escape(words)}</h{level}>", words)

    def paragraph(self, words: str) -> None:
        self.add(f"<p>{escape(words)}</p>", words)

    def noted(self, before: str, after: str, number: int, notes: str = "") -> None:
        """Add a paragraph with the mark of a note, which comes after the paragraph."""
        link = f'<a id="ref{number}" epub:type="noteref" href="{notes}#note{number}">{number}</a>'
        self.add(
            f"<p>{escape(before)}<sup>{link}</sup>{escape(after)}</p>", before, after, str(number)
        )

    def note(self, words: str, number: int, back: str = "") -> None:
        link = f'<a href="{back}#ref{number}">{number}</a>'
        self.add(
            f'<aside epub:type="footnote" id="note{number}"><p>{link} {escape(words)}</p></aside>',
            str(number),
            words,
        )

    def table(self, rows: Sequence[Sequence[str]], caption: str = "") -> None:
        cells = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        head = f"<caption>{escape(caption)}</caption>" if caption else ""
        self.add(f"<table>{head}{cells}</table>", caption, *(cell for row in rows for cell in row))

    def figure(self, alt: str, caption: str) -> None:
        self.add(
            f'<figure><img src="p.png" alt="{escape(alt)}"/>'
            f"<figcaption>{escape(caption)}</figcaption></figure>",
            alt,
            caption,
        )

    def items(self, *words: str) -> None:
        self.add(f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in words)}</ul>", *words)

    def page_break(self, number: int) -> None:
        self.add(f'<span epub:type="pagebreak" id="page{number}">{number}</span>', str(number))


@dataclass
class Epub:
    """A book to be written."""

    documents: list[Document]
    title: str = "The Lamp"
    authors: Sequence[str] = ("A. Writer",)
    language: str = "en"
    version: Version = 3
    encoding: str = "utf-8"
    declared: str = "utf-8"
    folder: str = "OEBPS/"
    entries: list[tuple[str, str, int]] | None = None  # title, address, depth
    guide: Sequence[tuple[str, str]] = ()
    cover: bytes | None = None

    def bytes(self) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
            archive.writestr("META-INF/container.xml", CONTAINER.format(f"{self.folder}book.opf"))
            archive.writestr(f"{self.folder}book.opf", self._package())
            archive.writestr(f"{self.folder}p.png", PNG)
            if self.cover is not None:
                archive.writestr(f"{self.folder}cover.png", self.cover)
            entries = self.entries
            if entries is None:
                entries = [(each.title, each.name, 1) for each in self.documents if each.listed]
            if self.version == 3:
                archive.writestr(f"{self.folder}nav.xhtml", _nav(entries))
            else:
                archive.writestr(f"{self.folder}toc.ncx", _ncx(entries))
            for each in self.documents:
                page = XHTML.format(
                    encoding=self.declared,
                    language=each.language,
                    title=escape(each.title),
                    body="".join(each.html),
                )
                data = page.encode(self.encoding, "xmlcharrefreplace")
                archive.writestr(self.folder + each.name, data)
        return file.getvalue()

    def text(self) -> str:
        """Return the text without spaces, pages outside the reading order last."""
        order = [each for each in self.documents if each.in_spine]
        others = [each for each in self.documents if not each.in_spine]
        return bare("".join(part for each in order + others for part in each.text))

    def _package(self) -> str:
        items = [
            f'<item id="d{at}" href="{each.name}" media-type="application/xhtml+xml"/>'
            for at, each in enumerate(self.documents)
        ]
        spine = [
            f'<itemref idref="d{at}"{"" if each.linear else LINEAR_NO}/>'
            for at, each in enumerate(self.documents)
            if each.in_spine
        ]
        if self.version == 3:
            items.append(
                '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml"'
                ' properties="nav"/>'
            )
        else:
            items.append('<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>')
        items.append('<item id="png" href="p.png" media-type="image/png"/>')
        meta = "".join(f"<dc:creator>{escape(author)}</dc:creator>" for author in self.authors)
        if self.cover is not None:
            items.append(
                '<item id="cover" href="cover.png" media-type="image/png"'
                ' properties="cover-image"/>'
            )
            meta += '<meta name="cover" content="cover"/>'
        guide = "".join(f'<reference type="{kind}" href="{href}"/>' for kind, href in self.guide)
        return (
            '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"'
            f' version="{self.version}.0">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<dc:title>{escape(self.title)}</dc:title>"
            f"<dc:language>{self.language}</dc:language>{meta}"
            f"</metadata><manifest>{''.join(items)}</manifest>"
            f"<spine>{''.join(spine)}</spine><guide>{guide}</guide></package>"
        )


LINEAR_NO = ' linear="no"'


def bare(text: str) -> str:
    """Return `text` without spaces."""
    return "".join(text.split())


def _nav(entries: Sequence[tuple[str, str, int]]) -> str:
    items = ""
    depth = 0
    for title, address, level in entries:
        items += "<ol>" * (level - depth) + ("</li>" + "</ol></li>" * (depth - level)) * (
            level <= depth
        )
        items += f'<li><a href="{address}">{escape(title)}</a>'
        depth = level
    items += "</li></ol>" * depth
    body = f'<nav epub:type="toc">{items}</nav>'
    return XHTML.format(encoding="utf-8", language="en", title="Contents", body=body)


def _ncx(entries: Sequence[tuple[str, str, int]]) -> str:
    points = ""
    depth = 0
    for title, address, level in entries:
        points += "</navPoint>" * (depth - level + 1)
        points += (
            f'<navPoint><navLabel><text>{escape(title)}</text></navLabel><content src="{address}"/>'
        )
        depth = level
    points += "</navPoint>" * depth
    return (
        '<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" '
        '"http://example.com/ncx-2005-1.dtd"><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/">'
        f"<navMap>{points}</navMap></ncx>"
    )


def novel(*, chapters: int = 200, version: Version = 3, seed: int = 0, words: int = 100) -> Epub:
    """Return a long book in three languages, with notes, tables, pictures, lists and pages."""
    dice = random.Random(seed)
    documents = []
    for number in range(1, chapters + 1):
        language = ("en", "de", "ru")[number % 3]
        title = f"Chapter {number}"
        page = Document(f"text/c{number:03}.xhtml", title, language)
        page.heading(title)
        for part in range(words // 25):
            text = " ".join(dice.choices(WORDS[language].split(), k=25))
            if part == 1:
                page.noted(f"{text}.", " Weiter.", number)
            else:
                page.paragraph(f"{text}.")
        page.page_break(number)
        page.table([["Name", "Age"], [f"Row {number}", str(number)]], f"Table {number}")
        page.figure(f"A drawing of lamp {number}", f"Figure {number}")
        page.items("one thing", "another thing")
        page.note(f"A note of chapter {number}.", number)
        documents.append(page)
    return Epub(documents, version=version, cover=PNG)
