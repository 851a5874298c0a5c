"""Tell what a file is by its first bytes, then by its name, and read it as a book."""

from collections.abc import Callable
from typing import Final, Literal

from vivavoce.books.book import Book, Choices
from vivavoce.books.read.plain import read_plain
from vivavoce.books.read.refusal import refused
from vivavoce.errors import MissingDependency

MAX_BYTES: Final = 200 * 2**20

Form = Literal["epub", "text"]
_ENDINGS: Final[dict[str, Form]] = {"epub": "epub", "txt": "text", "text": "text"}
FORMS: Final = tuple(_ENDINGS)  # endings of names, for lists of files


def read_book(data: bytes, name: str, choices: Choices = Choices()) -> Book:  # noqa: B008  # frozen
    """Return the book in a file. `name` is the file's, with or without folders.

    Blocks for minutes at most, so call it in a thread or a process. Raises `BadRequest` (`file`)
    for a file that cannot be read, and `MissingDependency` without the extra `books`.
    """
    if not data:
        raise refused(name, "is empty", "choose another file")
    if len(data) > MAX_BYTES:
        raise refused(
            name, f"has {len(data):,} bytes, the limit is {MAX_BYTES:,}", "split the book"
        )
    try:
        return _reader(_form(data, name))(data, name, choices)
    except ImportError as error:
        raise MissingDependency(
            f"a book in this form needs {error.name}: pip install 'vivavoce[books]'"
        ) from error


def _form(data: bytes, name: str) -> Form:
    ending = name.rpartition(".")[2].lower()
    if data.startswith(b"PK"):
        return "epub"
    form = _ENDINGS.get(ending)
    if form is None or form == "epub":
        raise refused(name, "is no book that can be read", f"choose one of {', '.join(_ENDINGS)}")
    return form


def _reader(form: Form) -> Callable[[bytes, str, Choices], Book]:
    if form == "epub":
        from vivavoce.books.read.epub.reader import read_epub

        return read_epub
    return read_plain
