"""Say what is written into a file beside its sound: names, chapters, cover and marks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from vivavoce.books.book import Book, Narration, Picture
from vivavoce.books.write.sound import Sound
from vivavoce.books.write.tags.cover import cover_of
from vivavoce.provenance import Mark

_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_TRACK_COVER_BYTES: Final = 256 * 2**10  # it is in every file


@dataclass(frozen=True, slots=True)
class ChapterMark:
    """A chapter of a file, in milliseconds. Its title is not empty."""

    title: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of one file. `marks` say that it is synthetic speech."""

    title: str
    album: str
    artist: str
    narrator: str
    marks: Sequence[Mark]
    chapters: Sequence[ChapterMark]
    cover: Picture | None
    track: str = ""  # such as 3/12

    @property
    def comment(self) -> str:
        """The marks as a comment, a line each."""
        return comment_of(self.marks)

    @property
    def mark(self) -> Mark | None:
        """The marks as one, for a manifest."""
        if not self.marks:
            return None
        models, voices = ((mark.model for mark in self.marks), (mark.voice for mark in self.marks))
        return Mark(", ".join(dict.fromkeys(models)), ", ".join(dict.fromkeys(voices)))

    @property
    def named(self) -> dict[str, str]:
        """The texts under FFmpeg's names, without those that are empty."""
        fields = {
            "title": self.title,
            "album": self.album,
            "artist": self.artist,
            "album_artist": self.artist,
            "composer": self.narrator,  # where players of audiobooks look for the narrator
            "genre": "Audiobook",
            "track": self.track,
            "comment": self.comment,
        }
        return {name: value for name, value in fields.items() if value}


def line(text: str) -> str:
    """Return `text` as one line that every format can hold."""
    return _UNPRINTABLE.sub(" ", text).strip()


def comment_of(marks: Sequence[Mark]) -> str:
    """Return the comment that marks a file as synthetic: a line for each voice, or nothing."""
    return "\n".join(line(mark.comment) for mark in marks)


def book_tags(narration: Narration, sound: Sound) -> Tags:
    """Return the tags of a file with all chapters of `sound`."""
    spans = pairwise(round(start * 1000 / sound.rate_hz) for start in sound.starts)
    marks = [
        ChapterMark(title, start, end)
        for title, (start, end) in zip(titles(narration.book), spans, strict=True)
        if start < end
    ]
    return _tags(narration, narration.book.title, marks)


def track_tags(narration: Narration, title: str, track: str) -> Tags:
    """Return the tags of a file with one chapter."""
    tags = _tags(narration, title, (), track)
    is_large = tags.cover is not None and len(tags.cover.data) > _TRACK_COVER_BYTES
    return replace(tags, cover=None) if is_large else tags


def titles(book: Book) -> list[str]:
    """Return the title of each chapter as one line, its number where it has none."""
    return [line(chapter.title) or str(number) for number, chapter in enumerate(book.chapters, 1)]


def _tags(
    narration: Narration, title: str, chapters: Sequence[ChapterMark], track: str = ""
) -> Tags:
    book = narration.book
    return Tags(
        title=line(title),
        album=line(book.title),
        artist=line(", ".join(book.authors)),
        narrator=line(narration.narrator),
        marks=narration.marks,
        chapters=chapters,
        cover=cover_of(book.cover),
        track=track,
    )
