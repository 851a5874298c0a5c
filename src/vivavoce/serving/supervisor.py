"""Restart an engine whose model step hangs or whose process dies.

Its streams fail, another engine is made in its place, and until that is ready new requests are
refused.

- A model in a process of its own is killed first, and its memory is free.
- Nothing can end a thread from outside. A step that hangs in this process is a `failure`: only a new process helps.
- A step hangs by the time in which it was looked at. A loop that was held up counts for nothing.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress

from vivavoce.errors import EngineFault, NotReady, VivavoceError
from vivavoce.serving.base import ChunkStream, Engine
from vivavoce.serving.events import EngineEvents, Load, NoEvents
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool_entry import try_close
from vivavoce.types import EngineInfo, PreparedVoice, Reference, Segment

log = logging.getLogger(__name__)

PAUSES_S = (
    1.0,
    5.0,
    30.0,
)  # before a model that could not be restarted is tried again: there may be memory by then
LOOKS = 10  # in the time that a step may take
_LOOK_S = 0.5  # at most, between two looks
_LATE = 2  # intervals: a look that comes later than that counts as this many


class SupervisedEngine(Engine):
    """The engine that `make` makes, supervised.

    `make` may block: it runs in a thread. A step may take `max_step_s`.
    """

    def __init__(self, make: Callable[[], LocalEngine], *, max_step_s: float) -> None:
        self._make = make
        self._max_step_s = max_step_s
        self._look_s = min(max_step_s / LOOKS, _LOOK_S)
        self._engine: LocalEngine | None = make()
        self._info = self._engine.info
        self._problem = NotReady(f"model {self._info.name!r} is restarting; retry shortly")
        self._failure: EngineFault | None = None
        self._task: asyncio.Task[None] | None = None
        self._observer: EngineEvents = NoEvents()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def failure(self) -> VivavoceError | None:
        return self._failure

    @property
    def inner(self) -> LocalEngine:
        """The engine that speaks now. Raises `NotReady` while there is none."""
        if self._engine is None or self._failure is not None:
            raise self._problem
        if (lost := self._engine.lost) is not None:  # and `_watch` has not seen it yet
            raise NotReady(f"{lost}; the model is restarting, retry shortly")
        return self._engine

    @property
    def load(self) -> Load:
        return Load(0, 0) if self._engine is None else self._engine.load

    def observe(self, observer: EngineEvents) -> None:
        self._observer = observer
        if self._engine is not None:
            self._engine.observe(observer)

    async def start(self) -> None:
        await self.inner.start()
        self._task = asyncio.create_task(self._watch(), name=f"supervise {self._info.name}")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._engine is not None:
            await self._engine.aclose()

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> ChunkStream:
        return self.inner.speak(segment, follows=follows)

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        return await self.inner.prepare_voice(reference)

    async def _watch(self) -> None:
        while (engine := self._engine) is not None and self._failure is None:
            looked_s = time.monotonic()
            await asyncio.sleep(self._look_s)
            step_s = engine.step_timer.add(min(time.monotonic() - looked_s, _LATE * self._look_s))
            if (lost := engine.lost) is not None:
                self._observer.lost(self._info.name)
                await self._replace(engine, lost)
            elif step_s + self._look_s > self._max_step_s:  # the next look would come too late
                self._observer.hung(self._info.name)
                await self._replace(
                    engine, f"a step of model {self._info.name!r} hung for {step_s:.1f} s"
                )

    async def _replace(self, engine: LocalEngine, why: str) -> None:
        """Make another in the place of `engine`, which is lost or hangs."""
        name, self._engine = self._info.name, None
        self._problem = NotReady(f"model {name!r} is restarting; retry shortly")
        log.error("%s; the model is restarted", why)
        if not engine.abandon(EngineFault(f"{why}; retry shortly")):
            self._give_up(engine, why)
            return
        await try_close(engine)  # before another takes as much memory
        for pause_s in (*PAUSES_S, math.inf):
            try:
                again = await self._made()
                again.observe(self._observer)
                await again.start()
            except (
                Exception
            ) as error:  # the top of a task: whatever the model raises is what its callers are told
                log.exception("model %r could not be restarted", name)
                last = pause_s == math.inf
                next_step = "start the server again" if last else "it is tried again soon"
                self._problem = NotReady(
                    f"model {name!r} could not be restarted ({error}): {next_step}"
                )
                if last:
                    return
                await asyncio.sleep(pause_s)
            else:
                self._engine = again
                log.warning("model %r speaks again", name)
                return

    async def _made(self) -> LocalEngine:
        """Return a new engine. Close it instead if nobody wants it any more by then."""
        making = asyncio.ensure_future(asyncio.to_thread(self._make))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(Exception):  # it could not be made, and is not wanted either
                await try_close(await making)
            raise

    def _give_up(self, engine: LocalEngine, why: str) -> None:
        """Leave `engine`, whose step nothing in this process can end."""
        self._engine = engine  # `aclose` waits for the step a while
        self._failure = EngineFault(
            f"{why}, in a thread that nothing can end: start the server again, and let 'isolate_models' be true where "
            "the system allows it"
        )
        self._problem = NotReady(self._failure.message)
        log.error("%s", self._failure.message)
