"""Trace each request for OpenTelemetry, with spans for queue, first audio and speaking.

- Importing it needs the extra `otel`.
- It instruments nothing by itself, and sees neither texts nor keys.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from vivavoce import __version__
from vivavoce.types import SpeechReport

AsgiScope: TypeAlias = Mapping[str, Any]  # an ASGI scope, whose values have various types


class Tracing:
    """A tracer that sends spans to `processor`, without global state."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "vivavoce", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("vivavoce", __version__)

    @classmethod
    def to(cls, endpoint: str) -> "Tracing":
        """Return a tracer for the collector at `endpoint`, whose absence disturbs nothing."""
        return cls(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))

    def close(self) -> None:
        """Send the remaining spans. Blocks for some seconds if the collector is away."""
        self._provider.shutdown()

    @contextmanager
    def request(self, scope: AsgiScope) -> Iterator[Span]:
        """Yield a span for a request, as a child of the caller's span (`traceparent`)."""
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        parent = TraceContextTextMapPropagator().extract(headers)
        name = _method(scope)
        with self._tracer.start_as_current_span(name, parent, SpanKind.SERVER) as span:
            yield span

    def ended(self, span: Span, scope: AsgiScope, status: int | None, outcome: str) -> None:
        """Record the outcome of a request on its span."""
        route = getattr(scope.get("route"), "path", None)
        span.update_name(f"{_method(scope)} {route}" if route else _method(scope))
        span.set_attribute("http.request.method", _method(scope))
        span.set_attribute("vivavoce.request_id", scope.get("request_id", ""))
        span.set_attribute("vivavoce.outcome", outcome)
        if route:
            span.set_attribute("http.route", route)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if outcome == "failed":
            span.set_status(StatusCode.ERROR)

    def spoke(self, report: SpeechReport) -> None:
        """Add child spans for the stages of a speech to the span of this task."""
        span = get_current_span()
        span.set_attribute("vivavoce.model", report.model)
        span.set_attribute("vivavoce.audio_seconds", report.audio_s)
        span.set_attribute("vivavoce.finish_reason", report.finish_reason)
        since_s = report.queued_s
        if report.waited_s is not None:
            self._child("queue", since_s, since_s + report.waited_s)
            since_s += report.waited_s
        if report.first_s is not None:
            self._child("first audio", since_s, report.first_s)
            self._child("speaking", report.first_s, report.ended_s)

    def _child(self, name: str, from_s: float, until_s: float) -> None:
        self._tracer.start_span(name, start_time=_wall_ns(from_s)).end(_wall_ns(until_s))


def _wall_ns(monotonic_s: float) -> int:
    """Return the Unix time in ns of a time of the monotonic clock."""
    return time.time_ns() - int((time.monotonic() - monotonic_s) * 1e9)


def _method(scope: AsgiScope) -> str:
    """Return the method of a request, or what is logged for the handshake of a WebSocket."""
    return str(scope.get("method", "WEBSOCKET"))
