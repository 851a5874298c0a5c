"""The instruments that Prometheus reads: what is counted, and in which units. It does not know who
counts.

Each `Metrics` has a registry of its own, so that two applications in a process do not add up.
"""

from collections.abc import Callable, Iterable, Iterator
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


@dataclass(frozen=True, slots=True)
class ModelReading:
    """What is to be seen of a model at one moment."""

    model: str
    ready: bool
    memory_bytes: int  # what is counted for it while it is loaded
    waiting: int  # segments
    running: int  # segments


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is to be seen of the server at one moment."""

    models: tuple[ModelReading, ...]
    open_requests: int
    draining: bool


class Metrics:
    """All instruments. `read` is asked at every scrape for what is not an event."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._registry = registry = CollectorRegistry()
        by_model = ("model",)
        self._requests = Counter(
            "vivavoce_requests",
            "Requests that have ended.",
            ("surface", "outcome"),
            registry=registry,
        )
        self._speeches = Counter(
            "vivavoce_speeches", "Requests that a model spoke, by how that ended.", ("model", "finish_reason"),
            registry=registry,
        )  # fmt: skip
        self._retries = Counter(
            "vivavoce_retries", "Pieces of text that a model spoke once more, as it had failed.", by_model,
            registry=registry,
        )  # fmt: skip
        self._audio = Counter(
            "vivavoce_audio_seconds", "Seconds of audio made.", by_model, registry=registry
        )
        self._underruns = Counter(
            "vivavoce_underruns", "Times that a player in real time would have run dry, reckoned at the server.",
            by_model, registry=registry,
        )  # fmt: skip
        self._first_audio = Histogram(
            "vivavoce_first_audio_seconds", "From the request to its first audio.", by_model, buckets=_WAITS_S,
            registry=registry,
        )  # fmt: skip
        self._factor = Histogram(
            "vivavoce_real_time_factor", "Seconds waited for audio per second of audio.", by_model, buckets=_FACTORS,
            registry=registry,
        )  # fmt: skip
        self._waits = Histogram(
            "vivavoce_queue_wait_seconds", "From the queue to the model, of new requests.", by_model, buckets=_WAITS_S,
            registry=registry,
        )  # fmt: skip
        self._steps = Histogram(
            "vivavoce_step_seconds",
            "Time of a step of the model.",
            by_model,
            buckets=_STEPS_S,
            registry=registry,
        )
        self._batches = Histogram(
            "vivavoce_batch_size",
            "Streams in a step of the model.",
            by_model,
            buckets=_STREAMS,
            registry=registry,
        )
        self._load = Gauge(
            "vivavoce_model_load_seconds",
            "Time that the model's latest load took.",
            by_model,
            registry=registry,
        )
        self._hung = Counter(
            "vivavoce_hung_steps",
            "Steps that hung and caused a model restart.",
            by_model,
            registry=registry,
        )
        self._lost = Counter(
            "vivavoce_lost_processes",
            "Processes of the model that ended by themselves and were restarted.",
            by_model,
            registry=registry,
        )
        registry.register(_Standing(read))
        ProcessCollector(registry=registry)  # memory, CPU, descriptors; on Linux

    def render(self) -> bytes:
        """Return all values, in Prometheus' text format."""
        return generate_latest(self._registry)

    def answered(self, surface: str, outcome: str) -> None:
        """A request of `surface` has ended."""
        self._requests.labels(surface, outcome).inc()

    def spoke(self, report: SpeechReport) -> None:
        """A speech has ended."""
        self._speeches.labels(report.model, report.finish_reason).inc()
        self._retries.labels(report.model).inc(report.retries)
        self._audio.labels(report.model).inc(report.audio_s)
        self._underruns.labels(report.model).inc(report.underruns)
        if report.first_s is not None:
            self._first_audio.labels(report.model).observe(report.first_s - report.started_s)
        if report.audio_s:
            self._factor.labels(report.model).observe(report.generation_s / report.audio_s)

    # -- what engines tell (`serving.events.Observer`) -----------------------------------------------------------

    def waited(self, model: str, seconds: float) -> None:
        self._waits.labels(model).observe(seconds)

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        self._steps.labels(model).observe(seconds)
        self._batches.labels(model).observe(streams)

    def loaded(self, model: str, seconds: float) -> None:
        self._load.labels(model).set(seconds)
        self._hung.labels(model)  # shown as 0 from now on
        self._lost.labels(model)

    def hung(self, model: str) -> None:
        self._hung.labels(model).inc()

    def lost(self, model: str) -> None:
        self._lost.labels(model).inc()


class _Standing(Collector):
    """The gauges, read when they are asked for: nothing has to be kept in step with what they show."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the registry need not read the gauges to learn their names."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._read()
        yield GaugeMetricFamily(
            "vivavoce_open_requests", "Requests being answered.", value=now.open_requests
        )
        yield GaugeMetricFamily(
            "vivavoce_draining", "1 once the server was told to end.", value=now.draining
        )
        yield _by_model(
            "vivavoce_queue_length", "Segments that wait for the model.", now, lambda m: m.waiting
        )
        yield _by_model(
            "vivavoce_running_streams", "Segments that the model speaks.", now, lambda m: m.running
        )
        yield _by_model(
            "vivavoce_model_ready", "1 while the model is loaded.", now, lambda m: int(m.ready)
        )
        yield _by_model(
            "vivavoce_model_memory_bytes",
            "Memory counted for the model; 0 if it is not.",
            now,
            lambda m: m.memory_bytes,
        )


def _by_model(
    name: str, text: str, now: Snapshot, value: Callable[[ModelReading], int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["model"])
    for model in now.models:
        family.add_metric([model.model], value(model))
    return family
