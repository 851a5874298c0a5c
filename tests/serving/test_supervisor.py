"""Test that a hanging step fails its streams and restarts the model or the server."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.api.test_lifecycle import server
from tests.conftest import EQUAL, app_client, serving
from tests.serving.models import HANGS, Stuck, supervised
from tests.serving.test_subprocess import child_of, needs_proc
from vivavoce.api.app import create_app
from vivavoce.errors import EngineFault, NotReady
from vivavoce.models.tone import CHAR_S, RATE_HZ, Fault, ToneModel, ToneStream, tones
from vivavoce.serving.events import StepTimer
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.supervisor import SupervisedEngine
from vivavoce.types import Samples, Segment, StopReason

MAX_STEP_S = 0.5
SHORT = {"text": "Hello.", "format": "pcm", "stream": True}


class Hanging(ToneModel):
    """A tone model that hangs with a stream of the voice `hang`, until `released`."""

    def __init__(self, released: threading.Event, **kwargs: int) -> None:
        super().__init__(faults={"hang": Fault("raise", 1_000)}, **kwargs)  # type: ignore[arg-type]  # whole numbers
        self.released = released

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        if any(stream.segment.voice == "hang" for stream in streams):
            assert self.released.wait(60)
        return super().step(streams, ahead_s)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()  # no thread is left behind


@asynccontextmanager
async def here(
    make: Callable[[], ToneModel], max_step_s: float = MAX_STEP_S
) -> AsyncIterator[SupervisedEngine]:
    """Run an engine over a model in this process, which may hang in the end."""
    engine = SupervisedEngine(lambda: LocalEngine(make()), max_step_s=max_step_s)
    await engine.start()
    try:
        yield engine
    finally:
        await asyncio.gather(engine.aclose(), return_exceptions=True)


def said(voice: str = "sine") -> Segment:
    return Segment("hello", voice, "en")


async def heard(engine: SupervisedEngine, segment: Segment) -> Samples:
    async with aclosing(engine.speak(segment)) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


async def test_step_that_hangs_in_this_process_fails_its_streams_and_is_the_end(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.serving.scheduler._JOIN_TIMEOUT_S", 0.2)
    async with here(lambda: Hanging(released, max_batch=1)) as engine:
        assert engine.failure is None
        start_s = time.monotonic()
        hangs, waits = engine.speak(said("hang")), engine.speak(said())
        with pytest.raises(EngineFault, match="hung"):
            await anext(hangs)
        assert MAX_STEP_S / 2 < time.monotonic() - start_s < 10 * MAX_STEP_S
        with pytest.raises(NotReady, match="hung"):
            await anext(waits)
        with pytest.raises(NotReady, match="start the server again"):
            engine.speak(said())
        assert isinstance(engine.failure, EngineFault)
        for stream in (hangs, waits):
            await stream.aclose()


async def test_slow_steps_are_no_hanging_ones() -> None:
    max_step_s = 2 * MAX_STEP_S
    async with here(
        lambda: ToneModel(real_time_factor=0.6 * max_step_s / 0.08), max_step_s
    ) as engine:
        assert (await heard(engine, said())).size
        assert engine.failure is None


async def test_step_is_not_taken_to_hang_while_the_supervisors_own_loop_stood_still(
    released: threading.Event,
) -> None:
    async with here(lambda: Hanging(released)) as engine:
        speech = asyncio.create_task(heard(engine, said("hang")))
        while not engine.load.running:  # noqa: ASYNC110 - a lane's thread tells nobody
            await asyncio.sleep(0.01)
        time.sleep(3 * MAX_STEP_S)  # noqa: ASYNC251 - nothing else runs on this loop
        await asyncio.sleep(MAX_STEP_S / 5)
        released.set()
        assert np.array_equal(await speech, tones(said("hang"), 0, int(5 * CHAR_S * RATE_HZ)))
        assert engine.failure is None


@needs_proc
def test_server_that_was_stopped_and_goes_on_finds_no_hanging_step(tmp_path: Path) -> None:
    with (
        server(tmp_path, max_step_s=2.0, tone_real_time_factor=2.5) as (
            process,
            url,
        ),  # a step takes 0.2 s
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        whole = client.post("/v1/tts/synthesize", json=SHORT).content
        both = (process.pid, child_of(process.pid))
        with client.stream("POST", "/v1/tts/synthesize", json=SHORT) as running:
            chunks = running.iter_raw()
            received = next(chunks)
            for pid in both:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(4)  # as a container that is paused
            for pid in both:
                os.kill(pid, signal.SIGCONT)
            received += b"".join(chunks)
        assert received == whole
        metrics = client.get("/metrics").text
        for name in ("hung_steps", "lost_processes"):
            assert f'vivavoce_{name}_total{{model="tone"}} 0.0' in metrics


async def test_step_that_computes_for_ever_and_keeps_the_interpreter_is_ended() -> None:
    engine = supervised(Stuck, max_step_s=MAX_STEP_S)
    await engine.start()
    start_s = time.monotonic()
    with pytest.raises(EngineFault, match="hung for"):
        await heard(engine, said())
    assert MAX_STEP_S / 2 < time.monotonic() - start_s < 10 * MAX_STEP_S
    assert engine.failure is None
    await engine.aclose()


def test_server_goes_on_after_a_step_that_hung_in_a_process() -> None:
    pool = Pool(
        {"tone": lambda: supervised(partial(ToneModel, faults=HANGS), max_step_s=MAX_STEP_S)}
    )
    with serving(create_app(EQUAL, pool)) as url:

        def ask(voice: str) -> httpx.Response:
            return httpx.post(
                f"{url}/v1/tts/synthesize", json={"text": "Hello.", "speaker": voice}, timeout=30
            )

        before = ask("sine")
        hung = ask("hang")
        assert hung.status_code == 500
        assert "hung" in hung.json()["error"]["message"]
        assert hung.elapsed.total_seconds() < 10 * MAX_STEP_S
        deadline_s = time.monotonic() + 10
        while (after := ask("sine")).status_code == 503:
            assert time.monotonic() < deadline_s
        assert after.content == before.content


async def test_server_is_not_ready_after_a_step_that_hangs_in_it(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.serving.scheduler._JOIN_TIMEOUT_S", 0.2)
    pool = Pool(
        {
            "tone": lambda: SupervisedEngine(
                lambda: LocalEngine(Hanging(released)), max_step_s=MAX_STEP_S
            )
        }
    )
    async with app_client(create_app(EQUAL, pool)) as client:
        body = {"text": "Hello.", "speaker": "hang"}
        assert (await client.post("/v1/tts/synthesize", json=body)).status_code == 500
        assert (await client.post("/v1/tts/synthesize", json=body)).status_code == 503
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "failed")
        assert "start the server again" in ready.json()["reason"]
        assert (await client.get("/health")).json()["status"] == "failed"


def test_server_ends_after_a_step_that_hangs_in_it(tmp_path: Path) -> None:
    with server(tmp_path, isolate_models=False, max_step_s=0.5, tone_faults="hang") as (
        process,
        url,
    ):
        body = {"text": "A text that is long enough.", "speaker": "hang"}
        assert httpx.post(f"{url}/v1/tts/synthesize", json=body, timeout=30).status_code == 500
        assert process.wait(30) == 1
    log = (tmp_path / "log").read_text()
    assert "vivavoce: a step of model 'tone' hung" in log.splitlines()[-1]
    assert "start the server again" in log.splitlines()[-1]


def test_timer_counts_for_each_lane_what_was_added_while_its_step_was_under_way() -> None:
    timer = StepTimer()
    timer.add(1.0)
    assert timer.longest_step_s == 0.0
    with timer.timing(0):
        timer.add(1.0)
        assert timer.longest_step_s == 1.0
        with timer.timing(1):
            timer.add(1.0)
            assert timer.longest_step_s == 2.0
        timer.add(1.0)
        assert timer.longest_step_s == 3.0
    with timer.timing(0):
        timer.add(0.5)
        assert timer.longest_step_s == 0.5
