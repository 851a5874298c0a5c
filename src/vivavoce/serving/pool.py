"""Hold the models that a server offers: loads each when it is first needed, unloads it when others
need its memory.

Who speaks holds a lease, and a model with leases is never unloaded. A model that does not fit into
the memory left waits until enough of the others, the least recently used first, are idle and have
been unloaded; loads wait in the order in which they were asked for. One that has waited for
`patience_s` closes those it waits for to new leases, so that a model which is always busy starves
no other. With `idle_unload_s` one that nobody has used for so long is unloaded too, and loaded
again when it is asked for. It knows names and factories, not what a model is.

All of it runs on one event loop, and nothing between two `await`s is seen half done.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from vivavoce.errors import (
    MissingDependency,
    NotReady,
    OutOfMemory,
    Overloaded,
    UnknownModel,
    VivavoceError,
)
from vivavoce.serving.base import Engine
from vivavoce.serving.events import EngineEvents, NoEvents
from vivavoce.serving.pool_entry import (
    EngineFactory,
    Lease,
    ModelSource,
    ModelState,
    PoolEntry,
    loading_errors,
    try_close,
)
from vivavoce.serving.room import choose_victims, format_gb
from vivavoce.types import EngineInfo

log = logging.getLogger(__name__)


class Pool:
    """The models by name, in order of preference. An `EngineFactory` is an offer that cannot be
    looked at.

    `max_memory_bytes` is what they may take together, None: no limit. At most `max_queued_requests`
    requests wait for one model to be loaded, and for at most `max_wait_s` until there is room for
    it. What nobody has used for `idle_unload_s` is unloaded; 0: never for that.
    """

    def __init__(
        self,
        offers: Mapping[str, ModelSource | EngineFactory],
        *,
        max_memory_bytes: int | None = None,
        max_queued_requests: int = 64,
        patience_s: float = 5.0,
        max_wait_s: float = 120.0,
        idle_unload_s: float = 0.0,
    ) -> None:
        self.max_memory_bytes = max_memory_bytes
        self._max_waiting = max_queued_requests
        self._patience_s, self._max_wait_s, self._idle_unload_s = (
            patience_s,
            max_wait_s,
            idle_unload_s,
        )
        self._observer: EngineEvents = NoEvents()
        self._models = {
            name: PoolEntry(name, offer if isinstance(offer, ModelSource) else ModelSource(offer))
            for name, offer in offers.items()
        }
        self._queue: list[PoolEntry] = []  # loads that wait for room, the longest waiting first
        self._clock = count(1)
        self._closed = False

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._models)

    @property
    def ready(self) -> Mapping[str, Engine]:
        """The engines that can speak now, in order of preference."""
        return {
            name: model.engine for name, model in self._models.items() if model.engine is not None
        }

    @property
    def failure(self) -> VivavoceError | None:
        """The error after which a model cannot speak again in this process; only a new one helps."""
        return next(
            (engine.failure for engine in self.ready.values() if engine.failure is not None), None
        )

    @property
    def memory_bytes(self) -> int:
        """What the models take that are loaded, being loaded or not yet gone."""
        return sum(self.memory_by_model.values())

    @property
    def memory_by_model(self) -> dict[str, int]:
        """What each model takes; 0 for one that is not loaded, or not counted."""
        return {
            name: 0 if m.phase == "unloaded" else m.memory_bytes for name, m in self._models.items()
        }

    @property
    def leases(self) -> int:
        """Leases that are not released."""
        return sum(model.leases for model in self._models.values())

    def observe(self, observer: EngineEvents) -> None:
        """Tell `observer` of loads, and has the engines that are loaded from now on tell it what they do."""
        self._observer = observer

    def states(self) -> dict[str, ModelState]:
        return {name: self._state(model) for name, model in self._models.items()}

    def _state(self, model: PoolEntry) -> ModelState:
        task = model.info.task if model.info is not None else None
        show = partial(ModelState, memory_bytes=model.memory_bytes or None, task=task)
        if model.phase != "unloaded":
            return show(model.phase)
        if model in self._queue:
            return show("unloaded", f"waits for {format_gb(model.memory_bytes)} of memory")
        problem = model.problem or self._too_large(model)
        if problem is None:
            return show("unloaded")
        return show(
            "missing" if isinstance(problem, MissingDependency) else "failed", problem.message
        )

    # -- asking -------------------------------------------------------------------------------------------------

    async def info(self, name: str) -> EngineInfo:
        """What the model of that name says of itself; it is loaded for that only if there is no
        other way.

        Raises as `acquire` does.
        """
        model = self._known(name)
        if model.info is None:
            await self._look(model)
        if model.info is None:
            async with self.lease(name) as engine:
                return engine.info
        return model.info

    async def look_at_all(self) -> None:
        """Look at every model that can be looked at without loading it; what is wrong is shown in `states`."""
        for model in self._models.values():
            try:
                await self._look(model)
            except VivavoceError as error:
                log.debug("model %r cannot be looked at: %s", model.name, error.message)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncGenerator[Engine]:
        """`acquire` as a context: the engine of that name, which stays loaded until the end."""
        lease = await self.acquire(name)
        try:
            yield lease.engine
        finally:
            lease.release()

    async def acquire(self, name: str) -> Lease:
        """A lease of the engine of that name, which is loaded if it was not.

        Raises `UnknownModel`, `MissingDependency`, `EngineFault` if it cannot be loaded,
        `OutOfMemory` if it can never fit, `Overloaded` if too many wait for it or none of the
        others became idle, `NotReady` after `aclose`. A model that could not be loaded is tried
        again at the next call: what it missed may have come.
        """
        model = self._known(name)
        if model.engine is not None and not model.leaving:
            return self._grant(model)
        if model.phase == "unloaded":
            await self._look(model, again=model.problem is not None)
            self._known(name)  # it may have been closed meanwhile
            if (problem := self._too_large(model)) is not None:
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
            # One caller that leaves must not stop the loading that others wait for.
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise
        finally:
            self._stop_waiting(model, waiter)

    def _known(self, name: str) -> PoolEntry:
        if self._closed:
            raise _stopping()
        if name not in self._models:
            choices = ", ".join(map(repr, self.names))
            raise UnknownModel(
                f"model {name!r} is not offered here; choose one of {choices}", field="model"
            )
        return self._models[name]

    async def _look(self, model: PoolEntry, *, again: bool = False) -> None:
        """Learn what can be known of `model` without loading it."""
        async with model.looking:
            if model.offer.preview is None or (model.info is not None and not again):
                return
            try:
                seen = await loading_errors(model, asyncio.to_thread(model.offer.preview))
            except VivavoceError as error:
                model.problem = error
                raise
            model.problem = None
            model.info, model.memory_bytes = seen.info, seen.memory_bytes

    def _too_large(self, model: PoolEntry) -> OutOfMemory | None:
        if self.max_memory_bytes is None or model.memory_bytes <= self.max_memory_bytes:
            return None
        return OutOfMemory(
            f"model {model.name!r} takes {format_gb(model.memory_bytes)}, all models together may take "
            f"{format_gb(self.max_memory_bytes)}: raise 'max_model_memory_gb', or lower what it takes"
        )

    # -- leases -------------------------------------------------------------------------------------------------

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

    def _fail_waiters(self, model: PoolEntry, error: VivavoceError) -> None:
        waiters, model.waiters = model.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _released(self, model: PoolEntry) -> None:
        model.leases -= 1
        if not model.leases:
            self._becomes_idle(model)
            self._advance()

    def _stop_waiting(self, model: PoolEntry, waiter: asyncio.Future[Lease]) -> None:
        if waiter in model.waiters:
            model.waiters.remove(waiter)
            if (
                not model.waiters and model in self._queue
            ):  # nobody wants it any more: unload nothing for it
                self._leave_queue(model)
                self._advance()

    def _becomes_idle(self, model: PoolEntry) -> None:
        model.used = next(self._clock)
        if self._idle_unload_s and not self._closed:
            loop = asyncio.get_running_loop()
            loop.call_later(self._idle_unload_s, self._unload_if_idle, model, model.used)

    def _unload_if_idle(self, model: PoolEntry, since: int) -> None:
        """Unload `model` if nobody has used it `since` the pool's clock said so."""
        if model.phase == "ready" and model.used == since and not model.leases and not self._closed:
            log.info(
                "model %r is unloaded: nobody used it for %g s", model.name, self._idle_unload_s
            )
            self._begin_unload(model)

    # -- room ---------------------------------------------------------------------------------------------------

    def _want(self, model: PoolEntry) -> None:
        """Put the load of `model` at the end of the queue, or begins it where it needs no room."""
        if self._closed or model.phase != "unloaded" or model in self._queue:
            return
        if self.max_memory_bytes is None or not model.memory_bytes:
            self._begin_load(model)
            return
        loop = asyncio.get_running_loop()
        model.impatient = False
        model.timers = [
            loop.call_later(self._patience_s, self._lose_patience, model),
            loop.call_later(self._max_wait_s, self._give_up, model),
        ]
        self._queue.append(model)

    def _leave_queue(self, model: PoolEntry) -> None:
        self._queue.remove(model)
        for timer in model.timers:
            timer.cancel()
        model.timers.clear()

    def _lose_patience(self, model: PoolEntry) -> None:
        model.impatient = True
        self._advance()

    def _give_up(self, model: PoolEntry) -> None:
        self._leave_queue(model)
        error = Overloaded(
            f"model {model.name!r} waited {self._max_wait_s:g} s for {format_gb(model.memory_bytes)} of memory, which "
            "the models that are speaking take; try again, or raise 'max_model_memory_gb'",
            retry_after_s=10.0,
        )
        self._fail_waiters(model, error)
        self._advance()

    def _missing(self, model: PoolEntry) -> int:
        """Bytes to free before `model` can be loaded."""
        return (
            0
            if self.max_memory_bytes is None
            else self.memory_bytes + model.memory_bytes - self.max_memory_bytes
        )

    def _advance(self) -> None:
        """Begin what can begin: called whenever memory, leases or the queue have changed."""
        while self._queue and self._missing(self._queue[0]) <= 0:
            model = self._queue[0]
            self._leave_queue(model)
            self._begin_load(model)
        leaving = self._to_leave(self._queue[0]) if self._queue else ()
        for model in self._models.values():
            if model.phase != "ready":
                continue
            model.leaving = model in leaving
            if not model.leaving:
                self._grant_waiters(model)
            elif not model.leases:
                self._begin_unload(model)

    def _to_leave(self, head: PoolEntry) -> Sequence[PoolEntry]:
        """Who has to go for `head`: of the idle ones, and, once it is impatient, of the busy ones too."""
        going = sum(
            model.memory_bytes for model in self._models.values() if model.phase == "unloading"
        )
        missing = self._missing(head) - going
        ready = sorted(
            (model for model in self._models.values() if model.phase == "ready"),
            key=lambda m: m.used,
        )
        idle = [model for model in ready if not model.leases]
        chosen = choose_victims(idle, missing)
        if chosen is None and head.impatient:
            chosen = choose_victims([*idle, *(model for model in ready if model.leases)], missing)
        return chosen or ()

    # -- loading and unloading ----------------------------------------------------------------------------------

    def _begin_load(self, model: PoolEntry) -> None:
        model.phase = "loading"
        model.task = asyncio.create_task(self._load(model), name=f"load {model.name}")

    async def _load(self, model: PoolEntry) -> None:
        started = time.monotonic()
        try:
            engine = await loading_errors(model, asyncio.to_thread(model.offer.make))
            engine.observe(self._observer)
            await loading_errors(model, engine.start())
        except VivavoceError as error:
            model.phase, model.problem = "unloaded", error
            self._fail_waiters(model, error)
        else:
            model.engine, model.info = engine, engine.info
            model.phase, model.problem, model.leaving = "ready", None, False
            took_s = time.monotonic() - started
            log.info("model %r is ready after %.1f s", model.name, took_s)
            self._observer.loaded(model.name, took_s)
            self._grant_waiters(model)  # before it could be taken for idle
            if not model.leases:
                self._becomes_idle(model)
        self._advance()

    def _begin_unload(self, model: PoolEntry) -> None:
        engine, model.engine = model.engine, None
        assert engine is not None, "only what is loaded is unloaded"
        model.phase = "unloading"
        model.task = asyncio.create_task(self._unload(model, engine), name=f"unload {model.name}")

    async def _unload(self, model: PoolEntry, engine: Engine) -> None:
        while not await try_close(engine):  # memory that a hanging step keeps is not free
            if self._closed:
                return
        model.phase, model.leaving = "unloaded", False
        log.info("model %r is unloaded: %s are free", model.name, format_gb(model.memory_bytes))
        if model.waiters:
            self._want(model)
        self._advance()

    async def load_all(self) -> None:
        """Load, in order of preference, what fits; logs what does not, and what cannot be loaded."""
        for model in self._models.values():
            if self._closed:
                return
            try:
                await self._look(model)
                if (problem := self._too_large(model)) is not None:
                    raise problem
                await self._load_if_it_fits(model)
            except VivavoceError as error:
                log.warning("model %r is not available: %s", model.name, error.message)

    async def _load_if_it_fits(self, model: PoolEntry) -> None:
        if model.phase == "unloaded":
            if self._queue or self._missing(model) > 0:
                taken, limit = format_gb(self.memory_bytes), format_gb(self.max_memory_bytes or 0)
                needed = format_gb(model.memory_bytes)
                log.info("model %r stays unloaded until it is asked for: %s of %s are taken, it needs %s",
                         model.name, taken, limit, needed)  # fmt: skip
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
            self._fail_waiters(model, _stopping())
        if tasks := [model.task for model in self._models.values() if model.task is not None]:
            await asyncio.wait(tasks)
        for model in self._models.values():
            engine, model.engine = model.engine, None
            if engine is not None:
                await try_close(engine)
                model.phase = "unloaded"


def _stopping() -> NotReady:
    return NotReady("the server is stopping; try again when it is back")
