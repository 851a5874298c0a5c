"""Connect one WebSocket with a session. Each protocol is a subclass of `LiveSocket`."""

import asyncio
import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from vivavoce.api.dependencies import caller_of, from_caller, server_of
from vivavoce.api.errors import answer_to, describe
from vivavoce.api.middleware.auth import SPEND
from vivavoce.api.middleware.websockets import LiveProtocol
from vivavoce.audio import check_rate
from vivavoce.errors import BadRequest, NotReady, VivavoceError
from vivavoce.sessions.events import Event, Started
from vivavoce.sessions.session import Session
from vivavoce.sessions.utterance import Utterance
from vivavoce.types import SpeechRequest

log = logging.getLogger(__name__)

T = TypeVar("T")

# Options of uvicorn. A message may hold a recording of half a minute, if it is compressed.
WEBSOCKETS: Final[Mapping[str, Any]] = {
    "ws": LiveProtocol,
    "ws_max_size": 2 * 2**20,
    "ws_per_message_deflate": False,  # audio does not get smaller, and it takes memory
}
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
POLICY: Final = 1008
RESTART: Final = 1012
# A client whose every message is wrong is a loop, which no error will end.
MOST_ERRORS: Final = 1_000
# Messages that wait are received without a turn of the event loop. Then others have theirs.
TURN_S: Final = 0.005


class LiveSocket(ABC):
    """One client, from its handshake to its end.

    A protocol translates messages to calls of `begin` and of the session, and events to messages.
    """

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.server = server_of(socket)
        self.timeout_s = self.server.live_timeout_s
        self.session = Session(
            self.server.synthesizer,
            self._emit,
            max_chars=self.server.max_text_chars,
            on_end=self._count_end,
        )
        self._caller = caller_of(socket)
        self._sending = asyncio.Lock()
        self._sends = set[asyncio.Task[None]]()
        self._leaving: asyncio.Task[None] | None = None
        self._errors = 0
        self._draining = False

    async def on_connect(self) -> None:
        """Check the request before the handshake. Raises `VivavoceError`, which refuses it."""
        return

    async def on_open(self) -> None:
        """Greet the client, if the protocol does."""
        return

    @abstractmethod
    async def on_message(self, message: Mapping[str, Any]) -> None:
        """Do what a message asks for. Raises `VivavoceError`, and `ValidationError` of pydantic."""

    @abstractmethod
    async def on_event(self, event: Event) -> None:
        """Tell the client of an event."""

    @abstractmethod
    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        """Tell the client that its `message` was refused."""

    async def on_leave(self) -> None:
        """Say goodbye, after `leave` and the last of the speech."""
        return

    async def on_idle(self) -> None:
        """Act after a while without messages. Without a text the connection is then closed."""
        return

    async def run(self, *, protocols: tuple[str, ...] = ()) -> None:
        """Serve the client until it leaves. `protocols` are the names of the subprotocol."""
        offered = self.socket.scope.get("subprotocols") or ()
        try:
            with self.server.live.admit(self, self._caller):
                await self.on_connect()
                await self.socket.accept(next((p for p in offered if p in protocols), None))
                await self._serve()
        except VivavoceError as error:  # refused before the handshake
            await answer_to(self.socket, error)(
                self.socket.scope, self.socket.receive, self.socket.send
            )

    def begin(
        self, request: SpeechRequest, name: str | None = None, *, beside: bool = False
    ) -> Utterance:
        """Begin a text, see `Session.begin`. Raises `BadRequest`, `RateLimited`, `NotReady`."""
        if self._draining:
            raise NotReady("the server is stopping; try again when it is back")
        if request.sample_rate_hz is not None:
            check_rate(request.format, request.sample_rate_hz)
        if (spend := self.socket.scope.get("state", {}).get(SPEND)) is not None:
            spend()
        request = from_caller(request, self.socket)
        utterance = self.session.begin(request, name, beside=beside)
        self.server.lifecycle.running += 1
        return utterance

    async def send(self, message: Mapping[str, Any], data: bytes | None = None) -> None:
        """Send a message, and bytes behind it. Nothing happens if the client has left."""
        await self.send_all([message], data)

    async def send_all(
        self, messages: Sequence[Mapping[str, Any]], data: bytes | None = None
    ) -> None:
        """Send messages, and bytes behind them.

        They stay together, and none is left out, even if the caller is cancelled.
        """
        task = asyncio.create_task(self._send(messages, data))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)
        await asyncio.shield(task)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        async with self._sending:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self.socket.close(code, reason[:120])

    @property
    def is_leaving(self) -> bool:
        return self._leaving is not None

    def leave(self) -> None:
        """End all texts, and close the connection when they are spoken. Returns at once."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        await self.session.finish()
        await self.on_leave()
        await self.close()

    async def drain(self) -> None:
        self._draining = True
        await self.session.finish()
        await self.close(RESTART, "the server is stopping")

    async def _send(self, messages: Sequence[Mapping[str, Any]], data: bytes | None) -> None:
        async with self._sending:
            with suppress(WebSocketDisconnect, RuntimeError):
                for message in messages:
                    await self.socket.send_text(json.dumps(message))
                if data is not None:
                    await self.socket.send_bytes(data)

    async def _serve(self) -> None:
        try:
            await self.on_open()
            turn_s = time.monotonic()
            while self.socket.client_state is WebSocketState.CONNECTED:
                try:
                    async with asyncio.timeout(self.timeout_s):
                        message = await self.socket.receive()
                except TimeoutError:
                    await self.on_idle()
                    if self.session.utterances:
                        continue
                    await self.close(GOING_AWAY, "nothing was said for a while")
                    return
                if message["type"] == "websocket.disconnect":
                    return
                if self.socket.application_state is not WebSocketState.CONNECTED:
                    return
                await self._receive(message)
                if time.monotonic() - turn_s > TURN_S:
                    await asyncio.sleep(0)
                    turn_s = time.monotonic()
        finally:
            await self.session.aclose()

    async def _receive(self, raw: Mapping[str, Any]) -> None:
        message: Mapping[str, Any] = {}
        try:
            message = _parsed(raw)
            await self.on_message(message)
        except ValidationError as error:
            field, problem = describe(error.errors()[0])
            await self._refuse(BadRequest(problem, field=field or "message"), message)
        except VivavoceError as error:
            await self._refuse(error, message)

    async def _refuse(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        self._errors += 1
        await self.on_error(error, message)
        if self._errors >= MOST_ERRORS:
            await self.close(POLICY, "too many messages were wrong")

    async def _emit(self, event: Event) -> None:
        if isinstance(event, Started):
            request, log_of = event.utterance.request, self.server.requests
            log_of.begin(event.utterance.id, self._caller, request.format).opened(event.speech)
        await self.on_event(event)

    def _count_end(self) -> None:
        self.server.lifecycle.running -= 1


def _parsed(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a received message as an object of JSON. Raises `BadRequest`."""
    text = raw.get("text")
    if text is None:
        raise BadRequest("a message is binary: send JSON as text", field="message")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"a message is not valid JSON: {error}"[:200], field="message") from error
    if not isinstance(message, dict):
        raise BadRequest("a message is not a JSON object: send {...}", field="message")
    return message


def of_type(message: Mapping[str, Any], types: Mapping[str, T]) -> T:
    """Return what belongs to the `type` of a message. Raises `BadRequest` for another type."""
    name = message.get("type")
    if not isinstance(name, str) or name not in types:
        raise BadRequest(f"type {str(name)[:80]!r} is not one of {', '.join(types)}", field="type")
    return types[name]
