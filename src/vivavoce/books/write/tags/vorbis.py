"""Word chapters and cover as Vorbis comments, which Ogg and FLAC have."""

import struct
from base64 import b64encode
from collections.abc import Sequence

from vivavoce.books.book import Picture
from vivavoce.books.write.tags.fields import ChapterMark


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
