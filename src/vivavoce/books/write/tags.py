"""Say what is written into a file beside its sound: names, chapters, cover and marks."""

import re
import struct
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vivavoce.books.book import Narration, Picture
from vivavoce.books.write.sound import Sound

_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_SIGNATURES: Final = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True, slots=True)
class ChapterMark:
    """A chapter of a file, in milliseconds. Its title is not empty."""

    title: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of one file. `comment` marks it as synthetic speech."""

    title: str
    album: str
    artist: str
    narrator: str
    comment: str
    language: str | None
    chapters: Sequence[ChapterMark]
    cover: Picture | None
    track: str = ""  # such as 3/12

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


def chapter_title(title: str, number: int) -> str:
    """Return the title of a chapter as one line, its number if it has none."""
    return line(title) or str(number)


def comment_of(narration: Narration) -> str:
    """Return the comment that marks a file as synthetic: a line for each voice, or nothing."""
    return "\n".join(line(mark.comment) for mark in narration.marks)


def book_tags(narration: Narration, sound: Sound) -> Tags:
    """Return the tags of a file with all chapters."""
    return _tags(narration, narration.book.title, tuple(chapter_marks(sound)))


def chapter_marks(sound: Sound) -> list[ChapterMark]:
    """Return the chapters that have sound."""
    spans = pairwise(round(start * 1000 / sound.rate_hz) for start in sound.starts)
    titles = (chapter.chapter.title for chapter in sound.chapters)
    return [
        ChapterMark(chapter_title(title, number), start, end)
        for number, (title, (start, end)) in enumerate(zip(titles, spans, strict=True), 1)
        if start < end
    ]


def track_tags(narration: Narration, number: int) -> Tags:
    """Return the tags of a file with chapter `number`, counted from 1."""
    title = chapter_title(narration.chapters[number - 1].chapter.title, number)
    return _tags(narration, title, (), f"{number}/{len(narration.chapters)}")


def _tags(
    narration: Narration, title: str, chapters: Sequence[ChapterMark], track: str = ""
) -> Tags:
    book = narration.book
    return Tags(
        title=line(title),
        album=line(book.title),
        artist=line(", ".join(book.authors)),
        narrator=line(narration.narrator),
        comment=comment_of(narration),
        language=book.language,
        chapters=chapters,
        cover=cover_of(book.cover),
        track=track,
    )


def cover_of(cover: Picture | None) -> Picture | None:
    """Return the cover if its bytes begin as its type says. Others would break players."""
    if cover is None or not cover.data.startswith(_SIGNATURES[cover.media_type]):
        return None
    return cover


def vorbis_chapters(chapters: Sequence[ChapterMark]) -> dict[str, str]:
    """Return chapters as Vorbis comments (https://wiki.xiph.org/Chapter_Extension)."""
    found = dict[str, str]()
    for number, chapter in enumerate(chapters, 1):
        minutes, milliseconds = divmod(chapter.start_ms, 60_000)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
        found |= {f"CHAPTER{number:03}": clock, f"CHAPTER{number:03}NAME": chapter.title}
    return found


def vorbis_picture(cover: Picture) -> str:
    """Return the cover as the Vorbis comment METADATA_BLOCK_PICTURE (RFC 9639, section 8.8)."""
    kind = cover.media_type.encode("ascii")
    size = struct.pack(">I", len(cover.data))
    # type 3 is the front cover; no description; width, height, depth and colours are unknown
    block = struct.pack(">II", 3, len(kind)) + kind + bytes(4 * 5) + size + cover.data
    return b64encode(block).decode("ascii")
