"""Bound the time and memory of each connection.

The protocol class extends uvicorn's own one for HTTP/1.1. It sees bytes and time, and knows no
endpoint. `api.middleware.listener` bounds the number of connections.

- A request that arrives too slowly, and an answer that nobody reads, end their connection.
- Many small parts of one request take at most a fifth of the event loop.
- A connection above the limit is answered on `/health` only.
"""

import asyncio
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from vivavoce.api.errors import refuse
from vivavoce.api.middleware.body_limit import PADDING, RETRY_AFTER_S
from vivavoce.errors import BadRequest, Overloaded

# The bytes that the system keeps for a client that does not read (Linux takes twice as many). It
# also sets how soon reading is noticed: after a third of them, so several times a minute even with
# the slowest audio format.
SEND_BUFFER_BYTES: Final = 128 * 2**10
BODY_BYTES_PER_S: Final = 1_000  # the lowest average speed of a body
SPARE_CONNECTIONS: Final = 64  # above the limit, answered with an error; others are closed
MAX_HEADER_BYTES: Final = 16 * 2**10
CHUNK_BYTES: Final = 64  # a smaller chunk of a body counts as this: parsing it costs as much
TURN_EVENTS: Final = 64  # parts of requests that are parsed in one turn: about a millisecond
TURN_PAUSE_S: Final = 0.005  # before a connection's next turn, so that it gets a fifth of the loop
# Of a connection between two requests. Clients close theirs after 5 s (httpx) to 60 s (proxies): a
# server that is as fast closes some while a request is on its way, which then has no answer.
IDLE_S: Final = 75
PROBE_S: Final = (0.005, 0.1)  # first and longest pause between checks for a client that left
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE)
_NO_LINGERING: Final = struct.pack("ii", 1, 0)
_INVALID: Final = "the request is not valid HTTP/1.1: check the client, and any proxy between"
_TOO_LONG: Final = (
    f"the head of the request is larger than {MAX_HEADER_BYTES:,} bytes, the limit: send a long "
    "text in the body of a POST"
)
_TIMED_OUT: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of connections. See the settings of the same names."""

    max_connections: int
    receive_timeout_s: float
    send_timeout_s: float


def bounded_http(bounds: Bounds) -> type["BoundedHTTP"]:
    """Return the protocol class for uvicorn's option `http`."""
    return type("BoundedHTTP", (BoundedHTTP,), {"bounds": bounds})


class _Parser(h11.Connection):
    """Parse at most `TURN_EVENTS` parts of requests in one turn, and count small chunks."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEADER_BYTES)
        self.events_left = TURN_EVENTS
        self.target = b""  # of the latest request, and the rest of its head
        self.refused_status = 400
        self._padding_bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            self.refused_status = error.error_status_hint
            raise

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if not self.events_left:
            return h11.NEED_DATA  # ends uvicorn's loop although there may be more
        self.events_left -= 1
        if self.their_state is h11.IDLE:
            _, _, self.target = self.trailing_data[0][:MAX_HEADER_BYTES].partition(b" ")
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._padding_bytes = 0
            event = _in_origin_form(event)
            head = len(event.target) + sum(len(name) + len(value) for name, value in event.headers)
            if head > MAX_HEADER_BYTES:  # h11 limits only a head that is not complete yet
                raise h11.RemoteProtocolError("the head of the request is too large", 431)
        elif isinstance(event, h11.Data) and event.chunk_end:
            self._padding_bytes += max(CHUNK_BYTES - len(event.data), 0)
        return event

    def take_padding(self) -> int:
        """Return the bytes to add to the body's length for its small chunks, once each."""
        padding, self._padding_bytes = self._padding_bytes, 0
        return padding


def _in_origin_form(request: h11.Request) -> h11.Request:
    """Return `request` with a path as its target, as if it had not been sent to a proxy.

    The host of an absolute target replaces that of the header `Host` (RFC 9112, 3.2.2).
    """
    if (absolute := _ABSOLUTE.fullmatch(request.target)) is None:
        return request
    host, target = absolute.groups()
    if not target.startswith(b"/"):
        target = b"*" if request.method == b"OPTIONS" and not target else b"/" + target
    headers = [(b"host", host), *(pair for pair in request.headers if pair[0] != b"host")]
    return h11.Request(
        method=request.method, target=target, headers=headers, http_version=request.http_version
    )


def is_reset(descriptor: int) -> bool:
    """True if the connection was reset. Asks the system, which works with any event loop."""
    if descriptor < 0:  # closed
        return True
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always reported
    return bool(poll.poll(0))


class _Flow(FlowControl):
    """Pause reading while uvicorn asks for that, or while bytes wait for a turn."""

    held = False

    def resume_reading(self) -> None:
        if self.held:
            self.read_paused = False
        else:
            super().resume_reading()

    def hold(self) -> None:
        self.held = True
        self._transport.pause_reading()

    def release(self) -> None:
        self.held = False
        if not self.read_paused:
            self._transport.resume_reading()


