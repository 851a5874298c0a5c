"""Give each request an id, and log, count and trace how it ended.

The module sees no body, so neither texts nor recordings. Of the URL it uses only the path, since
the query of a GET holds the text.
"""

import logging
import re
import time
import uuid
from collections.abc import Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import FAILED
from vivavoce.api.surfaces import mark_surface, surface_of
from vivavoce.observability.logs import REQUEST_ID, log_fields
from vivavoce.observability.metrics import Metrics
from vivavoce.types import SpeechReport

if TYPE_CHECKING:  # needs an extra
    from vivavoce.observability.otel import Tracing

log = logging.getLogger(__name__)

Outcome = Literal["ok", "refused", "overloaded", "unavailable", "failed", "cancelled"]

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_STARTS: Final = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_BODIES: Final = ("http.response.body", "websocket.http.response.body")
_MONITORING: Final = ("health", "metrics")  # requested every few seconds, so logged as debug


class AccessLogMiddleware:
    """Send every response with an `x-request-id`, and log and count how its request ended.

    The id is the client's own if that is well-formed, otherwise a new one. Requests to `wit_paths`
    are marked as Wit.ai's.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        tracing: "Tracing | None" = None,
        wit_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._wit_paths = wit_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = request_id = _request_id(scope)
        # Set for the whole task: the server logs its failures after this call has returned.
        REQUEST_ID.set(request_id)
        mark_surface(scope, self._wit_paths)
        answer, started_s = _Answer(), time.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] in _STARTS:
                MutableHeaders(scope=message)["x-request-id"] = request_id
            answer.sent(message)
            await send(message)

        with self._tracing.request(scope) if self._tracing else nullcontext() as span:
            try:
                await self._app(scope, receive, send_with_id)
            except BaseException:  # passed on as it is
                answer.broken = True
                raise
            finally:
                answer.broken = answer.broken or FAILED in scope
                outcome = answer.outcome()
                self._report(scope, answer, outcome, time.monotonic() - started_s)
                if span is not None and self._tracing is not None:
                    self._tracing.ended(span, scope, answer.status, outcome)

    def _report(self, scope: Scope, answer: "_Answer", outcome: Outcome, seconds: float) -> None:
        """Count the request, and log a line about it."""
        surface, path = _surface_label(scope), quote(scope["path"])
        method = scope.get("method", "WEBSOCKET")
        self._metrics.answered(surface, outcome)
        fields = log_fields(
            method=method,
            path=path,
            surface=surface,
            status=answer.status,
            outcome=outcome,
            seconds=round(seconds, 4),
        )
        line = (method, path, answer.status, outcome, seconds)
        level = logging.DEBUG if surface in _MONITORING else logging.INFO
        log.log(level, "%s %s: %s, %s after %.3f s", *line, extra=fields)


class _Answer:
    """The parts of one response that have been sent."""

    status: int | None = None
    complete = False
    broken = False

    def sent(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self.status = message.get("status", 101)
            self.complete = self.status == 101 or self.complete
        elif message["type"] in _BODIES and not message.get("more_body", False):
            self.complete = True

    def outcome(self) -> Outcome:
        if self.broken:
            return "failed"
        if self.status in (None, 499) or not self.complete:
            return "cancelled"
        assert self.status is not None
        if self.status == 429:
            return "overloaded"
        if self.status == 503:
            return "unavailable"
        if self.status >= 500:
            return "failed"
        return "refused" if self.status >= 400 else "ok"


def log_speech(report: SpeechReport) -> None:
    """Log a line about the audio that a model made for one request."""
    first_s = None if report.first_s is None else round(report.first_s - report.started_s, 4)
    fields = log_fields(
        model=report.model,
        finish_reason=report.finish_reason,
        ending=report.ending.value,
        retries=report.retries,
        audio_s=round(report.audio_s, 3),
        first_audio_s=first_s,
        queue_s=None if report.waited_s is None else round(report.waited_s, 4),
        seconds=round(report.ended_s - report.started_s, 4),
        underruns=report.underruns,
    )
    first = "no audio" if first_s is None else f"first audio after {first_s:.3f} s"
    line = (report.model, report.audio_s, report.finish_reason, first)
    log.info("%s spoke %.1f s, %s: %s", *line, extra=fields)


def _request_id(scope: Scope) -> str:
    """Return the client's id for the request if it is well-formed, otherwise a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _surface_label(scope: Scope) -> str:
    """Return the first tag of the endpoint, or `page` for files and unknown paths."""
    tags = getattr(scope.get("route"), "tags", None)
    if tags:
        return str(tags[0])
    # The request was rejected before it reached an endpoint.
    is_api = scope["path"].startswith(("/v1/", "/v2/", "/elevenlabs/"))
    return surface_of(scope).name if is_api else "page"
