"""Tell before a book is spoken: its parts, its length, and the text that is left out and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vivavoce.books.book import Block, Book, Chapter
from vivavoce.text.language.detect import detect
from vivavoce.text.language.names import LANGUAGES
from vivavoce.text.split import (
    CHARS_PER_S,
    PARAGRAPH_PAUSE_S,
    sentence_spans,
    weighted_length,
)

MAX_SENTENCE_CHARS: Final = 300  # as `weighted_length` counts them, 20 s of speech
_SAMPLE_CHARS: Final = 10_000  # from the middle of a book, to tell its language
_KNOWN: Final = tuple(language.code for language in LANGUAGES)


@dataclass(frozen=True, slots=True)
class ChapterPlan:
    """A chapter, counted. `chars` are those of the spoken text."""

    number: int  # from 1, in the book
    title: str
    blocks: int  # spoken
    chars: int
    audio_s: float
    skipped_blocks: int
    skipped_chars: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A block that is not spoken, as `skipped.json` lists it. `chapter` counts from 0."""

    chapter: int
    block: int
    kind: str
    reason: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class BookPlan:
    """A book, counted."""

    title: str
    authors: tuple[str, ...]
    language: str  # of most of its text, ISO 639-1
    languages: dict[str, int]  # spoken characters of each
    chapters: tuple[ChapterPlan, ...]
    skipped: tuple[Skipped, ...]

    @property
    def chars(self) -> int:
        """The characters of the spoken text."""
        return sum(chapter.chars for chapter in self.chapters)

    @property
    def audio_s(self) -> float:
        """The predicted length of the audio."""
        return sum(chapter.audio_s for chapter in self.chapters)

    def making_s(self, times_real_time: float) -> float:
        """Return the time to make the audio at a speed, such as 20 for 20 times real time."""
        return self.audio_s / times_real_time

    def reasons(self) -> dict[str, int]:
        """Return the characters that are left out for each reason, the most first."""
        counts: Counter[str] = Counter()
        for each in self.skipped:
            counts[each.reason] += len(each.text)
        return dict(counts.most_common())


def plan_book(book: Book, *, speed: float = 1.0, numbers: Sequence[int] | None = None) -> BookPlan:
    """Return the plan of a book that is spoken at `speed`, or of the chapters with `numbers`."""
    language = language_of(book)
    languages: Counter[str] = Counter()
    chapters = []
    for number, chapter in _chosen(book, numbers):
        spoken = [block for block in chapter.blocks if not block.skipped]
        left_out = [block for block in chapter.blocks if block.skipped]
        for block in spoken:
            languages[block.language or language] += len(block.text)
        said_s = sum(weighted_length(block.text) for block in spoken) / CHARS_PER_S / speed
        chapters.append(
            ChapterPlan(
                number=number,
                title=chapter.title,
                blocks=len(spoken),
                chars=sum(len(block.text) for block in spoken),
                audio_s=said_s + PARAGRAPH_PAUSE_S * max(0, len(spoken) - 1),
                skipped_blocks=len(left_out),
                skipped_chars=sum(len(block.text) for block in left_out),
            )
        )
    return BookPlan(
        title=book.title,
        authors=book.authors,
        language=language,
        languages=dict(languages.most_common()),
        chapters=tuple(chapters),
        skipped=tuple(_skipped(book, numbers)),
    )


def sentences(block: Block, language: str) -> list[tuple[int, int]]:
    """Return the start and end of each sentence in `block.text`, to be spoken in one go.

    `language` is the book's, for a block that names none. Every character but space is in one span.
    """
    return sentence_spans(block.text, block.language or language, max_chars=MAX_SENTENCE_CHARS)


def language_of(book: Book) -> str:
    """Return the language that a book names, else the one that its text is in."""
    if book.language:
        return book.language
    texts = [block.text for each in book.chapters for block in each.blocks if not block.skipped]
    middle: list[str] = []
    size = 0
    for text in texts[len(texts) // 2 :]:
        middle.append(text)
        size += len(text)
        if size > _SAMPLE_CHARS:
            break
    return detect("\n".join(middle)[:_SAMPLE_CHARS], _KNOWN).language


def _chosen(book: Book, numbers: Sequence[int] | None) -> Iterator[tuple[int, Chapter]]:
    every = enumerate(book.chapters, 1)
    return ((at, chapter) for at, chapter in every if numbers is None or at in numbers)


def _skipped(book: Book, numbers: Sequence[int] | None) -> Iterator[Skipped]:
    for number, chapter in _chosen(book, numbers):
        for index, block in enumerate(chapter.blocks):
            if block.skipped:
                yield Skipped(
                    number - 1, index, block.kind, block.skipped, block.text, block.source
                )
