"""Read the bodies of requests within limits, before they are validated.

- A body has at most `max_plain_bytes`, not counting a recording, or the field `LONG_FIELD` of its
  model.
- A body has at most `MAX_TOKENS` tokens of JSON, which cost more than their bytes, or as many as
  its model allows.
- The first unknown field ends the request where unknown fields are refused. Elsewhere unknown
  fields are dropped.
- Parsing a large body never blocks the event loop.
- A model with `TAKES_FORMS` also takes a form in parts, whose files are bytes.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from itertools import islice
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AliasChoices, BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vivavoce.api.dependencies import server_of
from vivavoce.api.errors import ClientDisconnected
from vivavoce.api.routes.forms import FORM, is_form, read_form
from vivavoce.errors import BadRequest, BodyTooLarge

MAX_PLAIN_BYTES: Final = 2_000_000
BYTES_PER_CHAR: Final = 16  # of the text: a character takes up to 12 bytes as JSON, `\ud83d\ude00`
MAX_TOKENS: Final = 10_000  # of JSON, as many as the longest dialogue needs
MAX_QUERY_NAMES: Final = 100
MAX_NAME_BYTES: Final = 64  # of the recording's field, escaped or not
INLINE_BYTES: Final = 64 * 2**10  # parsed on the event loop, in 3 ms at most
PIECE_CHARS: Final = 2**20  # of a recording, unescaped at once: 7 ms at most

_RECORDING: Final = "ref_audio"
_PLAIN_FORM: Final = "application/x-www-form-urlencoded"  # which holds no files
# A string, terminated or not, or a delimiter. No character is matched twice.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,:]', re.DOTALL)


def max_plain_bytes(max_text_chars: int) -> int:
    """Return the largest body without a recording that a text of `max_text_chars` may need."""
    return max(MAX_PLAIN_BYTES, BYTES_PER_CHAR * max_text_chars)


class BoundedRoute(APIRoute):
    """A route that reads its body and its query within the limits of this module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler after the bounded reading."""
        handle = super().get_route_handler()
        model = None if self.body_field is None else self.body_field.field_info.annotation
        fields = model if isinstance(model, type) and issubclass(model, BaseModel) else None

        async def bounded(request: Request) -> Response:
            _check_query(request)
            return await handle(request if fields is None else await read_body(request, fields))

        return bounded


class _ReadRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, data: bytes, values: object) -> None:
        super().__init__(request.scope, request.receive)
        self._data, self._values = data, values

    async def body(self) -> bytes:
        return self._data

    async def json(self) -> object:
        return self._values


def _check_query(request: Request) -> None:
    """Raise `BadRequest` if the query has more names than any endpoint."""
    if request.scope["query_string"].count(b"&") >= MAX_QUERY_NAMES:
        problem = f"the query has more than {MAX_QUERY_NAMES} names: see /docs for those known here"
        raise BadRequest(problem, field="query")


async def read_body(request: Request, model: type[BaseModel]) -> Request:
    """Return `request` with its body parsed. Raises `BadRequest` and FastAPI's errors for JSON."""
    content_type = _content_type(request)
    if getattr(model, "TAKES_FORMS", False) and is_form(content_type):
        data = await _received(request, sys.maxsize, None)
        form = await asyncio.to_thread(read_form, data, content_type)
        return _ReadRequest(_as_json(request), b"{}", _known(form, model))
    if getattr(model, "TAKES_FORMS", False) and content_type.startswith(_PLAIN_FORM):
        raise BadRequest(f"the body is {_PLAIN_FORM}: send {FORM}, as `curl -F` does", field="body")
    max_bytes = server_of(request).max_plain_bytes
    long = getattr(model, "LONG_FIELD", _RECORDING if _RECORDING in model.model_fields else None)
    data = await _received(request, max_bytes, long)
    if not data or not _is_json(request):
        return _ReadRequest(request, data, None)
    try:
        max_tokens = getattr(model, "MAX_TOKENS", MAX_TOKENS)
        if len(data) <= INLINE_BYTES:
            values = _parse(data, max_bytes, max_tokens, long)
        else:
            values = await asyncio.to_thread(_parse, data, max_bytes, max_tokens, long)
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body", error.pos), "ctx": {"error": error.msg}}
        raise RequestValidationError([problem]) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, numbers too long, or nested deeply
        raise HTTPException(400) from error
    return _ReadRequest(request, b"{}", _known(values, model))


async def _received(request: Request, max_bytes: int, long: str | None) -> bytes:
    """Return the bytes of the body, beyond `max_bytes` only for the field `long`.

    The rest of a body that is too large is read and dropped: a client that is still sending would
    not see the answer. Raises `BodyTooLarge`, and `ClientDisconnected`.
    """
    received, may_grow, refused = bytearray(), False, False
    try:
        async for chunk in request.stream():
            if refused:
                continue
            received += chunk
            if len(received) > max_bytes and not may_grow:
                data = bytes(received)
                may_grow = bool(long and await asyncio.to_thread(_found, data, max_bytes, long))
                refused = not may_grow
    except ClientDisconnect as error:
        raise ClientDisconnected from error
    if refused:
        raise _too_large(max_bytes)
    return bytes(received)


