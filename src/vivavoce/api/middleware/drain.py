"""Reject new work while the server shuts down, and count running requests."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from vivavoce.api.errors import refuse
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.errors import NotReady

RETRY_AFTER_S: Final = 5
MAX_READ_BYTES: Final = 256 * 2**10  # of a rejected request: any text, hardly a recording
# Monitoring endpoints stay available during shutdown and do not delay it.
_MONITORING: Final = ("/health", "/metrics")


class DrainMiddleware:
    """Reject new requests while `lifecycle` is draining, and count the running ones."""

    def __init__(self, app: ASGIApp, *, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith(_MONITORING):
            await self._app(scope, receive, send)
        elif self._lifecycle.draining:
            if scope["type"] == "http":
                await _read_body(receive)
            message = "the server is stopping; try again when it is back"
            facts = {"code": NotReady.code, "message": message}
            await refuse(scope, 503, **facts, retry_after_s=RETRY_AFTER_S)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)  # `api.live.socket` counts what it speaks
        else:
            self._lifecycle.running += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._lifecycle.running -= 1


async def _read_body(receive: Receive) -> None:
    """Read a body of ordinary size, since closing on unread bytes loses the answer."""
    read = 0
    while read < MAX_READ_BYTES:
        message = await receive()
        read += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return
