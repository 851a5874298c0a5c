"""What is written into a file beside its sound: names, chapters, cover and marks."""

from vivavoce.books.write.tags.cover import COVER_NAMES, cover_of, size_of
from vivavoce.books.write.tags.fields import (
    ChapterMark,
    Tags,
    book_tags,
    comment_of,
    line,
    titles,
    track_tags,
)

__all__ = [
    "COVER_NAMES",
    "ChapterMark",
    "Tags",
    "book_tags",
    "comment_of",
    "cover_of",
    "line",
    "size_of",
    "titles",
    "track_tags",
]
