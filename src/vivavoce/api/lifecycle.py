"""Whether the server takes work: it counts what is being answered, and turns new work away once it
is told to end.

It knows no signals: `cli.serve` tells it, and asks when it may go.
"""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import error_body
from vivavoce.errors import VivavoceError

RETRY_AFTER_S = 5
TAKEN_BYTES = 256 * 2**10  # of a request that is turned away: any text, hardly a recording
_WATCHING = ("/health", "/metrics")  # whoever watches is answered to the end, and is not waited for


class Lifecycle:
    """The life of one server.

    `shutdown_timeout_s` is what running requests get to finish; `model_failure` returns why a model
    can never speak again in this process, if one cannot.
    """

    def __init__(
        self,
        shutdown_timeout_s: float,
        model_failure: Callable[[], VivavoceError | None] = lambda: None,
    ) -> None:
        self.running = 0  # requests being answered
        self.loading = (
            False  # it loads its models because it has started, not because somebody asked
        )
        self._failure: VivavoceError | None = None
        self._model_failure = model_failure
        self._shutdown_timeout_s = shutdown_timeout_s
        self._ends_s: float | None = None

    @property
    def failure(self) -> VivavoceError | None:
        """Why the server cannot do what it was started for, if it cannot: it ends then, to be started again."""
        self._failure = self._failure or self._model_failure()
        return self._failure

    def fail(self, error: VivavoceError) -> None:
        """Have the server end with `error`."""
        self._failure = error

    @property
    def draining(self) -> bool:
        """True if it was told to end."""
        return self._ends_s is not None

    @property
    def grace_left_s(self) -> float:
        return (
            self._shutdown_timeout_s
            if self._ends_s is None
            else max(self._ends_s - time.monotonic(), 0.0)
        )

    @property
    def over(self) -> bool:
        """True if it was told to end, and what ran has finished or has had its time."""
        return self.draining and (not self.running or not self.grace_left_s)

    def drain(self) -> None:
        """Take no new work from now on. Safe in a signal handler."""
        if self._ends_s is None:
            self._ends_s = time.monotonic() + self._shutdown_timeout_s


class DrainMiddleware:
    """Answers 503 to new work while `life` is draining, and counts what is being answered."""

    def __init__(self, app: ASGIApp, *, life: Lifecycle) -> None:
        self._app = app
        self._life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_WATCHING):
            await self._app(scope, receive, send)
        elif self._life.draining:
            await _take(receive)
            await _refuse(scope, send)
        else:
            self._life.running += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._life.running -= 1


async def _take(receive: Receive) -> None:
    """Read a body of ordinary size: a connection that is closed on unread bytes loses the answer to them."""
    taken = 0
    while taken < TAKEN_BYTES:
        message = await receive()
        taken += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def _refuse(scope: Scope, send: Send) -> None:
    body = error_body(
        scope, 503, code="not_ready", message="the server is stopping; try again when it is back"
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(RETRY_AFTER_S).encode()),
        (b"connection", b"close"),
    ]
    start: Message = {"type": "http.response.start", "status": 503, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
