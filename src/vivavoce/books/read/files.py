"""Tell what a file is by its first bytes, then by its name, and read it as a book."""

import codecs
import re
from collections.abc import Callable
from typing import Final, Literal

from vivavoce.books.book import Book, Choices
from vivavoce.books.read.plain import read_plain
from vivavoce.books.read.refusal import refused
from vivavoce.errors import MissingDependency

MAX_BYTES: Final = 200 * 2**20
_HEAD_BYTES: Final = 1_024

Form = Literal["epub", "docx", "pdf", "html", "markdown", "text"]
_ENDINGS: Final[dict[str, Form]] = {
    "epub": "epub",
    "docx": "docx",
    "pdf": "pdf",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "md": "markdown",
    "markdown": "markdown",
    "txt": "text",
    "text": "text",
}
ENDINGS: Final = tuple(_ENDINGS)  # of the names of files that are read
_OTHERS: Final = (  # the first bytes of files that people try
    (b"\xd0\xcf\x11\xe0", "is an old Word file, or one with a password", "save it as .docx"),
    (b"{\\rtf", "is RTF", "save it as .docx"),
    (b"Rar!", "is a RAR archive", "unpack it"),
    (b"7z\xbc\xaf", "is a 7z archive", "unpack it"),
    (b"\x1f\x8b", "is packed with gzip", "unpack it"),
    (b"\xff\xd8\xff", "is a picture", "recognise its text first (OCR)"),
    (b"\x89PNG", "is a picture", "recognise its text first (OCR)"),
    (b"ID3", "is audio", "choose the text of the book"),
    (b"\x7fELF", "is a program", "choose the text of the book"),
    (b"MZ", "is a program", "choose the text of the book"),
)
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?<(?:!doctype\s+html|html[\s>])", re.I
)
_OPEN_DOCUMENT: Final = b"mimetypeapplication/vnd.oasis.opendocument"
_MOBI: Final = (b"BOOKMOBI", b"TEXtREAd", b"TPZ")  # at byte 60, or at the start


def read_book(data: bytes, name: str, choices: Choices = Choices()) -> Book:  # noqa: B008  # frozen
    """Return the book in a file. `name` is the file's, with or without folders.

    Takes seconds, and a minute for the longest, so call it in a thread or a process. Raises
    `BadRequest` (`file`) for a file that cannot be read, and `MissingDependency` without the extra
    `books`.
    """
    if not data.strip(b"\0 \t\r\n"):
        raise refused(name, "is empty", "choose another file")
    if len(data) > MAX_BYTES:
        why = f"has {len(data):,} bytes, the limit is {MAX_BYTES:,}"
        raise refused(name, why, "split the book")
    try:
        return _reader(_form(data, name))(data, name, choices)
    except ImportError as error:
        raise MissingDependency(
            f"a book of this kind needs {error.name}: pip install 'vivavoce[books]'"
        ) from error


def _form(data: bytes, name: str) -> Form:
    ending = name.rpartition(".")[2].lower()
    form = _ENDINGS.get(ending)
    if data.startswith(b"PK"):
        if _OPEN_DOCUMENT in data[:_HEAD_BYTES]:
            raise refused(name, "is an OpenDocument file", "save it as .docx")
        is_word = b"word/" in data and (form != "epub" or b"META-INF/container" not in data)
        return "docx" if is_word else "epub"
    if b"%PDF-" in data[:_HEAD_BYTES]:
        return "pdf"
    for start, what, then in _OTHERS:
        if data.startswith(start) and form not in ("text", "markdown"):
            raise refused(name, what, then)
    if data[60:68] in _MOBI or data.startswith(_MOBI[-1]):
        raise refused(name, "is a Kindle book", "convert it to EPUB")
    if form in ("epub", "docx", "pdf"):
        raise refused(name, f"is no {form.upper()}, although its name says so")
    if form in (None, "text") and _PAGE.match(data[:_HEAD_BYTES]):
        return "html"
    if form is None:
        what = "has a name without a known ending" if data.isascii() else "is of an unknown kind"
        raise refused(name, what, f"choose one of {', '.join(_ENDINGS)}")
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0\0\0\0" in data[:_HEAD_BYTES] or (not is_wide and _is_binary(data[:_HEAD_BYTES])):
        raise refused(name, "is no text, although its name says so")
    return form


def _is_binary(start: bytes) -> bool:
    """True if a file has control characters that no text has. UTF-16 has zeros."""
    return sum(byte in range(1, 9) or byte in range(14, 27) for byte in start) > len(start) // 50


def _reader(form: Form) -> Callable[[bytes, str, Choices], Book]:
    """Return the function that reads a form. Each needs libraries that may be missing."""
    if form == "epub":
        from vivavoce.books.read.epub.reader import read_epub

        return read_epub
    if form == "docx":
        from vivavoce.books.read.docx import read_docx

        return read_docx
    if form == "pdf":
        from vivavoce.books.read.pdf.reader import read_pdf

        return read_pdf
    if form in ("html", "markdown"):
        from vivavoce.books.read.html.document import read_html, read_markdown

        return read_html if form == "html" else read_markdown
    return read_plain
