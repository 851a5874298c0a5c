"""Bound the bodies of requests before any endpoint reads them: one by one, and all together."""

from collections.abc import Callable
from contextlib import suppress
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


class BodyLimitMiddleware:
    """Reject bodies over `max_bytes` with 413, at once if their length is declared.

    Reject a body with 503 if all bodies together would exceed `max_total_bytes`. A body counts
    until its request ends.
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
            await self._one_too_large(scope)(scope, receive, send)
            return
        received = 0
        refusal: Callable[[Scope], Response] | None = None
        padding = scope.get(PADDING, lambda: 0)

        async def receive_bounded() -> Message:
            nonlocal received, refusal
            message = await receive()
            size = len(message.get("body", b"")) + padding()
            received += size
            self._total_bytes += size
            if received > self._max_bytes:
                refusal = self._one_too_large
            elif size and self._total_bytes > self._max_total_bytes:
                refusal = self._all_too_large
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
            self._total_bytes -= received
        if refusal is not None:
            await refusal(scope)(scope, receive, send)

    def _one_too_large(self, scope: Scope) -> Response:
        message = (
            f"the body is larger than {self._max_bytes:,} bytes, the limit (each chunk counts as "
            "at least 64); send the text in parts, a shorter recording, or larger chunks"
        )
        return refuse(scope, 413, code=BodyTooLarge.code, message=message)

    def _all_too_large(self, scope: Scope) -> Response:
        most = f"{self._max_total_bytes:,}"
        message = (
            f"the bodies of all requests together are larger than {most} bytes; try again soon"
        )
        return refuse(
            scope, 503, code=Overloaded.code, message=message, retry_after_s=RETRY_AFTER_S
        )
