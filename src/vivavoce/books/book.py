"""Define a book: chapters of blocks of the author's text, spoken or left out for a reason.

Every character of the source is in a block, in reading order. A reader of files makes a `Book`, a
plan shows it, a job speaks it, and a writer of files takes it as a `Narration`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from vivavoce.provenance import Mark

BlockKind = Literal[
    "heading", "paragraph", "quote", "verse", "list_item", "code",
    "table", "caption", "footnote", "alt_text", "title_page", "copyright", "contents", "page",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or the like.

    Attributes:
        text: The author's, with each stretch of white space as one space.
        kind: Its part in the book. `page` is a running head or a page number.
        skipped: Why it is not spoken, empty if it is.
        language: ISO 639-1 code that the source names, or None.
        source: The document inside the file that it comes from, such as `text/ch01.xhtml`.
        level: Of a heading, 1 for the highest.
    """

    text: str
    kind: BlockKind = "paragraph"
    skipped: str = ""
    language: str | None = None
    source: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter. Its heading, if it has one, is a block of it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The cover."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]


@dataclass(frozen=True, slots=True)
class Book:
    """A book as it was read from a file."""

    title: str
    chapters: tuple[Chapter, ...]
    authors: tuple[str, ...] = ()
    language: str | None = None  # ISO 639-1 code
    cover: Picture | None = None
    modified: datetime | None = None  # in UTC, as the file tells it


@dataclass(frozen=True, slots=True)
class Choices:
    """The parts of a book that are spoken, beside its chapters."""

    footnotes: bool = False
    tables: bool = False
    captions: bool = True
    alt_texts: bool = False
    code: bool = False
    title_page: bool = True
    copyright: bool = False
    contents: bool = False


@dataclass(frozen=True, slots=True)
class NarratedWord:
    """A word of a sentence. `start` and `end` count in the text of its block."""

    start: int
    end: int
    start_s: float  # in the audio of the chapter
    end_s: float


@dataclass(frozen=True, slots=True)
class NarratedSentence:
    """A sentence of a chapter, with its place in the audio of the chapter."""

    block: int  # index in the chapter's blocks
    start: int  # in the text of the block
    end: int
    start_s: float
    end_s: float
    words: tuple[NarratedWord, ...] = ()


@dataclass(frozen=True, slots=True)
class NarratedChapter:
    """A chapter whose audio is made: mono FLAC at `path`, normalised, of `samples` samples."""

    chapter: Chapter
    path: Path
    samples: int
    sentences: Sequence[NarratedSentence]


@dataclass(frozen=True, slots=True)
class Narration:
    """A whole book, spoken.

    `marks` are those of the voices that speak in it. They are written into every file.
    """

    book: Book
    rate_hz: int
    chapters: Sequence[NarratedChapter]
    narrator: str
    marks: Sequence[Mark]
