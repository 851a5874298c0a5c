"""Write an ID3v2.3 tag with chapters (https://id3.org/id3v2.3.0, https://id3.org/id3v2-chapters-1.0).

A table of contents counts its chapters in a byte. Where there are more, it is left out: chapters
have times, and players put them in order. FFmpeg's own would name 44 of 300.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from vivavoce.books.write.tags.fields import ChapterMark, Tags

_ENTRIES: Final = 255  # of a table of contents
_TEXTS: Final = {
    "title": b"TIT2",
    "album": b"TALB",
    "artist": b"TPE1",
    "album_artist": b"TPE2",
    "composer": b"TCOM",
    "genre": b"TCON",
    "track": b"TRCK",
}
_FRONT_COVER: Final = 3


def id3_tag(tags: Tags) -> bytes:
    """Return the tag that precedes the frames of an MP3 file."""
    frames = b"".join(_frames(tags))
    return b"ID3\x03\x00\x00" + _seven_bits(len(frames)) + frames


def _frames(tags: Tags) -> Iterator[bytes]:
    named = tags.named
    for name, kind in _TEXTS.items():
        if name in named:
            yield _text(kind, named[name])
    if tags.comment:
        # a language of three letters, and an empty description
        yield _frame(b"COMM", b"\x01und" + _utf16("") + b"\0\0" + _utf16(tags.comment))
    if tags.cover is not None:
        kind = tags.cover.media_type.encode("ascii")
        yield _frame(b"APIC", b"\0" + kind + bytes([0, _FRONT_COVER, 0]) + tags.cover.data)
    if 0 < len(tags.chapters) <= _ENTRIES:
        yield _contents([b"ch%d" % number for number in range(len(tags.chapters))])
    for number, chapter in enumerate(tags.chapters):
        yield _chapter(b"ch%d" % number, chapter)


def _contents(names: Sequence[bytes]) -> bytes:
    top, ordered = 2, 1
    head = b"toc\0" + bytes([top + ordered, len(names)])
    return _frame(b"CTOC", head + b"".join(name + b"\0" for name in names))


def _chapter(name: bytes, chapter: ChapterMark) -> bytes:
    # all ones: a time is used, and no place in bytes
    span = struct.pack(">4I", chapter.start_ms, chapter.end_ms, 0xFFFFFFFF, 0xFFFFFFFF)
    return _frame(b"CHAP", name + b"\0" + span + _text(b"TIT2", chapter.title))


def _text(kind: bytes, text: str) -> bytes:
    return _frame(kind, b"\x01" + _utf16(text))


def _utf16(text: str) -> bytes:
    return b"\xff\xfe" + text.encode("utf-16-le")


def _frame(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack(">IH", len(data), 0) + data


def _seven_bits(size: int) -> bytes:
    """Return `size` in four bytes of seven bits."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
