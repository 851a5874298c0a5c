"""Traces of requests for OpenTelemetry: a span each, with children for queue, first audio and
speaking.

Needs the extra `otel`; whoever imports this has it. It instruments nothing by itself, and sees
neither texts nor keys.
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

Scope: TypeAlias = Mapping[str, Any]  # of ASGI, which sets what each key holds


class Tracing:
    """Makes the spans and hands them to `processor`. Nothing of it is global."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "vivavoce", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("vivavoce", __version__)

    @classmethod
    def to(cls, endpoint: str) -> "Tracing":
        """Send the spans to a collector, in the background; it goes on while the collector is away."""
        return cls(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))

    def close(self) -> None:
        """Send what is left. Blocks, for some seconds if the collector is away."""
        self._provider.shutdown()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """The span of a request, below that of its caller if it names one (`traceparent`)."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        parent = TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span(scope["method"], parent, SpanKind.SERVER) as span:
            yield span

    def ended(self, span: Span, scope: Scope, status: int | None, outcome: str) -> None:
        """Say on its span how a request ended."""
        route = getattr(scope.get("route"), "path", None)
        span.update_name(f"{scope['method']} {route}" if route else scope["method"])
        span.set_attribute("http.request.method", scope["method"])
        span.set_attribute("vivavoce.request_id", scope.get("request_id", ""))
        span.set_attribute("vivavoce.outcome", outcome)
        if route:
            span.set_attribute("http.route", route)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if outcome == "failed":
            span.set_status(StatusCode.ERROR)

    def spoke(self, report: SpeechReport) -> None:
        """Add the children of the request whose task this is: what its speech went through, and when."""
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


def _wall_ns(moment_s: float) -> int:
    """When a moment of the monotonic clock was."""
    return time.time_ns() - int((time.monotonic() - moment_s) * 1e9)
