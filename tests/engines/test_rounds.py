"""A step that computes is given more time than one that does nothing, in a thread and in a process of its own."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import numpy as np
import pytest

from tests.engines.models import LABOUR_S, Laborious, Stuck
from vivavoce.engines.base import Model
from vivavoce.engines.local import LocalEngine
from vivavoce.engines.process import in_process
from vivavoce.engines.rounds import Rounds
from vivavoce.engines.watchdog import WatchedEngine
from vivavoce.engines.worker import Surroundings
from vivavoce.errors import EngineFault
from vivavoce.types import Samples, Segment

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what a thread computes")

MAX_STEP_S = 0.5


def distant(make: Callable[[], Model]) -> Model:
    return in_process(make, "tone", Surroundings("critical"))


def here(make: Callable[[], Model]) -> Model:
    return make()


@asynccontextmanager
async def watched(make: Callable[[], Model], max_long_step_s: float) -> AsyncIterator[WatchedEngine]:
    engine = WatchedEngine(lambda: LocalEngine(make()), max_step_s=MAX_STEP_S, max_long_step_s=max_long_step_s)
    await engine.start()
    try:
        yield engine
    finally:
        with suppress(EngineFault):  # a thread that hangs is left behind
            await engine.aclose()


async def heard(engine: WatchedEngine, voice: str) -> Samples:
    async with aclosing(engine.speak(Segment("hello", voice, "en"))) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


@pytest.mark.parametrize("where", [here, distant])
async def test_step_that_computes_is_waited_for_beside_one_that_does_not(
    where: Callable[[Callable[[], Model]], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.engines.scheduler._JOIN_TIMEOUT_S", 0.2)
    async with watched(lambda: where(Laborious), 60.0) as engine:
        start_s = time.monotonic()
        assert (await heard(engine, "hum")).size
        assert time.monotonic() - start_s >= LABOUR_S > 3 * MAX_STEP_S
        start_s = time.monotonic()
        beside = asyncio.create_task(heard(engine, "hum"))
        with pytest.raises(EngineFault, match="without computing"):
            await heard(engine, "hang")
        assert time.monotonic() - start_s < 10 * MAX_STEP_S
        with suppress(EngineFault):  # it may have been at it
            await beside


async def test_step_that_computes_for_ever_is_ended_when_it_took_too_long() -> None:
    async with watched(lambda: distant(Stuck), 2.0) as engine:
        start_s = time.monotonic()
        with pytest.raises(EngineFault, match="hung for"):
            await heard(engine, "sine")
        assert 1.0 < time.monotonic() - start_s < 10.0


def test_round_that_goes_over_to_another_thread_is_not_idle() -> None:
    used = iter([5.0, 0.5, 0.5])
    rounds = Rounds(lambda thread: next(used))
    with rounds.of(0):
        assert rounds.idle_s == 0.0
        time.sleep(0.02)
        assert rounds.idle_s == 0.0
        time.sleep(0.02)
        assert 0.02 <= rounds.idle_s <= rounds.stalled_s
    assert rounds.idle_s == rounds.stalled_s == 0.0


def test_idleness_is_not_known_where_the_system_does_not_tell() -> None:
    rounds = Rounds(lambda thread: None)
    with rounds.of(0):
        time.sleep(0.02)
        assert rounds.idle_s == 0.0
        assert rounds.stalled_s >= 0.02
