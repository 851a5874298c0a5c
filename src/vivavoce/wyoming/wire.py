"""Read and write the events of the Wyoming protocol.

An event is a line of JSON, its header, then the bytes of its data, JSON too, and of its payload.
The header gives both lengths. Its own `data` is how old clients send it. The format is that of
the package `wyoming` (1.10, `wyoming/event.py`).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vivavoce.errors import BadRequest

MAX_HEADER_BYTES: Final = 64 * 2**10
MAX_DATA_BYTES: Final = 2 * 2**20  # the longest text, with every character escaped
MAX_PAYLOAD_BYTES: Final = 2**20  # which is audio, and not for us
_SKIPPED_BYTES: Final = 64 * 2**10  # of a payload at once


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event of a client, without its payload."""

    type: str
    data: Mapping[str, Any]  # Any: not checked yet


async def read_event(reader: asyncio.StreamReader) -> Incoming | None:
    """Return the next event, or None if the client has left, also in the middle of one.

    The limit of `reader` is `MAX_HEADER_BYTES`. Raises `BadRequest` for what is no event. What
    follows then makes no sense.
    """
    try:
        header = _object(await reader.readuntil(b"\n"), "the header")
        kind = header.get("type")
        if not isinstance(kind, str):
            raise BadRequest("the header of an event has no type: send a string", field="type")
        data = header.get("data")
        data = {} if data is None else data
        if not isinstance(data, dict):
            raise BadRequest("the data of an event is no JSON object: send {...}", field="data")
        if length := _length(header, "data_length", MAX_DATA_BYTES):
            data = {**data, **_object(await reader.readexactly(length), "the data")}
        left = _length(header, "payload_length", MAX_PAYLOAD_BYTES)
        while left:
            left -= len(await reader.readexactly(min(left, _SKIPPED_BYTES)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest(
            f"the header of an event has more than {MAX_HEADER_BYTES:,} bytes: send its data apart",
            field="header",
        ) from error
    return Incoming(kind, data)


def to_bytes(kind: str, data: Mapping[str, object] | None = None, payload: bytes = b"") -> bytes:
    """Return an event as it is sent."""
    encoded = json.dumps(data).encode("ascii") if data else b""
    header: dict[str, object] = {"type": kind}
    if encoded:
        header["data_length"] = len(encoded)
    if payload:
        header["payload_length"] = len(payload)
    return b"".join((json.dumps(header).encode("ascii"), b"\n", encoded, payload))


def _object(encoded: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        problem = f"{part} of an event is not valid JSON: {error}"
        raise BadRequest(problem[:200], field="header") from error
    if not isinstance(value, dict):
        raise BadRequest(f"{part} of an event is no JSON object: send {{...}}", field="header")
    return value


def _length(header: Mapping[str, Any], field: str, most: int) -> int:
    length = header.get(field)
    length = 0 if length is None else length
    if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= most:
        raise BadRequest(
            f"{field} is {str(length)[:40]!r}: send a number of bytes, at most {most:,}",
            field=field,
        )
    return length
