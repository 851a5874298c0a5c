"""Restart an engine whose model step hangs or whose process dies.

Its streams fail. New requests are rejected until another engine replaces it.

- The process of a model is killed first, so that its memory is free.
- Nothing can end a thread from outside. A step that hangs in this process is a `failure`: only a
  new server process helps.
- A step hangs if the supervisor observed it for `max_step_s`. Time in which the event loop was
  blocked does not count.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vivavoce.errors import EngineFault, NotReady, VivavoceError
from vivavoce.serving.base import ChunkStream, Engine
from vivavoce.serving.events import EngineEvents, Load, NoEvents
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool_entry import try_close
from vivavoce.types import EngineInfo, PreparedVoice, Reference, Segment

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 30.0)  # before each new try to restart: memory may be free by then
CHECKS = 10  # in the time that a step may take
_CHECK_S = 0.5  # at most, between two checks
_MAX_LATE = 2  # intervals: a later check counts as this many


class SupervisedEngine(Engine):
    """A supervised engine, made by `make`. A step may take `max_step_s`.

    `make` may block: a restart calls it in a thread.
    """

    def __init__(self, make: Callable[[], LocalEngine], *, max_step_s: float) -> None:
        self._make = make
        self._max_step_s = max_step_s
        self._check_s = min(max_step_s / CHECKS, _CHECK_S)
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
        """The engine that speaks now. Raise `NotReady` while there is none."""
        if self._engine is None or self._failure is not None:
            raise self._problem
        if (lost := self._engine.lost) is not None:  # `_watch` has not seen it yet
            raise NotReady(f"{lost}; the model is restarting, retry shortly")
        return self._engine

    @property
    def load(self) -> Load:
        return Load(0, 0) if self._engine is None else self._engine.load

    @property
    def max_batch(self) -> int | None:
        return None if self._engine is None else self._engine.max_batch

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

    async def forget_voice(self, file: Path) -> None:
        if (engine := self._engine) is not None:  # another one has no voices yet
            await engine.forget_voice(file)

    async def _watch(self) -> None:
        while (engine := self._engine) is not None and self._failure is None:
            checked_s = time.monotonic()
            await asyncio.sleep(self._check_s)
            waited_s = time.monotonic() - checked_s
            engine.step_timer.add(min(waited_s, _MAX_LATE * self._check_s))
            longest_step_s = engine.step_timer.longest_step_s
            if (lost := engine.lost) is not None:
                self._observer.lost(self._info.name)
                await self._replace(engine, lost)
            elif longest_step_s + self._check_s > self._max_step_s:  # the next check is too late
                name = self._info.name
                self._observer.hung(name)
                await self._replace(
                    engine, f"a step of model {name!r} hung for {longest_step_s:.1f} s"
                )

    async def _replace(self, engine: LocalEngine, why: str) -> None:
        """Replace `engine`, whose process is lost or whose step hangs."""
        name, self._engine = self._info.name, None
        self._problem = NotReady(f"model {name!r} is restarting; retry shortly")
        log.error("%s; the model is restarted", why)
        if not engine.abandon(EngineFault(f"{why}; retry shortly")):
            self._give_up(engine, why)
            return
        await try_close(engine)  # before another takes as much memory
        for pause_s in (*PAUSES_S, math.inf):
            try:
                again = await self._make_engine()
                again.observe(self._observer)
                await again.start()
            except Exception as error:  # the top of a task: requests get the model's error
                log.exception("model %r could not be restarted", name)
                last = pause_s == math.inf
                next_step = "start the server again" if last else "the server tries again soon"
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

    async def _make_engine(self) -> LocalEngine:
        """Return a new engine, or close it if this task is cancelled meanwhile."""
        making = asyncio.ensure_future(asyncio.to_thread(self._make))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(Exception):  # a failure to make it needs no report
                await try_close(await making)
            raise

    def _give_up(self, engine: LocalEngine, why: str) -> None:
        """Fail for good: nothing in this process can end the step of `engine`."""
        self._engine = engine  # `aclose` waits for the step for a while
        self._failure = EngineFault(
            f"{why}, in a thread that nothing can end: start the server again, and set "
            "'isolate_models' to true where the system allows it"
        )
        self._problem = NotReady(self._failure.message)
        log.error("%s", self._failure.message)
