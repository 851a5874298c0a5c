"""Name the kinds of files of a book, and what can be chosen for them."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from vivavoce.books.book import Book

if TYPE_CHECKING:  # needs an extra
    from vivavoce.provenance.manifest import Signer

_NO_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ZIP_YEARS: Final = range(1980, 2107)
_EPOCH_DIGITS: Final = 10  # until the year 2286

BookFormat = Literal["m4b", "mp3", "opus", "flac", "epub", "zip", "folder", "srt", "vtt"]
ChapterFormat = Literal["mp3", "m4a", "opus", "flac"]

BOOK_MEDIA_TYPES: Final[Mapping[BookFormat, str]] = {  # of those that are one file
    "m4b": "audio/mp4",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What can be chosen for the files of a book.

    Attributes:
        chapter_format: Of the files in a zip or a folder.
        opus: Opus instead of AAC in an M4B, which fewer players know.
        epub_audio: Of the files in an EPUB.
        epub_unit: What is highlighted together in an EPUB.
        made: The date in zips and EPUBs, for another than that of `made_of`.
        signer: Adds a C2PA manifest to m4b, mp3, m4a and flac. Its signature and its time differ
            each time.
        executor: Encodes parts of the audio at the same time. The file is the same without it.
        progress: Is told the share that is written, from 0 to 1. What it raises ends the writing.
    """

    chapter_format: ChapterFormat = "mp3"
    opus: bool = False
    epub_audio: Literal["mp3", "m4a"] = "mp3"
    epub_unit: Literal["sentence", "word"] = "sentence"
    made: datetime | None = None
    signer: "Signer | None" = None
    executor: Executor | None = None
    progress: Callable[[float], None] | None = None


DEFAULTS: Final = WriteOptions()


def made_of(book: Book, options: WriteOptions) -> datetime:
    """Return the date in zips and EPUBs. It is no clock's, so that files are the same each time.

    It is SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch), else the
    book's own if a zip can hold it, else `_NO_DATE`.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if options.made is not None:
        return options.made
    if given.isdecimal() and given.isascii() and len(given) <= _EPOCH_DIGITS:
        return datetime.fromtimestamp(int(given), UTC)
    is_held = book.modified is not None and book.modified.year in _ZIP_YEARS
    return book.modified if is_held and book.modified is not None else _NO_DATE
