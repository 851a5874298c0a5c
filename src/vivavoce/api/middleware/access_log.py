"""Watch every request from outside: how it ended goes to the counters, the log and, where there is
one, the trace.

It sees no body: neither texts nor recordings; and of the address only the path, as a GET has its
text in the query.
"""

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.dependencies import server_of
from vivavoce.api.errors import FAILED
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.surfaces import surface_of
from vivavoce.observability.logs import facts
from vivavoce.observability.metrics import CONTENT_TYPE, Metrics, ModelSnapshot, Snapshot
from vivavoce.serving.pool import Pool
from vivavoce.types import SpeechReport

if TYPE_CHECKING:  # needs an extra
    from vivavoce.observability.otel import Tracing

log = logging.getLogger(__name__)
router = APIRouter(tags=["metrics"])

Outcome = Literal["ok", "refused", "overloaded", "unavailable", "failed", "cancelled"]
METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(request: Request) -> Response:
    """What is counted and measured, in Prometheus' text format."""
    return Response(server_of(request).metrics.render(), headers={"Content-Type": CONTENT_TYPE})


def reading(pool: Pool, life: Lifecycle) -> Snapshot:
    """What is to be seen at this moment."""
    ready, memory = pool.ready, pool.memory_by_model
    models = []
    for name in pool.names:
        engine = ready.get(name)
        waiting, running = (engine.load.waiting, engine.load.running) if engine else (0, 0)
        models.append(ModelSnapshot(name, engine is not None, memory[name], waiting, running))
    return Snapshot(tuple(models), life.running, life.draining)


def log_speech(report: SpeechReport) -> None:
    """A line about what a model spoke."""
    first_s = None if report.first_s is None else round(report.first_s - report.started_s, 4)
    told = facts(
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
    log.info(
        "%s spoke %.1f s, %s: %s",
        report.model,
        report.audio_s,
        report.finish_reason,
        first,
        extra=told,
    )


class _Answer:
    """What was sent of one answer."""

    status: int | None = None
    complete = False
    broken = False

    def sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True

    def outcome(self) -> Outcome:
        if self.broken:
            return "failed"
        if self.status in (None, 499) or not self.complete:
            return "cancelled"
        assert self.status is not None
        match self.status:
            case 429:
                return "overloaded"
            case 503:
                return "unavailable"
            case status if status >= 500:
                return "failed"
            case status if status >= 400:
                return "refused"
        return "ok"


class AccessLogMiddleware:
    """Tells `metrics`, the log and `tracing` of every request that ends, however it does."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracing: "Tracing | None" = None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, started_s = _Answer(), time.monotonic()

        async def send_watched(message: Message) -> None:
            answer.sent(message)
            await send(message)

        with self._tracing.request(scope) if self._tracing else nullcontext() as span:
            try:
                await self._app(scope, receive, send_watched)
            except BaseException:  # passed on as it is
                answer.broken = True
                raise
            finally:
                answer.broken = answer.broken or FAILED in scope
                outcome = answer.outcome()
                self._ended(scope, answer, outcome, time.monotonic() - started_s)
                if span is not None and self._tracing is not None:
                    self._tracing.ended(span, scope, answer.status, outcome)

    def _ended(self, scope: Scope, answer: _Answer, outcome: Outcome, seconds: float) -> None:
        surface, path = _surface_label(scope), quote(scope["path"])
        self._metrics.answered(surface, outcome)
        level = (
            logging.DEBUG if surface in ("health", "metrics") else logging.INFO
        )  # asked every few seconds
        told = facts(
            method=scope["method"],
            path=path,
            surface=surface,
            status=answer.status,
            outcome=outcome,
            seconds=round(seconds, 4),
        )
        log.log(
            level,
            "%s %s: %s, %s after %.3f s",
            scope["method"],
            path,
            answer.status,
            outcome,
            seconds,
            extra=told,
        )


def _surface_label(scope: Scope) -> str:
    """Which surface answered: the first tag of its endpoints; `page` for files and for what is unknown."""
    tags = getattr(scope.get("route"), "tags", None)
    if tags:
        return str(tags[0])
    # Of what was turned away before it came to an endpoint.
    return surface_of(scope).name if scope["path"].startswith("/v1/") else "page"
