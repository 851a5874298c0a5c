"""Check clients that leave, models that fail midway, and very long texts."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import FAULTS, LONG_TEXT, app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.serving.scheduler import Load
from vivavoce.settings import Settings

FREED_WITHIN_S = 0.2


class Watched:
    """A tone engine whose load the test can see."""

    def __init__(self, **model: float) -> None:
        self.engine: LocalEngine | None = None
        self._model = model

    def pool(self) -> Pool:
        def make() -> LocalEngine:
            self.engine = LocalEngine(
                ToneModel(faults=FAULTS, **self._model), Limits(max_ahead_s=2.0)
            )  # type: ignore[arg-type]  # numbers
            return self.engine

        return Pool({"tone": make})

    def is_(self, busy: bool) -> bool:
        return self.engine is not None and (self.engine.load != Load(0, 0)) is busy


def wait_until(condition: Callable[[], bool], within_s: float) -> float:
    """Return the seconds until `condition` holds.

    It polls, since another thread frees the slot without an event.
    """
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within_s, "it did not come true in time"
        time.sleep(0.002)
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tts/synthesize", {"text": LONG_TEXT, "speaker": "endless", "stream": True}),
        ("/v1/audio/speech", {"input": LONG_TEXT, "voice": "endless"}),
        ("/v1/audio/speech", {"input": LONG_TEXT, "voice": "endless", "stream_format": "sse"}),
    ],
)
def test_client_that_leaves_a_stream_frees_its_slot(path: str, body: dict[str, object]) -> None:
    watched = Watched()
    with serving(create_app(Settings(), watched.pool())) as url:
        with httpx.stream("POST", f"{url}{path}", json=body) as response:
            chunks = response.iter_raw()  # named: dropping it would close the connection
            next(chunks)
            assert watched.is_(busy=True)
        assert wait_until(lambda: watched.is_(busy=False), 5) < FREED_WITHIN_S


def test_client_that_leaves_while_a_whole_answer_is_made_frees_its_slot() -> None:
    watched = Watched(real_time_factor=0.5)
    with serving(create_app(Settings(), watched.pool())) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{url}/v1/tts/synthesize",
                json={"text": LONG_TEXT, "speaker": "endless"},
                timeout=0.5,
            )
        assert wait_until(lambda: watched.is_(busy=False), 5) < FREED_WITHIN_S


def test_client_that_leaves_before_the_first_audio_frees_its_slot() -> None:
    watched = Watched(real_time_factor=25.0)  # two seconds a step
    with serving(create_app(Settings(), watched.pool())) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{url}/v1/audio/speech", json={"input": "Hello.", "voice": "sine"}, timeout=0.3
            )
        # The step that runs cannot be stopped; its stream is dropped right after it.
        assert wait_until(lambda: watched.is_(busy=False), 5) < 2.0 + FREED_WITHIN_S


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "pcm", "opus", "flac", "aac"])
def test_engine_fault_after_the_first_byte_breaks_the_transfer(audio_format: str) -> None:
    watched = Watched()
    body = {
        "input": "A text that is long enough for many steps.",
        "voice": "crash",
        "response_format": audio_format,
    }
    with (
        serving(create_app(Settings(), watched.pool())) as url,
        httpx.stream("POST", f"{url}/v1/audio/speech", json=body) as response,
    ):
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()


def test_reader_that_never_reads_stops_the_work_and_holds_nobody_up() -> None:
    watched = Watched()
    body = {"text": LONG_TEXT, "speaker": "endless", "stream": True, "format": "pcm"}
    with (
        serving(create_app(Settings(), watched.pool())) as url,
        httpx.stream("POST", f"{url}/v1/tts/synthesize", json=body) as stalled,
    ):
        chunks = stalled.iter_raw()  # named: dropping it would close the connection
        next(chunks)
        other = httpx.post(
            f"{url}/v1/tts/synthesize", json={"text": "Hello.", "speaker": "sine"}, timeout=10
        )
        assert other.status_code == 200


def test_100_000_characters_stream_at_bounded_memory() -> None:
    text = "The lamp is on the table, and the book lies beside it. " * 1_800
    body = {"text": text[:100_000], "speaker": "sine", "stream": True, "format": "pcm"}
    with serving(create_app(Settings(), tone_pool(char_s=0.005))) as url:
        assert (
            httpx.post(f"{url}/v1/tts/synthesize", json={"text": "Warm up, please."}).status_code
            == 200
        )
        tracemalloc.start()
        try:
            total = 0
            with httpx.stream(
                "POST", f"{url}/v1/tts/synthesize", json=body, timeout=60
            ) as response:
                assert response.status_code == 200
                for chunk in response.iter_raw():
                    total += len(chunk)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total > 100_000 * 0.005 * 48_000 * 0.9
    assert peak < 8e6  # the audio is some 24 MB


async def test_health_answers_while_models_load() -> None:
    loading = asyncio.Event()

    def slow() -> LocalEngine:
        time.sleep(0.3)
        return LocalEngine(ToneModel())

    async with app_client(create_app(Settings(), Pool({"tone": slow}))) as client:
        loading.set()
        health = (await client.get("/health")).json()
        assert (health["status"], health["model_loaded"]) == ("loading", False)
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.post("/v1/tts/synthesize", json={"text": "Hello."})).status_code == 200
        assert json.loads((await client.get("/health/ready")).content) == {"status": "ok"}
