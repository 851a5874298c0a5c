"""Test that unused models are unloaded after a while, and used ones never."""

import asyncio
import threading

from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool

IDLE_S = 0.02


class Counted(ToneModel):
    """A model that reports its unloading."""

    def __init__(self, gone: threading.Event) -> None:
        super().__init__()
        self._gone = gone

    def unload(self) -> None:
        self._gone.set()


def pool_of(gone: threading.Event) -> Pool:
    return Pool({"tone": lambda: LocalEngine(Counted(gone))}, idle_unload_s=IDLE_S)


async def timers_have_fired() -> None:
    """Wait until the timers of the pool that are due within `IDLE_S` have fired."""
    fired = asyncio.Event()
    asyncio.get_running_loop().call_later(1.5 * IDLE_S, fired.set)
    await fired.wait()


async def test_unused_model_is_unloaded_and_comes_back_when_it_is_asked_for() -> None:
    gone = threading.Event()
    pool = pool_of(gone)
    for _ in range(2):
        gone.clear()
        async with pool.lease("tone") as engine:
            assert engine.info.name == "tone"
        assert await asyncio.to_thread(gone.wait, 10)
    await pool.aclose()
    assert pool.states()["tone"].state == "unloaded"


async def test_model_that_was_loaded_for_nobody_is_unloaded_too() -> None:
    gone = threading.Event()
    pool = pool_of(gone)
    await pool.load_all()
    assert await asyncio.to_thread(gone.wait, 10)
    await pool.aclose()


async def test_model_in_use_stays_however_long_that_is() -> None:
    gone = threading.Event()
    pool = pool_of(gone)
    (await pool.acquire("tone")).release()
    lease = await pool.acquire("tone")  # before the timer of the first use
    await timers_have_fired()
    assert not gone.is_set()
    assert pool.states()["tone"].state == "ready"
    lease.release()
    await pool.aclose()


async def test_without_the_setting_models_stay() -> None:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    (await pool.acquire("tone")).release()
    await timers_have_fired()
    assert pool.states()["tone"].state == "ready"
    await pool.aclose()
