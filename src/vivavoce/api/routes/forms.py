"""Read the body of a form in parts, `multipart/form-data`, as its bytes come, in bounded time.

The body's size is bounded before, by `api.middleware.body_limit`. Files go where `open_file` says.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from typing import IO, Final

from vivavoce.errors import BadRequest

FORM: Final = "multipart/form-data"
MAX_PARTS: Final = 64
MAX_HEAD_BYTES: Final = 4_096  # of one part
MAX_VALUE_BYTES: Final = 2**16  # of a value that is no file
_BLANK: Final = b"\r\n\r\n"
# Parameters in an encoding that is none. `email` sorts `name*0` and `name*`: a number and None.
_UNREADABLE: Final = (ValueError, LookupError, TypeError)

FormValue = str | bytes | list[str | bytes]  # text, a file, or several of one name


@dataclass(frozen=True, slots=True)
class FormPart:
    """A part of a form: a text, or a file with the name that the client gave it."""

    name: str
    content: IO[bytes]
    file_name: str | None  # None: a text


class FormReader:
    """Take the bytes of a form piece by piece, and return its parts. Raises `BadRequest`."""

    def __init__(
        self,
        content_type: str,
        open_file: Callable[[], IO[bytes]] = io.BytesIO,
        max_value_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        self._mark = b"\r\n--" + _boundary(content_type)
        self._open_file = open_file
        self._max_value_bytes = max_value_bytes
        self._rest = b"\r\n"  # not read yet; before the first part, whose mark may lack it
        self._in_head = self._is_whole = False
        self._parts = list[FormPart]()

    def feed(self, data: bytes) -> None:
        """Read the next bytes. It writes files, so call it in a thread."""
        data, at = self._rest + data, 0
        while not self._is_whole:
            if not self._in_head:
                end = data.find(self._mark, at)
                # What may be the beginning of a mark stays.
                stop = end if end >= 0 else max(at, len(data) - len(self._mark) + 1)
                self._write(data[at:stop])
                at = stop
                if end < 0:
                    break
                at, self._in_head = end + len(self._mark), True
            if data.startswith(b"--", at):
                self._is_whole = True
                break
            end = data.find(_BLANK, at, at + MAX_HEAD_BYTES)
            if end < 0:
                if len(data) - at >= MAX_HEAD_BYTES:
                    raise _headless()
                break
            self._begin(data[at:end])
            at, self._in_head = end + len(_BLANK), False
        self._rest = b"" if self._is_whole else data[at:]

    def finish(self) -> list[FormPart]:
        """Return the parts, each file at its beginning."""
        if not self._is_whole:
            raise _refused("breaks off before its last boundary")
        for part in self._parts:
            part.content.seek(0)
        return self._parts

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.content.close()

    def _begin(self, head: bytes) -> None:
        """Begin the part with that head, behind a mark."""
        if len(self._parts) == MAX_PARTS:
            raise _refused(f"has more than {MAX_PARTS} parts")
        line, _, lines = head.partition(b"\r\n")
        if line.strip(b" \t") or not lines or self._mark in head:
            raise _headless()
        headers = HeaderParser().parsestr(lines.decode("utf-8", "replace"))
        try:
            name = headers.get_param("name", header="content-disposition")
            file_name = headers.get_filename()
        except _UNREADABLE as error:
            raise _refused("has a part with a head that cannot be read") from error
        if not isinstance(name, str) or not name:
            raise _refused("has a part without a name")
        content = io.BytesIO() if file_name is None else self._open_file()
        self._parts.append(FormPart(name, content, file_name))

    def _write(self, data: bytes) -> None:
        if not self._parts:  # a preamble, which nobody reads
            return
        part = self._parts[-1]
        part.content.write(data)
        if part.file_name is None and part.content.tell() > self._max_value_bytes:
            name = part.name[:80]
            raise BadRequest(
                f"the field {name!r} has more than {self._max_value_bytes:,} bytes, the limit: "
                "send a file as a file",
                field=name,
            )


def is_form(content_type: str) -> bool:
    """True if the content type is that of a form in parts."""
    return content_type.partition(";")[0].strip().lower() == FORM


def text_of(part: FormPart) -> str:
    """Return the text of a part. Raises `BadRequest`."""
    try:
        return part.content.read().decode("utf-8")
    except UnicodeDecodeError as error:
        name = part.name[:80]
        problem = f"the field {name!r} is not UTF-8: send it so, or as a file with a name"
        raise BadRequest(problem, field=name) from error


def read_form(data: bytes, content_type: str) -> dict[str, FormValue]:
    """Return the values of a whole form by name, in memory. Raises `BadRequest`."""
    reader = FormReader(content_type)
    reader.feed(data)
    values = dict[str, FormValue]()
    for part in reader.finish():
        value = text_of(part) if part.file_name is None else part.content.read()
        before = values.get(part.name)
        if before is None:
            values[part.name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            values[part.name] = [before, value]
    return values


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    try:
        boundary = message.get_boundary("")
        if 1 <= len(boundary) <= 70:
            return boundary.encode("ascii")
    except _UNREADABLE:  # or a character beyond ASCII
        pass
    raise _refused(f"has the content type {content_type[:100]!r}, without a boundary of ASCII")


def _headless() -> BadRequest:
    return _refused(f"has a part without a head of at most {MAX_HEAD_BYTES:,} bytes")


def _refused(why: str) -> BadRequest:
    return BadRequest(f"the form {why}: send it as {FORM}, as `curl -F` does", field="body")
