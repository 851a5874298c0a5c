"""A step that hangs: its streams fail in time, the model is made anew, and what was left behind is freed later."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager

import httpx
import numpy as np
import pytest

from tests.conftest import serving
from vivavoce.api.app import create_app
from vivavoce.engines.base import Stream
from vivavoce.engines.local import LocalEngine
from vivavoce.engines.pool import Pool
from vivavoce.engines.tone import CHAR_S, RATE_HZ, Fault, ToneModel, tones
from vivavoce.engines.watchdog import MAX_LEFT, WatchedEngine
from vivavoce.errors import EngineFault, NotReady
from vivavoce.settings import Settings
from vivavoce.types import Ending, Samples, Segment

MAX_STEP_S = 0.5


class Hanging(ToneModel):
    """A tone model that hangs while one of its streams speaks as `hang`, until `released`."""

    def __init__(self, released: threading.Event, **kwargs: int) -> None:
        super().__init__(faults={"hang": Fault("nan")}, **kwargs)  # type: ignore[arg-type]  # whole numbers
        self.released, self.unloaded = released, threading.Event()

    def step(self, streams: Sequence[Stream], ahead_s: Sequence[float] = ()) -> Sequence[Samples | Ending]:
        if any(stream.segment.voice == "hang" for stream in streams):  # type: ignore[attr-defined]  # its own streams
            assert self.released.wait(60)
        return super().step(streams, ahead_s)

    def unload(self) -> None:
        self.unloaded.set()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()  # no thread is left behind


@asynccontextmanager
async def watched(make: Callable[[], ToneModel]) -> AsyncIterator[WatchedEngine]:
    engine = WatchedEngine(lambda: LocalEngine(make()), max_step_s=MAX_STEP_S)
    await engine.start()
    try:
        yield engine
    finally:
        await asyncio.gather(engine.aclose(), return_exceptions=True)


def said(voice: str = "sine") -> Segment:
    return Segment("hello", voice, "en")


async def heard(engine: WatchedEngine, segment: Segment) -> Samples:
    async with aclosing(engine.speak(segment)) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


async def speaks_again(engine: WatchedEngine, within_s: float = 5.0) -> Samples:
    """What the engine says once it has been made anew."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await heard(engine, said())
            except NotReady:
                await asyncio.sleep(0.01)


async def test_hanging_step_fails_its_streams_refuses_who_waits_and_is_made_anew(released: threading.Event) -> None:
    async with watched(lambda: Hanging(released, max_batch=1)) as engine:
        start_s = time.monotonic()
        hangs, waits = engine.speak(said("hang")), engine.speak(said())
        with pytest.raises(EngineFault, match="hung"):
            await anext(hangs)
        assert MAX_STEP_S / 2 < time.monotonic() - start_s < 4 * MAX_STEP_S
        with pytest.raises(NotReady, match="made anew"):
            await anext(waits)
        again = await speaks_again(engine)
        assert np.array_equal(again, tones(said(), 0, int(5 * CHAR_S * RATE_HZ)))
        for stream in (hangs, waits):
            await stream.aclose()


async def test_model_left_hanging_is_unloaded_when_its_step_ends(released: threading.Event) -> None:
    made: list[Hanging] = []

    def make() -> Hanging:
        made.append(Hanging(released))
        return made[-1]

    async with watched(make) as engine:
        with pytest.raises(EngineFault):
            await heard(engine, said("hang"))
        await speaks_again(engine)
        assert len(made) == 2
        assert not made[0].unloaded.is_set()
        released.set()
        assert await asyncio.to_thread(made[0].unloaded.wait, 10)
        assert not made[1].unloaded.is_set()
        assert (await heard(engine, said())).size


async def test_model_that_hangs_again_and_again_is_given_up(released: threading.Event) -> None:
    async with watched(lambda: Hanging(released)) as engine:
        for _ in range(MAX_LEFT):
            with pytest.raises(EngineFault):
                await heard(engine, said("hang"))
            await speaks_again(engine)
        with pytest.raises(EngineFault):
            await heard(engine, said("hang"))
        with pytest.raises(NotReady, match="start the server again"):
            engine.speak(said())


async def test_slow_steps_are_no_hanging_ones() -> None:
    steps_s = 0.6 * MAX_STEP_S
    async with watched(lambda: ToneModel(real_time_factor=steps_s / 0.08)) as engine:
        assert (await heard(engine, said())).size
        assert engine._left == 0


def test_server_goes_on_after_a_hanging_step(released: threading.Event) -> None:
    pool = Pool({"tone": lambda: WatchedEngine(lambda: LocalEngine(Hanging(released)), max_step_s=MAX_STEP_S)})
    with serving(create_app(Settings(), pool)) as url:

        def ask(voice: str) -> httpx.Response:
            return httpx.post(f"{url}/v1/tts/synthesize", json={"text": "Hello.", "speaker": voice}, timeout=30)

        before = ask("sine")
        hung = ask("hang")
        assert hung.status_code == 500
        assert "hung" in hung.json()["error"]["message"]
        assert hung.elapsed.total_seconds() < 10 * MAX_STEP_S
        deadline_s = time.monotonic() + 10
        while (after := ask("sine")).status_code == 503:
            assert time.monotonic() < deadline_s
        assert after.content == before.content
