"""Load the offered models when they are needed, and unload them to free memory.

It knows names and sources of engines, and nothing of the models themselves.

- A request holds a lease while it speaks. A model with leases is never unloaded.
- A model that does not fit into the free memory waits until enough others are idle. Those used
  least recently are unloaded first. Loads wait in the order of their requests.
- After `patience_s` a waiting load also stops new leases of busy models, so that a model that is
  always busy starves no other.
- With `idle_unload_s` an unused model is unloaded after that time, and loaded again when it
  is needed.
- All of it runs on one event loop: code between two `await`s is atomic.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from vivavoce.errors import NotReady, Overloaded, UnknownModel, VivavoceError
from vivavoce.serving.base import Engine
from vivavoce.serving.events import EngineEvents, NoEvents
from vivavoce.serving.pool_entry import (
    EngineFactory,
    Lease,
    ModelSource,
    ModelState,
    PoolEntry,
    choose_victims,
    format_gb,
    loading_errors,
    try_close,
)
from vivavoce.types import EngineInfo

log = logging.getLogger(__name__)

_STOPPING = "the server is stopping; try again when it is back"


class Pool:
    """The models by name, in order of preference. An `EngineFactory` is a source without preview.

    The models together take at most `max_memory_bytes` (None: no limit). At most
    `max_queued_requests` requests wait for one model to be loaded, and for at most `max_wait_s`
    until it fits. A model unused for `idle_unload_s` is unloaded (0: never).
    """

    def __init__(
        self,
        sources: Mapping[str, ModelSource | EngineFactory],
        *,
        max_memory_bytes: int | None = None,
        max_queued_requests: int = 64,
        patience_s: float = 5.0,
        max_wait_s: float = 120.0,
        idle_unload_s: float = 0.0,
    ) -> None:
        self.max_memory_bytes = max_memory_bytes
        self._max_waiting = max_queued_requests
        self._patience_s, self._max_wait_s = patience_s, max_wait_s
        self._idle_unload_s = idle_unload_s
        self._observer: EngineEvents = NoEvents()
        self._models = {
            name: PoolEntry(name, one if isinstance(one, ModelSource) else ModelSource(one))
            for name, one in sources.items()
        }
        self._queue: list[PoolEntry] = []  # loads that wait for memory, the longest waiting first
        self._clock = count(1)
        self._closed = False

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._models)

    @property
    def ready(self) -> Mapping[str, Engine]:
        """The engines that can speak now, in order of preference."""
        return {name: m.engine for name, m in self._models.items() if m.engine is not None}

    @property
    def failure(self) -> VivavoceError | None:
        """The error of a model that only a new server process can end."""
        failures = (engine.failure for engine in self.ready.values())
        return next((failure for failure in failures if failure is not None), None)

    @property
    def memory_bytes(self) -> int:
        """The memory of all models that are loaded, being loaded or being unloaded."""
        return sum(self.memory_by_model.values())

    @property
    def memory_by_model(self) -> dict[str, int]:
        """The memory of each model, 0 for one that is not loaded or not counted."""
        return {
            name: 0 if m.phase == "unloaded" else m.memory_bytes for name, m in self._models.items()
        }

    @property
    def leases(self) -> int:
        """The number of leases that are not released."""
        return sum(model.leases for model in self._models.values())

    def observe(self, observer: EngineEvents) -> None:
        """Report loads, and the events of engines loaded from now on, to `observer`."""
        self._observer = observer

    def states(self) -> dict[str, ModelState]:
        return {
            name: m.state(m in self._queue, m.problem or m.too_large(self.max_memory_bytes))
            for name, m in self._models.items()
        }

    # -- asking ------------------------------------------------------------------------------------

    async def info(self, name: str) -> EngineInfo:
        """Return the description of the model `name`, which is loaded if it has no preview.

        Raise as `acquire` does.
        """
        model = self._known(name)
        if model.info is None:
            await self._preview(model)
        if model.info is not None:
            return model.info
        async with self.lease(name) as engine:
            return engine.info

    async def preview_all(self) -> None:
        """Describe every model that has a preview. `states` shows the problems."""
        for model in self._models.values():
            try:
                await self._preview(model)
            except VivavoceError as error:
                log.debug("model %r cannot be previewed: %s", model.name, error.message)

    async def described(self) -> Sequence[EngineInfo]:
        """Return the descriptions of all models, or none if some must be loaded for that."""
        await self.preview_all()
        models = self._models.values()
        if any(model.info is None and model.problem is None for model in models):
            return []
        return [model.info for model in models if model.info is not None]

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncGenerator[Engine]:
        """Hold a lease of the engine `name`, as `acquire`, and release it at the end."""
        lease = await self.acquire(name)
        try:
            yield lease.engine
        finally:
            lease.release()

    async def acquire(self, name: str) -> Lease:
        """Return a lease of the engine `name`, which is loaded if it was not.

        A model that could not be loaded is tried again at the next call. Raise `UnknownModel`,
        `MissingDependency`, `EngineFault` if the model cannot be loaded, `OutOfMemory` if it can
        never fit, `Overloaded` if too many wait for it or no other model became idle in time,
        `NotReady` after `aclose`.
        """
        model = self._known(name)
        if model.engine is not None and not model.evicting:
            return self._grant(model)
        if model.phase == "unloaded":
            await self._preview(model, again=model.problem is not None)
            self._known(name)  # the pool may have been closed meanwhile
            if (problem := model.too_large(self.max_memory_bytes)) is not None:
                raise problem
        if len(model.waiters) >= self._max_waiting:
            raise Overloaded(
                f"{len(model.waiters)} requests wait for {name!r} to be loaded; try again soon",
                retry_after_s=5.0,
            )
        waiter: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        model.waiters.append(waiter)
        self._want(model)
        self._advance()
        try:
            return await waiter  # of its own: cancelling it does not stop others' load
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise
        finally:
            self._stop_waiting(model, waiter)

    def _known(self, name: str) -> PoolEntry:
        if self._closed:
            raise NotReady(_STOPPING)
        if name not in self._models:
            choices = ", ".join(map(repr, self.names))
            raise UnknownModel(
                f"model {name!r} is not offered here; choose one of {choices}", field="model"
            )
        return self._models[name]

    async def _preview(self, model: PoolEntry, *, again: bool = False) -> None:
        """Describe `model` without loading it, if it has a preview."""
        async with model.preview_lock:
            if model.source.preview is None or (model.info is not None and not again):
                return
            try:
                seen = await loading_errors(model, asyncio.to_thread(model.source.preview))
            except VivavoceError as error:
                model.problem = error
                raise
            model.problem = None
            model.info, model.memory_bytes = seen.info, seen.memory_bytes

    # -- leases ------------------------------------------------------------------------------------

    def _grant(self, model: PoolEntry) -> Lease:
        assert model.engine is not None, "only what is loaded is leased"
        model.leases += 1
        model.used = next(self._clock)
        return Lease(model.engine, partial(self._released, model))

    def _grant_waiters(self, model: PoolEntry) -> None:
        waiters, model.waiters = model.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(self._grant(model))

    def _released(self, model: PoolEntry) -> None:
        model.leases -= 1
        if not model.leases:
            self._mark_idle(model)
            self._advance()

    def _stop_waiting(self, model: PoolEntry, waiter: asyncio.Future[Lease]) -> None:
        if waiter in model.waiters:
            model.waiters.remove(waiter)
        if not model.waiters and model in self._queue:  # evict nothing for a load without callers
            self._leave_queue(model)
            self._advance()

    def _mark_idle(self, model: PoolEntry) -> None:
        model.used = next(self._clock)
        if self._idle_unload_s and not self._closed:
            loop = asyncio.get_running_loop()
            loop.call_later(self._idle_unload_s, self._unload_if_idle, model, model.used)

    def _unload_if_idle(self, model: PoolEntry, since: int) -> None:
        """Unload `model` if it is unused since the time `since` of the pool's clock."""
        if model.phase == "ready" and model.used == since and not model.leases and not self._closed:
            log.info("unloading model %r: unused for %g s", model.name, self._idle_unload_s)
            self._begin_unload(model)

    # -- memory ------------------------------------------------------------------------------------

    def _want(self, model: PoolEntry) -> None:
        """Queue the load of `model`, or begin it if it needs no memory."""
        if self._closed or model.phase != "unloaded" or model in self._queue:
            return
        if self.max_memory_bytes is None or not model.memory_bytes:
            self._begin_load(model)
            return
        loop = asyncio.get_running_loop()
        model.may_evict_busy = False
        model.timers = [
            loop.call_later(self._patience_s, self._allow_busy_eviction, model),
            loop.call_later(self._max_wait_s, self._give_up, model),
        ]
        self._queue.append(model)

    def _leave_queue(self, model: PoolEntry) -> None:
        self._queue.remove(model)
        model.cancel_timers()

    def _allow_busy_eviction(self, model: PoolEntry) -> None:
        model.may_evict_busy = True
        self._advance()

    def _give_up(self, model: PoolEntry) -> None:
        self._leave_queue(model)
        model.fail_waiters(model.waited_too_long(self._max_wait_s))
        self._advance()

    def _missing(self, model: PoolEntry) -> int:
        """Return the bytes to free before `model` can be loaded."""
        if self.max_memory_bytes is None:
            return 0
        return self.memory_bytes + model.memory_bytes - self.max_memory_bytes

    def _advance(self) -> None:
        """Begin what can begin, after a change of memory, leases or the queue."""
        while self._queue and self._missing(self._queue[0]) <= 0:
            model = self._queue[0]
            self._leave_queue(model)
            self._begin_load(model)
        victims = self._victims(self._queue[0]) if self._queue else ()
        for model in self._in_phase("ready"):
            model.evicting = model in victims
            if not model.evicting:
                self._grant_waiters(model)
            elif not model.leases:
                self._begin_unload(model)

    def _victims(self, head: PoolEntry) -> Sequence[PoolEntry]:
        """Return the models to evict for `head`: idle ones first, busy ones if it may."""
        unloading = sum(model.memory_bytes for model in self._in_phase("unloading"))
        missing = self._missing(head) - unloading
        # Idle models before busy ones, and the least recently used first.
        ready = sorted(self._in_phase("ready"), key=lambda m: (bool(m.leases), m.used))
        victims = choose_victims([model for model in ready if not model.leases], missing)
        if victims is None and head.may_evict_busy:
            victims = choose_victims(ready, missing)
        return victims or ()

    def _in_phase(self, phase: str) -> Sequence[PoolEntry]:
        return [model for model in self._models.values() if model.phase == phase]

    # -- loading and unloading ---------------------------------------------------------------------

    def _begin_load(self, model: PoolEntry) -> None:
        model.phase = "loading"
        model.task = asyncio.create_task(self._load(model), name=f"load {model.name}")

    async def _load(self, model: PoolEntry) -> None:
        started = time.monotonic()
        try:
            engine = await loading_errors(model, asyncio.to_thread(model.source.make))
            engine.observe(self._observer)
            await loading_errors(model, engine.start())
        except VivavoceError as error:
            model.phase, model.problem = "unloaded", error
            model.fail_waiters(error)
        else:
            model.engine, model.info = engine, engine.info
            model.phase, model.problem, model.evicting = "ready", None, False
            took_s = time.monotonic() - started
            log.info("model %r is ready after %.1f s", model.name, took_s)
            self._observer.loaded(model.name, took_s)
            self._grant_waiters(model)  # before the model could be taken for idle
            if not model.leases:
                self._mark_idle(model)
        self._advance()

    def _begin_unload(self, model: PoolEntry) -> None:
        engine, model.engine = model.engine, None
        assert engine is not None, "only what is loaded is unloaded"
        model.phase = "unloading"
        model.task = asyncio.create_task(self._unload(model, engine), name=f"unload {model.name}")

    async def _unload(self, model: PoolEntry, engine: Engine) -> None:
        while not await try_close(engine):  # a hanging step keeps the memory
            if self._closed:
                return
        model.phase, model.evicting = "unloaded", False
        log.info("model %r is unloaded: %s are free", model.name, format_gb(model.memory_bytes))
        if model.waiters:
            self._want(model)
        self._advance()

    async def load_all(self) -> None:
        """Load the models that fit, in order of preference. Log the problems of others."""
        for model in self._models.values():
            if self._closed:
                return
            try:
                await self._preview(model)
                if (problem := model.too_large(self.max_memory_bytes)) is not None:
                    raise problem
                await self._load_if_it_fits(model)
            except VivavoceError as error:
                log.warning("model %r is not available: %s", model.name, error.message)

    async def _load_if_it_fits(self, model: PoolEntry) -> None:
        if model.phase == "unloaded":
            if self._queue or self._missing(model) > 0:
                log.info(
                    "model %r stays unloaded until it is needed: %s of %s are taken, it needs %s",
                    model.name,
                    *map(format_gb, (self.memory_bytes, self.max_memory_bytes or 0)),
                    format_gb(model.memory_bytes),
                )
                return
            self._begin_load(model)
        if model.task is not None:
            await asyncio.wait([model.task])
        if model.problem is not None:
            raise model.problem

    async def aclose(self) -> None:
        self._closed = True
        for model in self._models.values():
            if model in self._queue:
                self._leave_queue(model)
            model.fail_waiters(NotReady(_STOPPING))
        if tasks := [m.task for m in self._models.values() if m.task is not None]:
            await asyncio.wait(tasks)
        for model in self._models.values():
            engine, model.engine = model.engine, None
            if engine is not None:
                await try_close(engine)
                model.phase = "unloaded"
