"""Answer with files or parts of them, and keep spoken answers for a minute.

- A client that has the answer already gets a 304 (RFC 9110, 13).
- Several simultaneous requests for one answer share it, and it is spoken once.
- Speaking stops when all of them have left.
- The answers are temporary files, bounded in number and size.
"""

import asyncio
import hashlib
import os
import re
import tempfile
import time
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Message

from vivavoce.api.errors import HEAD, error_response
from vivavoce.errors import DiskFull
from vivavoce.storage import temporary_folder

KEEP_S: Final = 60.0
MAX_ANSWERS: Final = 64
MAX_BYTES: Final = 256 * 2**20
READ_BYTES: Final = 256 * 2**10
RANGES: Final = {"Accept-Ranges": "bytes"}
STRONG_S: Final = 60.0  # a date is one file's alone when no other can have had it

_TAG: Final = re.compile(r'"[^"]*"')
_RANGE: Final = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})")


class OutOfRange(Exception):
    """The range starts after the end of the answer."""


class StoredAnswer:
    """A whole answer in a temporary file, which is closed after its last use."""

    def __init__(self, file: IO[bytes], size: int, etag: str, headers: Mapping[str, str]) -> None:
        self.size = size
        self.headers = {**headers, **RANGES, "ETag": etag}
        self._etag = etag
        self._file = file
        weakref.finalize(self, file.close)

    def response(self, request: Request) -> Response:
        """Return the part in the request's `Range`, the whole answer, or a 304."""
        if self._is_known(request.headers):
            kept = {n: value for n, value in self.headers.items() if n[:8].lower() != "content-"}
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)
        range_header = request.headers.get("range", "")
        if request.scope.get(HEAD) or not self._is_still(request.headers.get("if-range")):
            range_header = ""
        try:
            part = parse_range(range_header, self.size)
        except OutOfRange:
            return self._out_of_range(request, range_header)
        start, end = part or (0, self.size)
        headers = {**self.headers, "Content-Length": str(end - start)}
        if part is None:
            return StreamingResponse(self._read(start, end), HTTPStatus.OK, headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{self.size}"
        return StreamingResponse(self._read(start, end), HTTPStatus.PARTIAL_CONTENT, headers)

    def _is_known(self, asked: Headers) -> bool:
        """True if the client has this very answer."""
        if tags := asked.getlist("if-none-match"):
            known = ",".join(tags)
            return known.strip() == "*" or self._etag in _TAG.findall(known)
        modified_s = _seconds(self.headers.get("Last-Modified"))
        since_s = _seconds(asked.get("if-modified-since"))
        return modified_s is not None and since_s is not None and modified_s <= since_s

    def _is_still(self, mark: str | None) -> bool:
        """True if a part of the answer that `If-Range` names is a part of this one."""
        if mark is None or mark == self._etag:
            return True
        modified = self.headers.get("Last-Modified")
        seconds = _seconds(modified)
        return mark == modified and seconds is not None and time.time() - seconds >= STRONG_S

    def _out_of_range(self, request: Request, range_header: str) -> Response:
        size, asked = f"{self.size:,}", range_header[:80]
        message = f"the answer has {size} bytes, so there is no {asked!r}: ask for less"
        response = error_response(
            request, 416, code="range_not_satisfiable", message=message, field="Range"
        )
        response.headers["Content-Range"] = f"bytes */{self.size}"
        return response

    async def _read(self, start: int, end: int) -> AsyncGenerator[bytes]:
        while start < end:
            size = min(READ_BYTES, end - start)
            chunk = await asyncio.to_thread(os.pread, self._file.fileno(), size, start)
            if not chunk:  # somebody has cut the file, so the client must not take it for whole
                raise OSError(f"the file ends before byte {end:,}")
            start += len(chunk)
            yield chunk


async def kept_file(path: Path, headers: Mapping[str, str]) -> StoredAnswer:
    """Return a file of this server's folders as an answer. Raises `OSError`."""
    file = await asyncio.to_thread(path.open, "rb")
    status = os.fstat(file.fileno())
    etag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    modified = {"Last-Modified": formatdate(int(status.st_mtime), usegmt=True)}
    return StoredAnswer(file, status.st_size, etag, {**headers, **modified})


def _seconds(date: str | None) -> float | None:
    """Return a date of HTTP as Unix time, or None if it is none."""
    with suppress(ValueError, OverflowError):
        return None if date is None else parsedate_to_datetime(date).timestamp()
    return None


@dataclass(eq=False, slots=True)
class _Entry:
    speaking: asyncio.Task[StoredAnswer]
    waiters: int = 0
    expires_s: float = field(default=float("inf"))  # of a finished answer


class ReplayStore:
    """The latest answers by their request, each kept until `keep_s` after its last use."""

    def __init__(
        self,
        *,
        keep_s: float = KEEP_S,
        max_answers: int = MAX_ANSWERS,
        max_bytes: int = MAX_BYTES,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep_s = keep_s
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._clock_s = clock_s
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # least recently used first

    def find(self, key: Hashable) -> StoredAnswer | None:
        """Return the answer if it is kept, and extend its time."""
        self._expire()
        entry = self._entries.get(key)
        if entry is None or not entry.speaking.done():
            return None
        return self._used(key, entry)

    async def get(
        self, key: Hashable, speak: Callable[[], Awaitable[StoredAnswer]]
    ) -> StoredAnswer:
        """Return the kept answer, or wait for the one being spoken, or call `speak`."""
        if (answer := self.find(key)) is not None:
            return answer
        entry = self._entries.get(key)
        if entry is None:
            entry = _Entry(asyncio.ensure_future(speak()))
            self._entries[key] = entry
            entry.speaking.add_done_callback(lambda _: self._finish(key, entry))
        entry.waiters += 1
        try:
            return await asyncio.shield(entry.speaking)
        finally:
            entry.waiters -= 1
            if not entry.waiters and not entry.speaking.done():
                self._drop(key, entry)
                entry.speaking.cancel()

    async def aclose(self) -> None:
        """Drop all answers, and cancel those being spoken."""
        tasks = [entry.speaking for entry in self._entries.values()]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, key: Hashable, entry: _Entry) -> None:
        if entry.speaking.cancelled() or entry.speaking.exception() is not None:
            self._drop(key, entry)
        elif self._entries.get(key) is entry:
            self._used(key, entry)
            self._make_room()
            asyncio.get_running_loop().call_later(self._keep_s, self._expire)

    def _used(self, key: Hashable, entry: _Entry) -> StoredAnswer:
        entry.expires_s = self._clock_s() + self._keep_s
        self._entries.move_to_end(key)
        return entry.speaking.result()

    def _drop(self, key: Hashable, entry: _Entry) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _finished(self) -> list[tuple[Hashable, _Entry]]:
        return [one for one in self._entries.items() if one[1].expires_s < float("inf")]

    def _expire(self) -> None:
        for key, entry in self._finished():
            if entry.expires_s <= self._clock_s():
                del self._entries[key]

    def _make_room(self) -> None:
        """Drop the least recently used answers above the limits. Those being sent stay open."""
        finished = self._finished()
        size = sum(entry.speaking.result().size for _, entry in finished)
        for count, (key, entry) in zip(range(len(finished), 0, -1), finished, strict=True):
            if count <= self._max_answers and size <= self._max_bytes:
                return
            size -= entry.speaking.result().size
            del self._entries[key]


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a `Range` of one part.

    None is the whole answer, also for a header that cannot be parsed. Raises `OutOfRange`.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if not found or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise OutOfRange
    return start, end


async def record(request: Request, speak: Callable[[Request], Awaitable[Response]]) -> StoredAnswer:
    """Return `speak`'s answer in a file, without the client's connection. Raises `DiskFull` too."""

    async def stay_connected() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("the event is never set")

    with _disk_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - StoredAnswer closes it
    digest = hashlib.sha256()

    async def write(message: Message) -> None:
        body = message.get("body", b"")
        digest.update(body)
        with _disk_errors():
            file.write(body)

    try:
        scope = dict(request.scope)
        response = await speak(Request(scope, stay_connected))
        await response(scope, stay_connected, write)
        with _disk_errors():
            file.flush()
    except BaseException:
        with suppress(OSError):  # closing tries to write the rest again
            file.close()
        raise
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return StoredAnswer(file, file.tell(), f'"{digest.hexdigest()[:32]}"', headers)


@contextmanager
def _disk_errors() -> Generator[None]:
    """Convert errors of the disk to `DiskFull`."""
    try:
        yield
    except OSError as error:
        raise DiskFull(
            f"the temporary folder {temporary_folder()!r} does not take the whole answer, of which "
            f"a part was asked for ({error.strerror}): ask without the header Range, or make room "
            "there"
        ) from error
