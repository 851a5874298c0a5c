"""Speak just enough HTTP/1.1 for a load generator: one request a connection, the body piece by
piece as it comes.

A general client costs more processor time for each piece than the server that is being measured,
which on a small machine would be measured with it.
"""

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from vivavoce.errors import EngineFault, SettingsError

LINE_BYTES = 1 << 20  # far above the longest line or piece that the server sends
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server on this machine."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Return the address in `http://host:port`.

        Raises `SettingsError` unless it is one of this machine.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise SettingsError(
                f"--url {url!r} is not of the form http://127.0.0.1:8000; write it so"
            )
        if not _is_loopback(parts.hostname):
            raise SettingsError(
                f"--url {url!r} is another machine; run the benchmark where the server runs"
            )
        return cls(parts.hostname, parts.port or 80)


@cache
def _trusting() -> ssl.SSLContext:
    """Return a TLS context for a server of our own. It accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Response:
    """An answer after its head. `reader` is at the start of the body."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    reader: asyncio.StreamReader

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body in the chunks that the server sent.

        Raises `asyncio.IncompleteReadError` if the server broke off.
        """
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield (await self.reader.readexactly(size + 2))[:size]
            return
        left = int(self.headers.get("content-length", "0"))
        while left:
            piece = await self.reader.read(min(left, _READ_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece


@asynccontextmanager
async def send(
    address: Address, method: str, path: str, body: bytes = b"", *, limit_bytes: int = LINE_BYTES
) -> AsyncGenerator[Response]:
    """Send one request over a connection of its own and yield the response.

    The connection buffers twice `limit_bytes` of unread data. Raises `OSError` if there is no
    connection, `asyncio.IncompleteReadError` if it ends too early.
    """
    reader, writer = await asyncio.open_connection(
        address.host, address.port, limit=limit_bytes, ssl=_trusting() if address.tls else None
    )
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        head += "Connection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode("ascii") + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        pairs = (line.split(":", 1) for line in lines if line)
        yield Response(
            int(status.split()[1]), {name.lower(): value.strip() for name, value in pairs}, reader
        )
    finally:
        writer.close()


def unread(address: Address, path: str, body: bytes) -> socket.socket:
    """Post `body` to `path` and return the connection, with the answer unread.

    The buffer of the connection is small, so that hardly any of the answer is in transit.
    """
    connection = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((address.host, address.port))
    head = f"POST {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode("ascii") + body)
    return connection


async def get_json(address: Address, path: str) -> Mapping[str, object]:
    """Return the JSON object at `path`.

    Raises `OSError` without a connection, `EngineFault` for any status but 200.
    """
    async with send(address, "GET", path) as response, aclosing(response.pieces()) as pieces:
        body = b"".join([piece async for piece in pieces])
    if response.status != 200:
        raise EngineFault(
            f"GET {path} answered {response.status} {body[:200]!r}; is this a vivavoce server?"
        )
    answer: Mapping[str, object] = json.loads(body)
    return answer
