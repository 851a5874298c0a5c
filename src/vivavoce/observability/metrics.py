"""Define the metrics for Prometheus: names, labels, buckets.

- The module does not know the sources of the values.
- Each `Metrics` has its own registry, so that two applications in a process stay separate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from vivavoce.types import SpeechReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_WAITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEPS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
_FACTORS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 5.0)
_STREAMS = (1, 2, 4, 8, 16, 32, 64)
_BY_MODEL = {  # attribute of a `ModelSnapshot` → name and description of its gauge
    "waiting": ("queue_length", "Segments that wait for the model."),
    "running": ("running_streams", "Segments that the model is speaking."),
    "ready": ("model_ready", "1 while the model is loaded."),
    "memory_bytes": ("model_memory_bytes", "Memory counted for the model. 0 if it is not counted."),
}


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """The state of a model at one moment."""

    model: str
    ready: bool
    memory_bytes: int  # counted while the model is loaded
    waiting: int  # segments
    running: int  # segments


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the server at one moment."""

    models: tuple[ModelSnapshot, ...]
    open_requests: int
    live_connections: int
    draining: bool


class Metrics:
    """All metrics. `read` returns the gauges' values at every scrape."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"vivavoce_{name}", text, labels or ("model",), registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            name = f"vivavoce_{name}"
            return Histogram(name, text, ("model",), registry=registry, buckets=buckets)

        self._requests = counter("requests", "Requests that have ended.", "surface", "outcome")
        text = "Requests that a model spoke, by outcome."
        self._speeches = counter("speeches", text, "model", "finish_reason")
        self._retries = counter("retries", "Segments that a model spoke again after a failure.")
        self._audio = counter("audio_seconds", "Seconds of audio made.")
        text = "Times that a real-time player would have run out of audio, estimated at the server."
        self._underruns = counter("underruns", text)
        text = "Seconds from the request to its first audio."
        self._first_audio = histogram("first_audio_seconds", text, _WAITS_S)
        text = "Seconds of waiting for audio per second of audio."
        self._factor = histogram("real_time_factor", text, _FACTORS)
        text = "Seconds that a new request waited in the queue."
        self._waits = histogram("queue_wait_seconds", text, _WAITS_S)
        self._steps = histogram("step_seconds", "Duration of a model step.", _STEPS_S)
        self._batches = histogram("batch_size", "Streams in a model step.", _STREAMS)
        name, text = "vivavoce_model_load_seconds", "Duration of the model's latest load."
        self._load = Gauge(name, text, ("model",), registry=registry)
        self._hung = counter("hung_steps", "Steps that hung and caused a model restart.")
        text = "Model processes that ended unexpectedly and were restarted."
        self._lost = counter("lost_processes", text)
        registry.register(_Gauges(read))
        ProcessCollector(registry=registry)  # memory, CPU, descriptors; on Linux

    def render(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self._registry)

    def answered(self, surface: str, outcome: str) -> None:
        """Count a request of `surface` that has ended."""
        self._requests.labels(surface, outcome).inc()

    def spoke(self, report: SpeechReport) -> None:
        """Count a speech that has ended."""
        self._speeches.labels(report.model, report.finish_reason).inc()
        self._retries.labels(report.model).inc(report.retries)
        self._audio.labels(report.model).inc(report.audio_s)
        self._underruns.labels(report.model).inc(report.underruns)
        if report.first_s is not None:
            self._first_audio.labels(report.model).observe(report.first_s - report.started_s)
        if report.audio_s:
            self._factor.labels(report.model).observe(report.generation_s / report.audio_s)

    # `serving.events.EngineEvents`

    def waited(self, model: str, seconds: float) -> None:
        self._waits.labels(model).observe(seconds)

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        self._steps.labels(model).observe(seconds)
        self._batches.labels(model).observe(streams)

    def loaded(self, model: str, seconds: float) -> None:
        self._load.labels(model).set(seconds)
        self._hung.labels(model)  # creates the value 0
        self._lost.labels(model)

    def hung(self, model: str) -> None:
        self._hung.labels(model).inc()

    def lost(self, model: str) -> None:
        self._lost.labels(model).inc()


class _Gauges(Collector):
    """Gauges that are read at each scrape, so that they are current."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing, so that registering does not read the gauges."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._read()
        name, text = "vivavoce_open_requests", "Requests in progress."
        yield GaugeMetricFamily(name, text, value=now.open_requests)
        name, text = "vivavoce_live_connections", "Open connections for live speech."
        yield GaugeMetricFamily(name, text, value=now.live_connections)
        yield GaugeMetricFamily("vivavoce_draining", "1 during shutdown.", value=now.draining)
        for attribute, (name, text) in _BY_MODEL.items():
            family = GaugeMetricFamily(f"vivavoce_{name}", text, labels=["model"])
            for model in now.models:
                family.add_metric([model.model], getattr(model, attribute))
            yield family
