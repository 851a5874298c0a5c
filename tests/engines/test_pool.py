"""Loading: once, on demand, whoever waits for it and whoever leaves."""

import asyncio
import threading
from pathlib import Path

import pytest

from vivavoce.engines.pool import Pool
from vivavoce.engines.registry import create_pool
from vivavoce.engines.scheduler import LocalEngine
from vivavoce.engines.tone import ToneModel
from vivavoce.errors import EngineFault, MissingDependency, NotReady, SettingsError, UnknownModel


class Factory:
    """Makes tone engines when `gate` is open, counting them."""

    def __init__(self) -> None:
        self.made = 0
        self.gate = threading.Event()

    def __call__(self) -> LocalEngine:
        assert self.gate.wait(10)
        self.made += 1
        return LocalEngine(ToneModel())


async def test_model_is_loaded_once_for_all_who_ask() -> None:
    factory = Factory()
    pool = Pool({"tone": factory})
    assert pool.states()["tone"].state == "unloaded"
    asking = [asyncio.create_task(pool.acquire("tone")) for _ in range(20)]
    await asyncio.sleep(0)
    assert pool.states()["tone"].state == "loading"
    factory.gate.set()
    engines = [lease.engine for lease in await asyncio.gather(*asking)]
    assert len(set(map(id, engines))) == factory.made == 1
    assert pool.states()["tone"].state == "ready"
    assert list(pool.ready) == ["tone"]
    await pool.aclose()


async def test_who_stops_waiting_does_not_stop_the_loading() -> None:
    factory = Factory()
    pool = Pool({"tone": factory})
    impatient, patient = asyncio.create_task(pool.acquire("tone")), asyncio.create_task(pool.acquire("tone"))
    await asyncio.sleep(0)
    impatient.cancel()
    factory.gate.set()
    assert (await patient).engine.info.name == "tone"
    assert factory.made == 1
    await pool.aclose()


async def test_model_that_could_not_be_loaded_is_tried_again() -> None:
    problems: list[Exception] = [RuntimeError("broken"), MissingDependency("pip install it")]

    def make() -> LocalEngine:
        if problems:
            raise problems.pop(0)
        return LocalEngine(ToneModel())

    pool = Pool({"tone": make})
    with pytest.raises(EngineFault, match="broken"):
        await pool.acquire("tone")
    assert pool.states()["tone"].state == "failed"
    with pytest.raises(MissingDependency):
        await pool.acquire("tone")
    assert (pool.states()["tone"].state, pool.states()["tone"].detail) == ("missing", "pip install it")
    await pool.acquire("tone")
    assert pool.states()["tone"].state == "ready"
    await pool.aclose()


async def test_unknown_and_closed_are_said_so() -> None:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with pytest.raises(UnknownModel, match="'tone'"):
        await pool.acquire("tune")
    await pool.aclose()
    with pytest.raises(NotReady):
        await pool.acquire("tone")


@pytest.mark.parametrize("models", [(), ("tone", "flute")])
def test_settings_that_name_no_such_model_are_refused(models: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="models"):
        create_pool(models, cache_dir=tmp_path)


async def test_absent_voices_say_how_to_get_them(tmp_path: Path) -> None:
    pool = create_pool(("kokoro",), cache_dir=tmp_path)
    with pytest.raises(MissingDependency, match="vivavoce models pull kokoro"):
        await pool.acquire("kokoro")
    await pool.aclose()
