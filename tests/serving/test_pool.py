"""Test loading on demand, cancelled waits, and eviction when memory is short."""

import asyncio
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from weakref import ReferenceType, ref

import pytest

from vivavoce.errors import (
    EngineFault,
    MissingDependency,
    NotReady,
    OutOfMemory,
    Overloaded,
    SettingsError,
    UnknownModel,
)
from vivavoce.models.tone import ToneModel, ToneStream
from vivavoce.registry import build_pool
from vivavoce.serving import scheduler
from vivavoce.serving.base import Preview
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.pool_entry import Lease, ModelSource, choose_victims
from vivavoce.settings import Settings
from vivavoce.types import Samples, Segment, StopReason


class Factory:
    """A factory that makes tone engines while `gate` is open, and counts them."""

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
    impatient, patient = (
        asyncio.create_task(pool.acquire("tone")),
        asyncio.create_task(pool.acquire("tone")),
    )
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
    assert (pool.states()["tone"].state, pool.states()["tone"].detail) == (
        "missing",
        "pip install it",
    )
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


def test_settings_that_name_no_such_model_are_refused() -> None:
    with pytest.raises(SettingsError, match="'models' names 'flute'"):
        build_pool(Settings(models=("tone", "flute")))


async def test_absent_voices_say_how_to_get_them(tmp_path: Path) -> None:
    pool = build_pool(Settings(models=("kokoro",), cache_dir=tmp_path, isolate_models=False))
    with pytest.raises(MissingDependency, match="vivavoce models pull kokoro"):
        await pool.acquire("kokoro")
    await pool.aclose()


# -- memory -------------------------------------------------------------------------------------


class Offered:
    """Tone models of any size in a pool, with a record of the loaded ones."""

    def __init__(self, sizes: Mapping[str, int], budget: int | None, **limits: float) -> None:
        self.alive: list[str] = []
        self.made: list[str] = []
        self.most = 0  # memory that was ever resident, as the models themselves count it
        self._sizes = sizes
        offers = {
            name: ModelSource(partial(self._make, name), partial(self._preview, name))
            for name in sizes
        }
        self.pool = Pool(offers, max_memory_bytes=budget, **limits)  # type: ignore[arg-type]  # numbers

    def _preview(self, name: str) -> Preview:
        return Preview(replace(ToneModel().info, name=name), self._sizes[name])

    def _make(self, name: str) -> LocalEngine:
        self.made.append(name)
        self.alive.append(name)
        self.most = max(self.most, sum(self._sizes[each] for each in self.alive))
        return LocalEngine(Counted(name, self.alive))

    def state(self, name: str) -> str:
        return self.pool.states()[name].state

    async def is_waiting(self, name: str) -> None:
        """Return when the load of `name` waits for memory."""
        while "waits for" not in self.pool.states()[name].detail:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0)


class Counted(ToneModel):
    """A tone model that reports its unloading."""

    def __init__(self, name: str, alive: list[str]) -> None:
        super().__init__()
        self.info = replace(self.info, name=name)
        self._alive = alive

    def unload(self) -> None:
        self._alive.remove(self.info.name)


async def test_least_recently_used_is_unloaded_for_what_does_not_fit() -> None:
    offered = Offered({"a": 2, "b": 2, "c": 2}, budget=5)
    for name in ("a", "b", "a", "c"):
        async with offered.pool.lease(name) as engine:
            assert engine.info.name == name
    assert offered.alive == ["a", "c"]
    assert (offered.state("b"), offered.pool.memory_bytes) == ("unloaded", 4)
    assert offered.most == 4
    await offered.pool.aclose()
    assert offered.alive == []


async def test_model_in_use_is_not_unloaded_and_the_other_waits() -> None:
    offered = Offered({"a": 2, "b": 2}, budget=3)
    lease = await offered.pool.acquire("a")
    waiting = asyncio.create_task(offered.pool.acquire("b"))
    await offered.is_waiting("b")
    assert offered.alive == ["a"]
    lease.release()
    lease.release()  # twice is once
    other = await waiting
    assert (other.engine.info.name, offered.alive) == ("b", ["b"])
    other.release()
    assert offered.pool.leases == 0
    await offered.pool.aclose()


async def test_nothing_is_unloaded_for_a_request_that_has_left() -> None:
    offered = Offered({"a": 2, "b": 2}, budget=3)
    lease = await offered.pool.acquire("a")
    waiting = asyncio.create_task(offered.pool.acquire("b"))
    await offered.is_waiting("b")
    waiting.cancel()
    await asyncio.wait([waiting])
    lease.release()
    assert (offered.state("a"), offered.state("b")) == ("ready", "unloaded")
    assert offered.made == ["a"]
    await offered.pool.aclose()


