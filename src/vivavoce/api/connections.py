"""Bounds what connections may cost: their number, how slowly a request comes in, how slowly an answer is taken.

A protocol for uvicorn, around its own one for HTTP/1.1. It sees bytes and time, and knows no endpoint.
"""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from vivavoce.api.middleware import refuse_request
from vivavoce.errors import BadRequest, Overloaded

# What the system keeps for a client that does not read (Linux takes the double). It also sets how soon reading is seen:
# when a third of it has been taken, which even the slowest audio format does several times a minute.
SEND_BUFFER_BYTES: Final = 128 * 2**10
BODY_BYTES_PER_S: Final = 1_000  # a body that is slower than this on average is not worth its place
SPARE_CONNECTIONS: Final = 64  # beyond the limit, that get an answer; others are only closed
_NO_LINGERING: Final = struct.pack("ii", 1, 0)
_TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections may cost; the settings of the same names say more."""

    max_connections: int
    receive_timeout_s: float
    send_timeout_s: float


def bounded_http(bounds: Bounds) -> type[asyncio.Protocol]:
    """The class to give to uvicorn as `http`."""
    return type("BoundedHTTP", (_BoundedHTTP,), {"bounds": bounds})


class _BoundedHTTP(H11Protocol):
    """One connection with two clocks: one runs while a request comes in, one while nothing of an answer goes out."""

    bounds: Bounds
    _since_s = 0.0  # when the request began to come in, or could have
    _received_bytes = 0
    _unsent_bytes = 0
    _receiving: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # Tells of whatever waits here, also of an answer's last bytes. With a limit of 0 asyncio's TLS never resumes.
        transport.set_write_buffer_limits(high=1, low=0)
        over = len(self.connections) - self.bounds.max_connections
        if over > SPARE_CONNECTIONS:
            transport.abort()
            return
        if over > 0:
            self.app = _only_health(self.app)
        self.app = _of_one_length(self.app)
        self._watch_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_receiving()
        self._stop_sending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is not self or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_receiving()  # it is a WebSocket's now, or the request is here
        elif self._receiving is None:
            self._watch_receiving()
        else:
            self._received_bytes += len(data) if self.conn.their_state is h11.SEND_BODY else 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        if self._sending is None:
            self._sending = self.loop.call_later(self.bounds.send_timeout_s, self._on_sent_nothing)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_sending()

    def _watch_receiving(self) -> None:
        self._since_s, self._received_bytes = time.monotonic(), 0
        self._receiving = self.loop.call_later(self.bounds.receive_timeout_s, self._on_received_late)

    def _on_received_late(self) -> None:
        may_s = self.bounds.receive_timeout_s + self._received_bytes / BODY_BYTES_PER_S
        left_s = self._since_s + may_s - time.monotonic()
        if left_s > 0.001:  # what has come meanwhile has earned it more time
            self._receiving = self.loop.call_later(left_s, self._on_received_late)
            return
        self._receiving = None
        said_something = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if said_something and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_TIMED_OUT)
        self.transport.close()

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _on_sent_nothing(self) -> None:
        before, self._unsent_bytes = self._unsent_bytes, self.transport.get_write_buffer_size()
        if self._unsent_bytes < before:
            self._sending = self.loop.call_later(self.bounds.send_timeout_s, self._on_sent_nothing)
            return
        self._sending = None
        self.logger.info("dropped %s, which took nothing for %g s", self.client, self.bounds.send_timeout_s)
        # Without lingering: the system would keep what it holds for the client until it gives up by itself.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.transport.abort()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


def _of_one_length(app: ASGIApp) -> ASGIApp:
    """`app` for requests that say in one way alone where they end.

    A proxy in front might believe the other way, and take a part of the body for somebody else's request.
    """

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", ())}
        if not names >= {b"content-length", b"transfer-encoding"}:
            await app(scope, receive, send)
            return
        message = "the request has both Content-Length and Transfer-Encoding: send one of them"
        await refuse_request(scope, send, 400, code=BadRequest.code, message=message)

    return refusing


def _only_health(app: ASGIApp) -> ASGIApp:
    """`app` for a connection too many: what restarts a server must not take a crowd for a failure."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/health"):
            await app(scope, receive, send)
            return
        message = "as many connections are open as the setting max_connections allows: try again soon"
        await refuse_request(scope, send, 503, code=Overloaded.code, message=message)

    return refusing
