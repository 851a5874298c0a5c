"""Read a form in parts while it arrives, and write its one file to the disk."""

from collections import defaultdict
from pathlib import Path
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vivavoce.errors import BadRequest

MAX_FIELDS: Final = 40
MAX_FIELD_BYTES: Final = 256 * 2**10


class FileForm:
    """The form of a request whose part `file` goes to `place`. Every method may block.

    They raise `BadRequest` for what is no such form, and `OSError` of the disk. The size of the
    body is bounded before, by `api.middleware.body_limit`.
    """

    def __init__(self, content_type: str, file: str, place: Path) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 1 <= len(boundary) <= 70:
            raise _refused(f"has the content type {content_type[:100]!r}, without a boundary")
        self.fields = defaultdict[str, list[str]](list)
        self.file_name: str | None = None
        self._file, self._place = file, place
        self._writing: BinaryIO | None = None
        self._head = dict[bytes, bytes]()  # of the part that arrives
        self._name, self._value = b"", b""  # of its header that arrives
        self._field, self._text = "", bytearray()
        self._count, self._is_file, self._ended = 0, False, False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_name,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_head,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _refused("cannot be read") from error

    def finish(self) -> None:
        """Check that the form is whole."""
        if not self._ended:
            raise _refused("breaks off before its last boundary")

    def close(self) -> None:
        if self._writing is not None:
            self._writing.close()

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise _refused(f"has more than {MAX_FIELDS} parts")
        self._head, self._text = {}, bytearray()

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._head[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end_head(self) -> None:
        _, options = parse_options_header(self._head.get(b"content-disposition", b""))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            return
        if self._field != self._file or self._writing is not None:
            raise _refused(f"has another file than the one of the part {self._file!r}")
        self.file_name = options[b"filename"].decode("utf-8", "replace") or None
        self._writing = self._place.open("xb")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            assert self._writing is not None, "the head has opened it"
            self._writing.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            problem = f"{self._field[:80]} is longer than {MAX_FIELD_BYTES:,} bytes: shorten it"
            raise BadRequest(problem, field=self._field[:80])

    def _end_part(self) -> None:
        if self._is_file:
            self.close()
        elif self._field != self._file:  # a file without a name counts as none
            self.fields[self._field].append(self._text.decode("utf-8", "replace"))

    def _end(self) -> None:
        self._ended = True


def _refused(why: str) -> BadRequest:
    problem = f"the form {why}: send the book as a file, as `curl -F file=@book.epub` does"
    return BadRequest(problem, field="file")
