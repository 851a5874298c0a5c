"""What a pool knows of one model: how to make it, what has become of it, who uses it.

It decides nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from vivavoce.errors import EngineFault, VivavoceError
from vivavoce.serving.base import Engine, Preview
from vivavoce.serving.model_errors import clear_tracebacks
from vivavoce.types import EngineInfo, Task

log = logging.getLogger(__name__)

State = Literal["unloaded", "loading", "ready", "unloading", "missing", "failed"]
EngineFactory: TypeAlias = Callable[[], Engine]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How to make an engine, and how to know it without that. Both may block: they run in a worker
    thread.

    A model without a `preview` is loaded to be looked at, and counts as taking no memory.
    """

    make: EngineFactory
    preview: Callable[[], Preview] | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """What a model is doing; `detail` says why it is missing, failed or waiting, and what to do."""

    state: State
    detail: str = ""
    memory_bytes: int | None = (
        None  # what it takes or would take; None: not counted, or not looked at yet
    )
    task: Task | None = None


class Lease:
    """The right to use `engine`, which is not unloaded before `release`."""

    def __init__(self, engine: Engine, on_release: Callable[[], None]) -> None:
        self.engine = engine
        self._on_release = on_release
        self._released = False

    def release(self) -> None:
        """End the use. Releasing twice is harmless."""
        if not self._released:
            self._released = True
            self._on_release()


@dataclass(eq=False, slots=True)
class PoolEntry:
    """One offer and what has become of it."""

    name: str
    offer: ModelSource
    info: EngineInfo | None = None
    memory_bytes: int = 0
    phase: Literal["unloaded", "loading", "ready", "unloading"] = "unloaded"
    engine: Engine | None = None
    problem: VivavoceError | None = None  # of the last attempt
    leases: int = 0
    used: int = 0  # when it was last leased or became idle, by the pool's own clock
    leaving: bool = False  # its memory is promised to another: no new leases
    waiters: list["asyncio.Future[Lease]"] = field(default_factory=list)
    impatient: bool = False  # its load has waited for `patience_s`
    timers: list[asyncio.TimerHandle] = field(default_factory=list)  # while its load waits
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None  # that loads or unloads it


async def loading_errors(model: PoolEntry, work: Awaitable[T]) -> T:
    """Return the result of `work`; what it raises becomes an error of ours, which keeps nothing of a half loaded model."""
    try:
        return await work
    except VivavoceError as error:
        clear_tracebacks(error)  # it is kept to be told
        raise error  # not a bare one, which would bring the old traceback back
    except Exception as error:  # the top of the work: ends the wait of every caller
        log.exception("model %r could not be loaded", model.name)
        clear_tracebacks(error)  # it is kept to be told
        raise EngineFault(
            f"model {model.name!r} could not be loaded: {error}; the log has the details"
        ) from error


async def try_close(engine: Engine) -> bool:
    """Close `engine`; whether its memory is free."""
    try:
        await engine.aclose()
    except EngineFault as error:
        log.error("model %r cannot be unloaded: %s", engine.info.name, error.message)
        return False
    return True
