"""An engine that is made anew when a step of its model hangs, or when the process of its model ends.

Its streams fail, another is made in its place, and until that is ready new requests are refused. A model in a process
of its own is killed first, and its memory is free. A thread cannot be ended from outside, so without one the engine
that hangs is left alone: it is closed once its step has ended, and keeps its memory until then. After `MAX_LEFT` of
them no more are made: only a new server helps.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from typing import Protocol

from vivavoce.engines.base import ChunkStream, Engine
from vivavoce.engines.observe import Load, Observable, Observer, Unobserved
from vivavoce.engines.resident import closed
from vivavoce.errors import EngineFault, NotReady, VivavoceError
from vivavoce.types import EngineInfo, PreparedVoice, Reference, Segment

log = logging.getLogger(__name__)

MAX_LEFT = 3
PAUSES_S = (1.0, 5.0, 30.0)  # before a model that could not be made anew is tried again: there may be memory by then
LOOKS = 10  # in the time that a step may take
_LOOK_S = 0.5  # between two looks whether a process has ended, or a step that hung


class Stallable(Engine, Protocol):
    """An engine that tells how long its slowest step is under way, and can be left to it."""

    @property
    def stalled_s(self) -> float: ...

    @property
    def idle_s(self) -> float:
        """How long a step that is under way has not computed; 0 where that is not known."""
        ...

    @property
    def lost(self) -> str | None:
        """How the process of its model ended, if it has one and that has."""
        ...

    def abandon(self, error: VivavoceError) -> bool:
        """Ends every stream at once, those that speak with `error`; whether its model could be killed.

        Of the model nothing is waited for.
        """
        ...


class WatchedEngine:
    """The engine that `make` makes, watched. `make` may block, it runs in a thread.

    A step may take `max_step_s`, and `max_long_step_s` (the same by default) as long as a processor computes for it.
    """

    def __init__(
        self, make: Callable[[], Stallable], *, max_step_s: float, max_long_step_s: float | None = None
    ) -> None:
        self._make = make
        self._max_step_s = max_step_s
        self._max_long_step_s = max_step_s if max_long_step_s is None else max_long_step_s
        self._engine: Stallable | None = make()
        self.info: EngineInfo = self._engine.info
        self._problem = NotReady(f"model {self.info.name!r} is made anew; try again soon")
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = 0
        self._observer: Observer = Unobserved()

    @property
    def inner(self) -> Stallable:
        """The engine that speaks now. Raises `NotReady` while there is none."""
        if self._engine is None:
            raise self._problem
        if (lost := self._engine.lost) is not None:  # and `_watch` has not seen it yet
            raise NotReady(f"{lost}; the model is made anew, try again soon")
        return self._engine

    @property
    def load(self) -> Load:
        return self._engine.load if isinstance(self._engine, Observable) else Load(0, 0)

    def observe(self, observer: Observer) -> None:
        self._observer = observer
        if isinstance(self._engine, Observable):
            self._engine.observe(observer)

    async def start(self) -> None:
        await self.inner.start()
        self._spawn(self._watch())

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._engine is not None:
            await self._engine.aclose()
        if self._left:
            raise EngineFault(f"{self._left} steps of model {self.info.name!r} still hang, and keep their memory")

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> ChunkStream:
        return self.inner.speak(segment, follows=follows)

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        return await self.inner.prepare_voice(reference)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        suspected_s = math.inf  # since when a step is thought to hang
        while (engine := self._engine) is not None:
            await asyncio.sleep(min(self._max_step_s / LOOKS, _LOOK_S))
            now_s = time.monotonic()
            if (lost := engine.lost) is not None:
                self._observer.lost(self.info.name)
                await self._replace(engine, lost)
            elif not (why := self._suspicion(engine)):
                suspected_s = math.inf
            elif suspected_s == math.inf:
                suspected_s = now_s
            # A second look, so that a process that was stopped and goes on is not taken for one that hangs.
            elif now_s - suspected_s >= self._max_step_s / LOOKS:
                suspected_s = math.inf
                self._observer.hung(self.info.name)
                await self._replace(engine, why)

    def _suspicion(self, engine: Stallable) -> str:
        """What makes a step look as if it hung by the next look; empty if nothing does."""
        soon_s = self._max_step_s * 2 / LOOKS
        if engine.stalled_s > self._max_long_step_s - soon_s:
            return f"a step of model {self.info.name!r} hung for {engine.stalled_s:.1f} s"
        if engine.idle_s > self._max_step_s - soon_s:
            return f"a step of model {self.info.name!r} hung, {engine.idle_s:.1f} s without computing"
        return ""

    async def _replace(self, engine: Stallable, why: str) -> None:
        """Makes another in the place of `engine`, which is lost or hangs."""
        name, self._engine = self.info.name, None
        self._problem = NotReady(f"model {name!r} is made anew; try again soon")
        log.error("%s; the model is made anew", why)
        if engine.abandon(EngineFault(f"{why}; the model is made anew, try again soon")):
            await closed(engine)  # before another takes as much memory
        else:
            self._left += 1
            self._spawn(self._bury(engine))
        if self._left > MAX_LEFT:
            self._problem = NotReady(f"{self._left} steps of model {name!r} hang: start the server again")
            log.error("model %r: %s", name, self._problem.message)
            return
        for pause_s in (*PAUSES_S, math.inf):
            try:
                again = await asyncio.to_thread(self._make)
                if isinstance(again, Observable):
                    again.observe(self._observer)
                await again.start()
            except Exception as error:  # the top of a task: whatever the model raises is what its callers are told
                log.exception("model %r could not be made anew", name)
                last = pause_s == math.inf
                next_step = "start the server again" if last else "it is tried again soon"
                self._problem = NotReady(f"model {name!r} could not be made anew ({error}): {next_step}")
                if last:
                    return
                await asyncio.sleep(pause_s)
            else:
                self._engine = again
                log.warning("model %r speaks again", name)
                return

    async def _bury(self, hanging: Stallable) -> None:
        while hanging.stalled_s:  # noqa: ASYNC110 - a thread that hangs tells nobody
            await asyncio.sleep(_LOOK_S)
        await closed(hanging)
        self._left -= 1
