"""Plain ASGI layers around every endpoint: a request's id, and a bound on its body before it is read."""

import re
import uuid
from collections.abc import Collection
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import error_body
from vivavoce.api.surfaces import mark_surface
from vivavoce.errors import Overloaded
from vivavoce.observability.logs import REQUEST_ID

CROWD_RETRY_S = 2  # what a crowd is told to wait: nobody knows when it is over

# A key in a scope: a function that returns what small chunks add to the body's length, once each.
PADDING = "vivavoce.padding"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIdMiddleware:
    """Gives every answer an `x-request-id`: the client's own if it sent a sane one, else a new one.

    Marks the request with its surface; `wit_paths` are those of Wit.ai's.
    """

    def __init__(self, app: ASGIApp, *, wit_paths: Collection[str] = ()) -> None:
        self._app = app
        self._wit_paths = wit_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope["request_id"] = request_id
        mark_surface(scope, self._wit_paths)
        REQUEST_ID.set(
            request_id
        )  # for the whole task: the server logs its failure after this has returned

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class _TooLarge(Exception):
    pass


class BodyLimitMiddleware:
    """Answers 413 to a body over `max_bytes`: at once where its length is declared, else when it
    gets there.

    And 503 to what would make all bodies together, each held as long as its request runs, more than
    `max_total_bytes`.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_total_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_total_bytes = max(max_bytes, max_total_bytes)
        self._total_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._refuse_large(scope, send)
            return
        received, refuse = 0, None
        padding = scope.get(PADDING, lambda: 0)

        async def receive_bounded() -> Message:
            nonlocal received, refuse
            message = await receive()
            size = len(message.get("body", b"")) + padding()
            received += size
            self._total_bytes += size
            if received > self._max_bytes:
                refuse = self._refuse_large
            elif size and self._total_bytes > self._max_total_bytes:
                refuse = self._refuse_crowd
            if refuse:
                raise _TooLarge
            return message

        async def send_unless_refused(message: Message) -> None:
            if refuse is None:
                await send(message)

        try:
            with suppress(_TooLarge):  # answered below, as when the framework caught it
                await self._app(scope, receive_bounded, send_unless_refused)
        finally:
            self._total_bytes -= received
        if refuse is not None:
            await refuse(scope, send)

    async def _refuse_large(self, scope: Scope, send: Send) -> None:
        message = (
            f"the body is larger than {self._max_bytes:,} bytes, the limit, of which a chunk counts 64 at least; send "
            "the text in parts, a shorter recording, or larger chunks"
        )
        await refuse_request(scope, send, 413, code="body_too_large", message=message)

    async def _refuse_crowd(self, scope: Scope, send: Send) -> None:
        message = f"the bodies of all requests together are larger than {self._max_total_bytes:,} bytes; try again soon"
        await refuse_request(scope, send, 503, code=Overloaded.code, message=message)


async def refuse_request(scope: Scope, send: Send, status: int, *, code: str, message: str) -> None:
    """Answer with an error and closes the connection: the rest of the request is never read."""
    body = error_body(scope, status, code=code, message=message)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", str(CROWD_RETRY_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