async def test_two_busy_models_take_turns() -> None:
    """Keep both models busy: each gets a request before its last one ends."""
    offered = Offered({"a": 2, "b": 2}, budget=3, patience_s=0.0)
    turns: list[str] = []

    async def keep_busy(name: str) -> None:
        lease = await offered.pool.acquire(name)
        while len(set(turns)) < 2 or len(turns) < 40:
            following = asyncio.create_task(offered.pool.acquire(name))
            await asyncio.sleep(0)
            if not following.done():  # the other's turn: this one has to end before the next begins
                lease.release()
            lease, last = await following, lease
            last.release()
            turns.append(name)
        lease.release()

    async with asyncio.timeout(20):
        await asyncio.gather(keep_busy("a"), keep_busy("b"))
    assert min(turns.count("a"), turns.count("b")) > 0
    assert offered.made.count("a") > 1
    assert (offered.most, offered.pool.leases) == (2, 0)
    await offered.pool.aclose()


async def test_patience_closes_the_busy_model_to_new_requests_and_no_others() -> None:
    offered = Offered({"a": 2, "b": 2, "small": 1}, budget=3, patience_s=0.0)
    held, small = await offered.pool.acquire("a"), await offered.pool.acquire("small")
    waiting = [asyncio.create_task(offered.pool.acquire("b"))]
    await offered.is_waiting("b")
    await asyncio.sleep(0.001)  # lets the timer of no seconds pass
    late = asyncio.create_task(offered.pool.acquire("a"))
    (await offered.pool.acquire("small")).release()
    assert not late.done()
    held.release()
    other = await waiting[0]
    assert sorted(offered.alive) == ["b", "small"]
    other.release()
    again = await late
    assert sorted(offered.alive) == ["a", "small"]
    again.release()
    small.release()
    assert offered.most == 3
    await offered.pool.aclose()


async def test_waiting_for_memory_is_bounded_in_time_and_number() -> None:
    offered = Offered({"a": 2, "b": 2}, budget=3, max_wait_s=0.05, max_queued_requests=2)
    held = await offered.pool.acquire("a")
    asking = await asyncio.gather(
        *(offered.pool.acquire("b") for _ in range(4)), return_exceptions=True
    )
    assert [type(answer) for answer in asking] == [Overloaded] * 4
    assert sum("requests wait" in str(answer) for answer in asking) == 2
    assert sum("waited 0.05 s" in str(answer) for answer in asking) == 2
    (await offered.pool.acquire("a")).release()  # it is not closed for what has given up
    held.release()
    (await _patiently(offered.pool, "b")).release()
    await offered.pool.aclose()


async def _patiently(pool: Pool, name: str) -> Lease:
    """Acquire a lease as a client that retries: on a busy machine 0.05 s pass quickly."""
    async with asyncio.timeout(30.0):
        while True:
            try:
                return await pool.acquire(name)
            except Overloaded:
                continue


async def test_what_can_never_fit_is_refused_with_the_numbers() -> None:
    offered = Offered({"huge": 7_000_000_000, "a": 1}, budget=2_000_000_000)
    (await offered.pool.acquire("a")).release()
    with pytest.raises(OutOfMemory, match=r"'huge' takes 7\.00 GB.* 2\.00 GB.*max_model_memory_gb"):
        await offered.pool.acquire("huge")
    assert offered.made == ["a"]
    assert offered.state("a") == "ready"
    assert offered.pool.states()["huge"].state == "failed"
    await offered.pool.aclose()


async def test_start_up_loads_what_fits_in_order_of_preference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    offered = Offered({"a": 3, "b": 3, "c": 1, "huge": 9, "free": 0}, budget=5)
    with caplog.at_level("INFO"):
        await offered.pool.load_all()
    assert offered.made == ["a", "c", "free"]
    assert {name: state.state for name, state in offered.pool.states().items()} == {
        "a": "ready", "b": "unloaded", "c": "ready", "huge": "failed", "free": "ready",
    }  # fmt: skip
    assert "'b' stays unloaded" in caplog.text
    assert "'huge' is not available" in caplog.text
    await offered.pool.aclose()


async def test_loads_at_the_same_time_keep_within_the_budget() -> None:
    sizes = dict.fromkeys("abcdefgh", 2)
    offered = Offered(sizes, budget=5)

    async def use(name: str) -> None:
        async with offered.pool.lease(name):
            assert offered.pool.memory_bytes <= 5
            await asyncio.sleep(0)

    await asyncio.gather(*(use(name) for name in sizes))
    assert sorted(offered.made) == sorted(sizes)
    assert (offered.most, offered.pool.leases) == (4, 0)
    await offered.pool.aclose()


