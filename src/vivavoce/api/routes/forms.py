"""Read the body of a form in parts, `multipart/form-data`, in bounded time.

The body's size is bounded before, by `api.middleware.body_limit`. Nothing goes to a disk.
"""

from email.message import Message
from email.parser import HeaderParser
from typing import Final

from vivavoce.errors import BadRequest

FORM: Final = "multipart/form-data"
MAX_PARTS: Final = 64
MAX_HEAD_BYTES: Final = 4_096  # of one part
MAX_VALUE_BYTES: Final = 2**16  # of a value that is no file

FormValue = str | bytes | list[str | bytes]  # text, a file, or several of one name


def is_form(content_type: str) -> bool:
    """True if the content type is that of a form in parts."""
    return content_type.partition(";")[0].strip().lower() == FORM


def read_form(data: bytes, content_type: str) -> dict[str, FormValue]:
    """Return the values of a form by name. Raises `BadRequest`."""
    values = dict[str, FormValue]()
    for name, value in map(_read_part, _parts(data, _boundary(content_type))):
        before = values.get(name)
        if before is None:
            values[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            values[name] = [before, value]
    return values


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    try:
        boundary = message.get_boundary("")
        if 1 <= len(boundary) <= 70:
            return boundary.encode("ascii")
    except ValueError:  # of a name that is encoded wrongly, or a character beyond ASCII
        pass
    raise _refused(f"has the content type {content_type[:100]!r}, without a boundary of ASCII")


def _parts(data: bytes, boundary: bytes) -> list[bytes]:
    """Return head and content of each part."""
    start = b"--" + boundary
    before, *pieces = data.split(b"\r\n" + start, MAX_PARTS + 2)
    if before.startswith(start):  # else it is a preamble, which nobody reads
        pieces.insert(0, before.removeprefix(start))
    if len(pieces) > MAX_PARTS + 1:
        raise _refused(f"has more than {MAX_PARTS} parts")
    if not pieces or not pieces[-1].startswith(b"--"):
        raise _refused("breaks off before its last boundary")
    return pieces[:-1]


def _read_part(part: bytes) -> tuple[str, str | bytes]:
    """Return the name and the value of a part: bytes of a file, else text."""
    end = part.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    line, _, head = part[: max(end, 0)].partition(b"\r\n")
    if line.strip(b" \t") or not head:
        raise _refused(f"has a part without a head of at most {MAX_HEAD_BYTES:,} bytes")
    content = part[end + 4 :]
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    try:
        name = headers.get_param("name", header="content-disposition")
        is_file = headers.get_filename() is not None
    except (ValueError, LookupError) as error:  # an encoding that is none
        raise _refused(f"has a part with a head that cannot be read ({error})") from error
    if not isinstance(name, str) or not name:
        raise _refused("has a part without a name")
    if is_file:
        return name, content
    if len(content) > MAX_VALUE_BYTES:
        problem = f"has {len(content):,} bytes, the limit is {MAX_VALUE_BYTES:,}"
        raise BadRequest(
            f"the field {name[:80]!r} {problem}: send a file as a file", field=name[:80]
        )
    try:
        return name, content.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"the field {name[:80]!r} is not UTF-8: send a file with a file name"
        raise BadRequest(problem, field=name[:80]) from error


def _refused(why: str) -> BadRequest:
    return BadRequest(f"the form {why}: send it as {FORM}, as `curl -F` does", field="body")
