"""Test the traces of requests with OpenTelemetry's own exporters."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient
from vivavoce.errors import MissingDependency
from vivavoce.settings import Settings

pytest.importorskip("opentelemetry.sdk", reason="the extra 'otel' is not installed")
pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http", reason="the extra 'otel' is not installed"
)

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from vivavoce.observability.otel import Tracing

SECRET = "Nobody else may read this."


async def spans_of(
    path: str, headers: dict[str, str] | None = None, **body: object
) -> dict[str, ReadableSpan]:
    """Return the spans by name of one request."""
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter))
    async with app_client(create_app(Settings(), tone_pool(), tracing)) as client:
        await client.post(path, json=body, headers=headers)
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_request_is_a_span_with_queue_first_audio_and_speaking_below_it() -> None:
    spans = await spans_of("/v1/tts/synthesize", {"x-request-id": "mine"}, text=SECRET, stream=True)
    whole = spans.pop("POST /v1/tts/synthesize")
    assert list(spans) == ["queue", "first audio", "speaking"]
    assert whole.attributes is not None
    assert whole.attributes["vivavoce.request_id"] == "mine"
    assert whole.attributes["vivavoce.outcome"] == "ok"
    assert whole.attributes["http.response.status_code"] == 200
    assert whole.attributes["vivavoce.audio_seconds"] == pytest.approx(len(SECRET) * 0.06)
    times = [moment for span in spans.values() for moment in (span.start_time, span.end_time)]
    assert all(times)
    assert whole.start_time is not None
    assert whole.end_time is not None
    slack_ns = 5_000_000  # two clocks are read, one after the other
    assert sorted(times, key=lambda ns: ns or 0) == pytest.approx(times, abs=slack_ns)
    assert whole.start_time - slack_ns <= min(times, key=lambda ns: ns or 0) <= whole.end_time  # type: ignore[operator]  # none is None
    for span in spans.values():
        assert span.parent is not None
        assert span.parent.span_id == whole.context.span_id
    assert SECRET not in "".join(span.to_json() for span in [whole, *spans.values()])


async def test_texts_of_a_live_connection_are_below_its_span() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter))
    with serving(create_app(Settings(), tone_pool(), tracing)) as url:
        async with AsyncClient(url) as client, client.live() as live:
            for _ in range(2):
                await live.send(SECRET)
                await live.end()
                async for _ in live:
                    pass
    *parts, whole = exporter.get_finished_spans()
    assert whole.name == "WEBSOCKET /v1/tts/stream"
    assert whole.attributes is not None
    assert whole.attributes["vivavoce.outcome"] == "ok"
    assert [span.name for span in parts] == 2 * ["queue", "first audio", "speaking"]
    assert all(span.parent and span.parent.span_id == whole.context.span_id for span in parts)
    assert SECRET not in "".join(span.to_json() for span in (whole, *parts))


async def test_failure_is_an_error_on_its_span() -> None:
    spans = await spans_of("/v1/tts/synthesize", text=SECRET, speaker="crash-at-once")
    whole = spans["POST /v1/tts/synthesize"]
    assert not whole.status.is_ok
    assert whole.attributes is not None
    assert whole.attributes["vivavoce.finish_reason"] == "error"
    assert "speaking" not in spans


async def test_caller_s_trace_goes_on() -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    spans = await spans_of(
        "/v1/tts/synthesize", {"traceparent": f"00-{trace}-{parent}-01"}, text="Hello."
    )
    whole = spans["POST /v1/tts/synthesize"]
    assert whole.parent is not None
    assert (f"{whole.context.trace_id:032x}", f"{whole.parent.span_id:016x}") == (trace, parent)


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Yield the URL of an OTLP collector on this machine, and what it got."""
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                ExportTraceServiceRequest.FromString(
                    self.rfile.read(int(self.headers["Content-Length"]))
                )
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stays silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
        finally:
            server.shutdown()
            thread.join()


async def test_what_is_left_is_sent_to_the_collector_when_the_server_ends() -> None:
    with collector() as (endpoint, got):
        async with app_client(create_app(Settings(otlp_endpoint=endpoint), tone_pool())) as client:
            await client.post("/v1/tts/synthesize", json={"text": "Hello."})
        scopes = [
            scope for sent in got for spans in sent.resource_spans for scope in spans.scope_spans
        ]
    names = {span.name for scope in scopes for span in scope.spans}
    assert names == {"POST /v1/tts/synthesize", "queue", "first audio", "speaking"}


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vivavoce.observability.otel", None)
    with pytest.raises(MissingDependency, match=r"pip install 'vivavoce\[otel\]'"):
        create_app(Settings(otlp_endpoint="http://127.0.0.1:1/v1/traces"), tone_pool())


async def test_query_s_text_is_in_no_span() -> None:
    exporter = InMemorySpanExporter()
    async with app_client(
        create_app(Settings(), tone_pool(), Tracing(SimpleSpanProcessor(exporter)))
    ) as client:
        answer: httpx.Response = await client.get("/v1/tts/synthesize", params={"text": SECRET})
        assert answer.status_code == 200
    assert "Nobody" not in "".join(span.to_json() for span in exporter.get_finished_spans())
