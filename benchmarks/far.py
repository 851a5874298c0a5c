"""Be another speech server: one of OpenAI's API whose only voice has a name outside Latin-1."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from benchmarks.attack_requests import FAR_VOICE

_AUDIO: Final = b"\x00\x10\x00\xf0" * 6000  # half a second at 24 kHz
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@asynccontextmanager
async def far_server() -> AsyncGenerator[str]:
    """Yield the URL of the server, on a free port of this machine."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(_answer(head.split()[1].partition(b"?")[0]))
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # it has gone
    finally:
        writer.close()


def _answer(path: bytes) -> bytes:
    if path == b"/v1/audio/speech":
        return _response("200 OK", "audio/pcm", _AUDIO)
    if path == b"/v1/audio/voices":
        voices = json.dumps({"voices": [FAR_VOICE]}, ensure_ascii=False)
        return _response("200 OK", "application/json", voices.encode("utf-8"))
    return _response("404 Not Found", "application/json", b"{}")


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"Connection: close\r\n\r\n" + body
