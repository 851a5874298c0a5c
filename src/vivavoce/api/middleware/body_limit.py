"""Bound the bodies of requests before any endpoint reads them: one by one, and all together."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import refuse
from vivavoce.errors import BodyTooLarge, Overloaded

RETRY_AFTER_S: Final = 2  # a guess: nobody knows when the other bodies are done
# A key in a scope: a function that returns what small chunks add to the body's length, once each.
PADDING: Final = "vivavoce.padding"


class _TooLarge(Exception):
    pass


@dataclass(slots=True)
class Bodies:
    """The limits of bodies in one place, of one and of all, and the bytes that are there now."""

    max_bytes: int
    max_total_bytes: int
    total_bytes: int = 0


class BodyLimitMiddleware:
    """Reject bodies over the limit of one with 413, at once if their length is declared.

    Reject a body with 503 if all bodies together would exceed the limit of all. A body counts until
    its request ends. `uploads` are the limits of files by path, which wait on disk and not in
    memory.
    """

    def __init__(self, app: ASGIApp, *, bodies: Bodies, uploads: Mapping[str, Bodies]) -> None:
        self._app = app
        self._bodies = bodies
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        bodies = self._bodies
        if headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
            bodies = self._uploads.get(scope["path"], bodies)
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > bodies.max_bytes:
            await _one_too_large(scope, bodies)(scope, receive, send)
            return
        received = 0
        refusal: Callable[[Scope, Bodies], Response] | None = None
        padding = scope.get(PADDING, lambda: 0)

        async def receive_bounded() -> Message:
            nonlocal received, refusal
            message = await receive()
            size = len(message.get("body", b"")) + padding()
            received += size
            bodies.total_bytes += size
            if received > bodies.max_bytes:
                refusal = _one_too_large
            elif size and bodies.total_bytes > bodies.max_total_bytes:
                refusal = _all_too_large
            if refusal is not None:
                raise _TooLarge
            return message

        async def send_unless_refused(message: Message) -> None:
            if refusal is None:
                await send(message)

        try:
            with suppress(_TooLarge):  # answered below, also if the framework caught it
                await self._app(scope, receive_bounded, send_unless_refused)
        finally:
            bodies.total_bytes -= received
        if refusal is not None:
            await refusal(scope, bodies)(scope, receive, send)


def _one_too_large(scope: Scope, bodies: Bodies) -> Response:
    message = (
        f"the body is larger than {bodies.max_bytes:,} bytes, the limit (each chunk counts as at "
        "least 64); send the text in parts, a shorter recording, a smaller file, or larger chunks"
    )
    return refuse(scope, 413, code=BodyTooLarge.code, message=message)


def _all_too_large(scope: Scope, bodies: Bodies) -> Response:
    most = f"{bodies.max_total_bytes:,}"
    message = f"the bodies of all requests together are larger than {most} bytes; try again soon"
    return refuse(scope, 503, code=Overloaded.code, message=message, retry_after_s=RETRY_AFTER_S)
