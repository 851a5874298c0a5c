"""Open the zip of an EPUB or a DOCX, made by anybody. Nothing is unpacked to a disk.

- The list of its files is short, before any of it is read.
- What a file claims to hold is not believed: reading ends at a limit.
- Links, devices, encrypted files and paths that lead out of the archive are refused.
"""

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from vivavoce.books.read.refusal import refused

MAX_FILES: Final = 20_000
MAX_DOCUMENT_BYTES: Final = 32 * 2**20
MAX_TOTAL_BYTES: Final = 256 * 2**20  # of all that is read
MAX_RATIO: Final = 200  # of text, which seldom shrinks to less than a tenth
_RATIO_FROM_BYTES: Final = 2**20
_ENTRY = b"PK\x01\x02"  # begins each entry of the list
_OUTSIDE = re.compile(r"\A(?:[/\\]|[A-Za-z]:)|(?:\A|[/\\])\.\.(?:[/\\]|\Z)|\0")
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(slots=True)
class Archive:
    """The files of an open zip, by path. Counts the bytes that were read."""

    name: str  # of the book's file, for errors
    _zip: zipfile.ZipFile
    _entries: dict[str, zipfile.ZipInfo]
    _by_lower: dict[str, str] = field(default_factory=dict)
    _read_bytes: int = 0

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def find(self, path: str) -> str | None:
        """Return the path of a file as it is in the archive, or None.

        Percent signs are decoded and letters' case ignored where only that finds it.
        """
        for wanted in (path, unquote(path)):
            if wanted in self._entries:
                return wanted
        return self._by_lower.get(unquote(path).lower())

    def read(self, path: str, max_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
        """Return the contents of a file. Raises `BadRequest` (`file`)."""
        entry = self._entries[path]
        try:
            with self._zip.open(entry) as member:
                contents = member.read(max_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            raise refused(self.name, f"is damaged at {path!r} ({error})") from error
        self._read_bytes += len(contents)
        if len(contents) > max_bytes or self._read_bytes > MAX_TOTAL_BYTES:
            limit = max_bytes if len(contents) > max_bytes else MAX_TOTAL_BYTES
            raise refused(
                self.name, f"unpacks to more than {limit:,} bytes at {path!r}", "split the book"
            )
        packed = max(1, entry.compress_size)
        if len(contents) > _RATIO_FROM_BYTES and len(contents) / packed > MAX_RATIO:
            raise refused(
                self.name,
                f"holds {path!r}, which unpacks to {len(contents) // packed} times its size, as "
                "a zip bomb does",
            )
        return contents


def open_archive(data: bytes, name: str) -> Archive:
    """Return the archive in `data`. Raises `BadRequest` (`file`)."""
    if data.count(_ENTRY) > MAX_FILES:
        raise refused(name, f"lists more than {MAX_FILES:,} files", "split the book")
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise refused(name, f"is not a whole zip file ({error})") from error
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        if entry.is_dir():
            continue
        if _OUTSIDE.search(entry.orig_filename):
            raise refused(name, f"holds a path that leads out of it, {entry.orig_filename!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise refused(name, f"holds a link or a device, {entry.filename!r}")
        if entry.flag_bits & 1:
            raise refused(name, "is encrypted", "save it without a password")
        if entry.compress_type not in _PLAIN:
            raise refused(name, f"packs {entry.filename!r} in a way that books do not use")
        entries[entry.filename.replace("\\", "/")] = entry
    return Archive(name, opened, entries, {path.lower(): path for path in entries})