def _too_large(max_bytes: int) -> BodyTooLarge:
    problem = f"the body is larger than {max_bytes:,} bytes without a recording, the limit"
    return BodyTooLarge(f"{problem}: send the text in parts", field="text")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type") or "text/plain"


def _as_json(request: Request) -> Request:
    """Return `request` as if its body were JSON, which FastAPI has a parsed body for."""
    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    headers.append((b"content-type", b"application/json"))
    return Request({**request.scope, "headers": headers}, request.receive)


def _is_json(request: Request) -> bool:
    """True if the content type is JSON, by the same rule as FastAPI's."""
    message = Message()
    message["content-type"] = _content_type(request)
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


def _parse(data: bytes, max_bytes: int, max_tokens: int, long: str | None) -> object:
    """Return the values in `data`. Raises `BadRequest`, `ValueError`, `RecursionError`."""
    taken_out = None
    if len(data) > max_bytes:
        data, taken_out = _without(data, max_bytes, long or "")
    text = data.decode(json.detect_encoding(data), "surrogatepass")
    del data
    if len(list(islice(_TOKEN.finditer(text), max_tokens + 1))) > max_tokens:
        problem = f"the body holds more than {max_tokens:,} tokens of JSON"
        raise BadRequest(f"{problem}: leave out what is not in /docs", field="body")
    values = json.loads(text, parse_int=_whole_number)
    if taken_out is not None and isinstance(values, dict) and values.get(long) == "":
        values[long] = taken_out
    return values


def _whole_number(digits: str) -> int:
    """Convert digits in Python, so that other threads run between long numbers."""
    return int(digits)


def _without(data: bytes, max_bytes: int, field: str) -> tuple[bytes, str]:
    """Return `data` with its string `field` emptied, and that string."""
    start, end = _found(data, max_bytes, field) or (0, 0)
    if len(data) - (end - start) > max_bytes or end == len(data):
        raise _too_large(max_bytes)
    taken_out = data[start:end].decode("ascii")
    if "\\" in taken_out:
        taken_out = "".join(json.loads(f'"{piece}"') for piece in _pieces(taken_out))
    return data[:start] + data[end:], taken_out


def _found(data: bytes, max_bytes: int, field: str) -> tuple[int, int] | None:
    """Return start and end of the string in `field`: the last one, as in JSON.

    The string may be cut short. The interpreter does not search its characters one by one.
    """
    found, name, depth, at = None, b"", 0, 0
    if data.count(b'"') > max_bytes // 4:  # more than a text may have: a second to search, or more
        return None
    while (start := data.find(b'"', at) + 1) > 0:
        between = data[at : start - 1]
        depth += sum(map(between.count, (b"{", b"["))) - sum(map(between.count, (b"}", b"]")))
        end = _string_end(data, start)
        if depth == 1 and between.strip() == b":" and _is_named(name, field):
            found = start, end
        name, at = data[start : min(end, start + MAX_NAME_BYTES)], end + 1
    return found


def _string_end(data: bytes, start: int) -> int:
    """Return the place of the quote that ends the string at `start`, or the end of `data`."""
    end = start - 1
    while (end := data.find(b'"', after := end + 1)) >= 0:
        if not data.endswith(b"\\", after, end):
            return end
        part = data[after:end]
        if (len(part) - len(part.rstrip(b"\\"))) % 2 == 0:
            return end
    return len(data)


def _is_named(name: bytes, field: str) -> bool:
    try:
        return bool(json.loads(b'"%s"' % name) == field)
    except ValueError:
        return False


def _pieces(escaped: str) -> Iterator[str]:
    """Yield `escaped` in pieces that cut no escape sequence."""
    start = 0
    while start < len(escaped):
        stop = start + PIECE_CHARS
        if stop < len(escaped) and (cut := escaped.rfind("\\", stop - 6, stop)) >= 0:
            stop = cut
        yield escaped[start:stop]
        start = stop


def _known(values: object, model: type[BaseModel]) -> object:
    """Return `values` without unknown fields, or raise an error for the first one."""
    if not isinstance(values, dict):
        return values
    names = set(_names(model))
    if model.model_config.get("extra") != "forbid":
        return {name: value for name, value in values.items() if name in names}
    if (unknown := next((name for name in values if name not in names), None)) is not None:
        problem = {"type": "extra_forbidden", "loc": ("body", unknown)}
        raise RequestValidationError([problem])
    return values


def _names(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names and aliases of the fields of `model`."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield from (choice for choice in alias.choices if isinstance(choice, str))
        else:
            yield alias if isinstance(alias, str) else name