class BoundedHTTP(H11Protocol):
    """One connection with two timers: for a request to arrive, and for an answer to be read."""

    bounds: Bounds
    conn: _Parser
    flow: _Flow
    _since_s = 0.0  # when the request started to arrive, or could have
    _received_bytes = 0
    _unsent_bytes = 0
    _receiving: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    _next_turn: asyncio.TimerHandle | None = None
    _probing: asyncio.TimerHandle | None = None  # runs while the client's side is closed

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.conn, self.flow = _Parser(), _Flow(transport)
        self.timeout_keep_alive = IDLE_S
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # Report any unsent bytes, also the last ones of an answer. With a limit of 0 asyncio's TLS
        # never resumes.
        transport.set_write_buffer_limits(high=1, low=0)
        if len(self.connections) > self.bounds.max_connections:
            self.app = _only_health(self.app)
        self.app = _with_padding(_of_one_length(self.app), self.conn)
        self._watch_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_receiving()
        self._stop_sending()
        for timer in (self._next_turn, self._probing):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data) if self._in_body else 0
        super().data_received(data)

    def handle_events(self) -> None:
        """Parse the received bytes in turns, so that other connections are served in between."""
        self.conn.events_left = TURN_EVENTS
        super().handle_events()
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._stop_receiving()  # closed, or upgraded to a WebSocket
            return
        if not self.conn.events_left:
            self._wait_for_turn()
        elif self.flow.held:
            self.flow.release()
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_receiving()  # the request is complete
        elif self._receiving is None and (self.conn.trailing_data[0] or self._in_body):
            self._watch_receiving()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, in the format of the API at its path."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status, path = self.conn.refused_status, self.conn.target.partition(b"?")[0]
            message = _TOO_LONG if status == 431 else _INVALID
            scope = {"type": "http", "path": path.decode("latin-1")}
            response = refuse(scope, status, code=BadRequest.code, message=message)
            head = h11.Response(status_code=status, headers=response.raw_headers)
            for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        self._since_s = time.monotonic()
        super().on_response_complete()
        if self._probing is not None and self.cycle.response_complete:
            self.transport.close()  # the client can send no other request

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn keeps none open
        """Keep a half-closed connection open until its request is answered.

        A client that has closed the whole connection looks the same until something is sent. So
        the server sends an interim answer, which every client of HTTP/1.1 skips. The connection of
        a client that has left is reset then. TLS has no half-closed connections in asyncio.
        """
        cycle = self.cycle
        answering = cycle is not None and not (cycle.more_body or cycle.response_complete)
        if not answering or self.scheme == "https" or self.scope["http_version"] != "1.1":
            return None
        if not self.cycle.response_started:
            interim = h11.InformationalResponse(status_code=100, headers=[])
            self.transport.write(self.conn.send(interim) or b"")
        if self._probing is None:
            self._probe_in(PROBE_S[0])
        return True

    @property
    def silent_since_s(self) -> float | None:
        """Start of the wait for a request, or None during an answer."""
        answering = self.cycle is not None and not (self.cycle.response_complete or self._in_body)
        if answering or self.transport.is_closing() or self.transport.get_write_buffer_size():
            return None
        return self._since_s

    @property
    def descriptor(self) -> int:
        """Descriptor of the socket, -1 once it is closed."""
        return int(self.transport.get_extra_info("socket").fileno())

    @property
    def earned_s(self) -> float:
        """Seconds that the received bytes of the body have earned."""
        return self._received_bytes / BODY_BYTES_PER_S if self._in_body else 0.0

    @property
    def _in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def drop(self) -> None:
        """Close the connection at once."""
        self._stop_receiving()
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        if self._sending is None:
            self._sending = self.loop.call_later(self.bounds.send_timeout_s, self._on_sent_nothing)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_sending()

    def _wait_for_turn(self) -> None:
        self.flow.hold()
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._next_turn = self.loop.call_later(TURN_PAUSE_S, self._take_turn)

    def _take_turn(self) -> None:
        if not self.transport.is_closing():
            self.handle_events()

    def _probe_in(self, pause_s: float) -> None:
        self._probing = self.loop.call_later(pause_s, self._probe, pause_s)

    def _probe(self, pause_s: float) -> None:
        # The event loop reports a reset only on a read or write, and nothing is left to read.
        if is_reset(self.descriptor):
            self.transport.abort()
        else:
            self._probe_in(min(2 * pause_s, PROBE_S[1]))

    def _watch_receiving(self) -> None:
        self._since_s, self._received_bytes = time.monotonic(), 0
        self._receiving = self.loop.call_later(
            self.bounds.receive_timeout_s, self._on_received_late
        )

    def _on_received_late(self) -> None:
        may_s = self.bounds.receive_timeout_s + self.earned_s
        left_s = self._since_s + may_s - time.monotonic()
        if left_s > 0.001:  # bytes received meanwhile have earned more time
            self._receiving = self.loop.call_later(left_s, self._on_received_late)
            return
        self._receiving = None
        said_something = self._in_body or self.conn.trailing_data[0]
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
        message = "dropped %s, which read nothing for %g s"
        self.logger.info(message, self.client, self.bounds.send_timeout_s)
        # Without lingering: the system would otherwise keep the unsent bytes until its own timeout.
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.transport.abort()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


def _of_one_length(app: ASGIApp) -> ASGIApp:
    """Return `app`, but reject requests with two declarations of their length.

    A proxy in front might use the other one, and take a part of the body for another client's
    request (request smuggling).
    """

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", ())}
        if not names >= {b"content-length", b"transfer-encoding"}:
            await app(scope, receive, send)
            return
        message = "the request has both Content-Length and Transfer-Encoding: send one of them"
        refusal = refuse(scope, 400, code=BadRequest.code, message=message)
        await refusal(scope, receive, send)

    return refusing


def _with_padding(app: ASGIApp, parser: _Parser) -> ASGIApp:
    """Return `app` with a function in the scope that counts small chunks of the body."""

    async def padding(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PADDING] = parser.take_padding
        await app(scope, receive, send)

    return padding


def _only_health(app: ASGIApp) -> ASGIApp:
    """Return `app` for `/health` only: many connections are no reason for a restart."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/health"):
            await app(scope, receive, send)
            return
        problem = "as many connections are open as the setting max_connections allows"
        facts = {"code": Overloaded.code, "message": f"{problem}: try again soon"}
        refusal = refuse(scope, 503, **facts, retry_after_s=RETRY_AFTER_S)
        await refusal(scope, receive, send)

    return refusing
