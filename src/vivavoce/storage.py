"""Check the server's folders, and limit the disk space of large answers.

The module knows only paths. It repairs nothing and rejects no request, because most requests need
none of the folders.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from vivavoce.errors import DiskFull
from vivavoce.permissions import why_unreadable

SPOOL_BYTES: Final = 8 * 2**20  # a larger answer waits on disk, not in memory
READ_BYTES: Final = 64 * 2**10
RETRY_AFTER_S: Final = 5.0  # until another answer may have been sent
OK: Final = "ok"
_FAILS: Final = f"whole answers of more than {SPOOL_BYTES:,} bytes fail"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one server."""

    data: Path
    cache: Path

    def states(self) -> Mapping[str, str]:
        """Return `ok` or the problem by folder. It uses the disk, so call it in a thread."""
        return {"temporary": _temporary(), "data": _kept(self.data), "cache": _kept(self.cache)}


def temporary_folder() -> str:
    """Return the folder for temporary files, even if it cannot be used."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR", "")


def _temporary() -> str:
    folder = temporary_folder()
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"\0")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder!r} cannot be written ({error.strerror}): {_FAILS}"
    return OK if free >= SPOOL_BYTES else f"{folder!r} has {free:,} bytes left: {_FAILS}"


def _kept(folder: Path) -> str:
    """Return the state of a folder that the server reads and other commands write."""
    if not os.path.lexists(folder):
        return OK  # created when needed
    if why := why_unreadable(folder):
        return why
    if os.access(folder, os.W_OK):
        return OK
    return (
        f"{str(folder)!r} can be read, and not written: what is in it cannot be changed from here"
    )


class SpoolLimit:
    """A limit on the total size of all answers that wait on disk."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0

    def check(self, size: int) -> None:
        """Raise `DiskFull` if `size` more bytes would exceed the limit."""
        if self._used_bytes + size > self._max_bytes:
            raise DiskFull(
                f"large answers that have not been sent yet take {self._used_bytes:,} bytes, and "
                f"the setting max_spool_bytes allows {self._max_bytes:,}: ask for a stream, send a "
                "shorter text, or try again soon",
                retry_after_s=RETRY_AFTER_S,
            )

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes. Raises `DiskFull` if that exceeds the limit."""
        self.check(size)
        self._used_bytes += size

    def release(self, size: int) -> None:
        self._used_bytes -= size


class Spool:
    """A whole answer that waits to be sent, on disk if it exceeds `SPOOL_BYTES`."""

    def __init__(self, limit: SpoolLimit) -> None:
        self._limit = limit
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed by `aclose`
        self._reserved_bytes = 0
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises `DiskFull` if it exceeds the limit or the disk is full."""
        size = self.size + len(chunk)
        if size > SPOOL_BYTES:
            self._limit.reserve(size - self._reserved_bytes)
            self._reserved_bytes = size
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise DiskFull(
                f"the answer is larger than {SPOOL_BYTES:,} bytes, and the temporary folder "
                f"{temporary_folder()!r} does not take it ({error.strerror}): ask for a stream or "
                "send a shorter text, or make room there"
            ) from error
        self.size = size

    @property
    def unread(self) -> int:
        """The number of bytes that have not been read yet, after `rewind`."""
        return self.size - self._file.tell()

    @property
    def file(self) -> BinaryIO:
        """The file itself. Call `measure` when something was written to it."""
        return cast(BinaryIO, self._file)  # which has its methods

    def measure(self) -> None:
        """Take note of what was written to `file`. Raises `DiskFull` if it exceeds the limit."""
        size = self._file.seek(0, os.SEEK_END)
        if size > SPOOL_BYTES:
            self._limit.reserve(size - self._reserved_bytes)
            self._reserved_bytes = size
        self.size = size

    def replace_start(self, change: Callable[[bytes], bytes], size: int) -> None:
        """Replace the first `size` bytes by what `change` makes of them, as many. Call `rewind`."""
        self._file.seek(0)
        start = change(self._file.read(size))
        self._file.seek(0)
        self._file.write(start)
        self._file.flush()

    def rewind(self) -> None:
        self._file.seek(0)

    def read(self) -> bytes:
        """Return the next part, or no bytes at the end."""
        return self._file.read(READ_BYTES)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if part := self.read():
            return part
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Remove the file. A second call has no effect."""
        self._limit.release(self._reserved_bytes)
        self._reserved_bytes = 0
        with suppress(OSError):  # it tries again to write the data that failed before
            self._file.close()
