"""Plain ASGI layers around every endpoint: a request's id, and a bound on its body before it is read."""

import re
import uuid
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import error_body
from vivavoce.logs import REQUEST_ID

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestId:
    """Gives every answer an `x-request-id`: the client's own if it sent a sane one, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope["request_id"] = request_id
        REQUEST_ID.set(request_id)  # for the whole task: the server logs its failure after this has returned

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Answers 413 to a body over `max_bytes`: at once where its length is declared, else when it gets there."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._refuse(scope, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise _TooLarge
            return message

        async def send_unless_too_large(message: Message) -> None:
            if received <= self._max_bytes:
                await send(message)

        with suppress(_TooLarge):  # answered below, as when the framework caught it
            await self._app(scope, receive_bounded, send_unless_too_large)
        if received > self._max_bytes:
            await self._refuse(scope, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        message = (
            f"the body is larger than {self._max_bytes:,} bytes, the limit; send the text in parts, or a shorter "
            "recording"
        )
        body = error_body(
            scope["path"],
            413,
            code="body_too_large",
            message=message,
            field=None,
            request_id=scope.get("request_id", ""),
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # the rest of the body is never read
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
