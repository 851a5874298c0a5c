"""Give each chapter of an MP4 a chunk of its own, and find room for its index.

FFmpeg writes the titles of all chapters as one chunk, and equal lengths once. Readers such as
music-metadata do not follow either.
The index (`moov`) precedes the sound in a place of fixed size, and a `free` box fills what it
leaves. So it can grow without moving anything (ISO/IEC 14496-12, section 8).
"""

import struct
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

from vivavoce.books.write.tags.fields import Tags

_CONTAINERS: Final = (b"trak", b"mdia", b"minf", b"stbl")
_CHAPTER_BYTES: Final = 400  # of a title, its times and its place
_SPARE_BYTES: Final = 65_536
_HEADER: Final = struct.Struct(">I4s")


def index_bytes(packets: int, tags: Tags) -> int:
    """Return more than the size of the index: four bytes for each packet, and the tags."""
    texts = sum(len(text.encode("utf-8")) for text in tags.named.values())
    cover = len(tags.cover.data) if tags.cover is not None else 0
    return 5 * packets + _CHAPTER_BYTES * len(tags.chapters) + texts + cover + _SPARE_BYTES


def separate_chapters(path: Path) -> None:
    """Change the index of a file whose `moov` and `free` follow each other."""
    with path.open("r+b") as file:
        while (header := _HEADER.unpack(file.read(8)))[1] != b"moov":
            file.seek(header[0] - 8, 1)
        start = file.tell() - 8
        moov = file.read(header[0] - 8)
        free, kind = _HEADER.unpack(file.read(8))
        assert kind == b"free", "the place of the index is larger than the index"
        tracks = (_changed(each) if kind == b"trak" else each for kind, each in _boxes(moov))
        changed = _box(b"moov", b"".join(tracks))
        rest = free - (len(changed) - header[0])
        file.seek(start)
        file.write(changed + _HEADER.pack(rest, b"free"))


def _changed(track: bytes) -> bytes:
    """Return a track as it is, or that of the chapters with a chunk for each."""
    if b"text" not in track[: track.index(b"minf")]:  # as its handler says
        return track
    at = track.index(b"stsz")
    same, count = struct.unpack_from(">II", track, at + 8)  # one size for all, or 0
    sizes = [same] * count if same else struct.unpack_from(f">{count}I", track, at + 16)
    (first,) = struct.unpack_from(">I", track, track.index(b"stco") + 12)
    places = accumulate(sizes[:-1], initial=first)
    runs = struct.iter_unpack(">II", _table(track, b"stts", 8))
    lengths = [struct.pack(">II", 1, length) for times, length in runs for _ in range(times)]
    tables = {
        b"stco": struct.pack(f">II{count}I", 0, count, *places),
        b"stts": struct.pack(">II", 0, count) + b"".join(lengths),
        b"stsc": struct.pack(">5I", 0, 1, 1, 1, 1),  # from the first chunk on, one title in each
    }
    return _rebuilt(track, tables)


def _table(track: bytes, kind: bytes, entry_bytes: int) -> bytes:
    """Return the entries of a table."""
    at = track.index(kind)
    (count,) = struct.unpack_from(">I", track, at + 8)
    return track[at + 12 : at + 12 + count * entry_bytes]


def _rebuilt(box: bytes, tables: dict[bytes, bytes]) -> bytes:
    kind = box[4:8]
    if kind in _CONTAINERS:
        return _box(kind, b"".join(_rebuilt(each, tables) for _, each in _boxes(box[8:])))
    return _box(kind, tables[kind]) if kind in tables else box


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each box, and all of it."""
    at = 0
    while at < len(data):
        size, kind = _HEADER.unpack_from(data, at)
        yield kind, data[at : at + size]
        at += size


def _box(kind: bytes, data: bytes) -> bytes:
    return _HEADER.pack(len(data) + 8, kind) + data