async def test_no_lease_is_lost_in_random_cancels() -> None:
    draw = random.Random(5)
    offered = Offered({"a": 2, "b": 2, "c": 2}, budget=5, patience_s=0.001)

    async def use(name: str, turns: int) -> None:
        async with offered.pool.lease(name) as engine:
            assert engine.info.name == name
            for _ in range(turns):
                await asyncio.sleep(0)

    tasks = []
    for _ in range(200):
        tasks.append(asyncio.create_task(use(draw.choice("abc"), draw.randrange(30))))
        for _ in range(draw.randrange(4)):
            await asyncio.sleep(0)
        draw.choice(tasks).cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in ended)
    assert offered.pool.leases == 0
    assert offered.most <= 5
    for name in "abc":
        await use(name, 0)
    await offered.pool.aclose()
    assert offered.alive == []


async def test_closing_ends_every_wait() -> None:
    offered = Offered({"a": 2, "b": 2}, budget=3)
    held = await offered.pool.acquire("a")
    waiting = asyncio.create_task(offered.pool.acquire("b"))
    await offered.is_waiting("b")
    await offered.pool.aclose()
    with pytest.raises(NotReady):
        await waiting
    held.release()
    assert offered.alive == []


async def test_model_is_described_without_being_loaded() -> None:
    offered = Offered({"a": 2, "b": 0}, budget=3)
    assert (await offered.pool.info("a")).name == "a"
    await offered.pool.preview_all()
    assert offered.made == []
    states = offered.pool.states()
    assert (states["a"].memory_bytes, states["b"].memory_bytes) == (2, None)


async def test_failed_load_gives_its_memory_back_and_keeps_nothing() -> None:
    class Weights:
        pass

    kept: list[ReferenceType[Weights]] = []

    def fail() -> LocalEngine:
        weights = Weights()
        kept.append(ref(weights))
        raise EngineFault("the second file is damaged")

    pool = Pool(
        {
            "broken": ModelSource(fail, lambda: Preview(ToneModel().info, 2)),
            "a": lambda: LocalEngine(ToneModel()),
        },
        max_memory_bytes=3,
    )
    with pytest.raises(EngineFault):
        await pool.acquire("broken")
    assert pool.memory_bytes == 0
    assert pool.states()["broken"].detail == "the second file is damaged"
    assert [weights() for weights in kept] == [None]
    await pool.aclose()


async def test_memory_that_a_hanging_step_keeps_is_not_given_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler, "_JOIN_TIMEOUT_S", 0.01)
    entered, gate = threading.Event(), threading.Event()

    class Hanging(ToneModel):
        def step(
            self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
        ) -> Sequence[Samples | StopReason]:
            entered.set()
            assert gate.wait(10)
            return super().step(streams, ahead_s)

    seen, makers = Preview(ToneModel().info, 2), {"hanging": Hanging, "tone": ToneModel}
    offers = {
        name: ModelSource(lambda make=make: LocalEngine(make()), lambda: seen)
        for name, make in makers.items()
    }
    pool = Pool(offers, max_memory_bytes=3)
    async with pool.lease("hanging") as engine:
        stream = engine.speak(Segment("Hello.", "sine", "en"))
        assert await asyncio.to_thread(entered.wait, 10)
        await stream.aclose()
    waiting = asyncio.create_task(pool.acquire("tone"))
    while "cannot be unloaded" not in caplog.text:  # noqa: ASYNC110 - the pool tells the log alone
        await asyncio.sleep(0.001)
    assert (pool.states()["hanging"].state, pool.memory_bytes, waiting.done()) == (
        "unloading",
        2,
        False,
    )
    gate.set()
    (await waiting).release()
    assert pool.states()["hanging"].state == "unloaded"
    await pool.aclose()


@pytest.mark.parametrize(
    ("sizes", "missing", "chosen"),
    [
        ((2, 3, 4), 0, ()),
        ((2, 3, 4), 2, (2,)),
        ((2, 3, 4), 4, (2, 3)),
        ((1, 8, 4), 8, (8,)),
        ((0, 3), 3, (3,)),
        ((2, 3), 6, None),
    ],
)
def test_no_more_is_unloaded_than_is_needed(
    sizes: tuple[int, ...], missing: int, chosen: tuple[int, ...] | None
) -> None:
    found = choose_victims([Preview(ToneModel().info, size) for size in sizes], missing)
    assert (None if found is None else tuple(each.memory_bytes for each in found)) == chosen
