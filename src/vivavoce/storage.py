"""Tell whether the server's folders can be used, and bound the disk of large answers.

It knows paths alone. Nothing is repaired, and nobody is kept from speaking: most requests need none
of them.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from vivavoce.errors import DiskFull
from vivavoce.permissions import why_unreadable

ROOM_BYTES: Final = 8 * 2**20  # an answer that is larger waits on disk, not in memory
READ_BYTES: Final = 64 * 2**10
RETRY_AFTER_S: Final = 5.0  # until another answer may have been sent
OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one server."""

    data: Path
    cache: Path

    def states(self) -> Mapping[str, str]:
        """For each `ok`, or what is wrong with it.

        Asks the disk, so call it beside the event loop.
        """
        return {"temporary": _temporary(), "data": _kept(self.data), "cache": _kept(self.cache)}


def temporary_folder() -> str:
    """Where temporary files go, or would if they could."""
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
        return f"{folder!r} cannot be written ({error.strerror}): whole answers of more than {ROOM_BYTES:,} bytes fail"
    if free < ROOM_BYTES:
        return f"{folder!r} has {free:,} bytes left: whole answers of more than {ROOM_BYTES:,} bytes fail"
    return OK


def _kept(folder: Path) -> str:
    """Of a folder that `vivavoce keys` and `vivavoce models pull` write and the server only reads."""
    if not os.path.lexists(folder):
        return OK  # it is made when it is needed
    if why := why_unreadable(folder):
        return why
    if not os.access(folder, os.W_OK):
        return f"{str(folder)!r} can be read, and not written: what is in it cannot be changed from here"
    return OK


class SpoolLimit:
    """Bound the bytes of all answers that wait on disk, together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0

    def check(self, size: int) -> None:
        """Raise `DiskFull` if `size` bytes more would be too many."""
        if self._used_bytes + size > self._max_bytes:
            raise DiskFull(
                f"large answers that have not been sent yet take {self._used_bytes:,} bytes, and the setting "
                f"max_spool_bytes allows {self._max_bytes:,}: ask for a stream, send a shorter text, or try again soon",
                retry_after_s=RETRY_AFTER_S,
            )

    def take(self, size: int) -> None:
        """Count `size` bytes more. Raises `DiskFull` if there would be too many."""
        self.check(size)
        self._used_bytes += size

    def give_back(self, size: int) -> None:
        self._used_bytes -= size


class Spool:
    """A whole answer until it is sent: in memory, or on disk if it exceeds `ROOM_BYTES`."""

    def __init__(self, limit: SpoolLimit) -> None:
        self._limit = limit
        self._file = tempfile.SpooledTemporaryFile(ROOM_BYTES)  # noqa: SIM115 - closed by `aclose`
        self._counted_bytes = 0
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises `DiskFull` if the limit, or the disk, does not take it."""
        size = self.size + len(chunk)
        if size > ROOM_BYTES:
            self._limit.take(size - self._counted_bytes)
            self._counted_bytes = size
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise DiskFull(
                f"the answer is larger than {ROOM_BYTES:,} bytes, and the temporary folder {temporary_folder()!r} does "
                f"not take it ({error.strerror}): ask for a stream or send a shorter text, or make room there"
            ) from error
        self.size = size

    @property
    def unread(self) -> int:
        """Bytes that have not been read yet, after `rewind`."""
        return self.size - self._file.tell()

    def rewind(self) -> None:
        self._file.seek(0)

    def read(self) -> bytes:
        """Return the next part; nothing at the end."""
        return self._file.read(READ_BYTES)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if part := self.read():
            return part
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Remove the file. A second time is harmless."""
        self._limit.give_back(self._counted_bytes)
        self._counted_bytes = 0
        with suppress(OSError):  # what could not be written it would try to write again
            self._file.close()
