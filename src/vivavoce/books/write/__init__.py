"""Write narrated books: audio files with chapters, read-aloud EPUBs, subtitles.

`write_book` is the only door. `safe_name` names files as it does.
"""

from vivavoce.books.write.chapters import safe_name
from vivavoce.books.write.options import (
    BOOK_MEDIA_TYPES,
    BookFormat,
    ChapterFormat,
    WriteOptions,
)
from vivavoce.books.write.write import write_book

__all__ = [
    "BOOK_MEDIA_TYPES",
    "BookFormat",
    "ChapterFormat",
    "WriteOptions",
    "safe_name",
    "write_book",
]
