"""Describe one model of a pool: its source, its state and its users.

It decides nothing by itself: `Pool` calls it. `choose_victims` is the sum behind an eviction.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, TypeVar

from vivavoce.errors import (
    EngineFault,
    MissingDependency,
    OutOfMemory,
    Overloaded,
    VivavoceError,
)
from vivavoce.serving.base import Engine, Preview
from vivavoce.serving.model_errors import clear_tracebacks
from vivavoce.types import EngineInfo, Task

log = logging.getLogger(__name__)

State = Literal["unloaded", "loading", "ready", "unloading", "missing", "failed"]
EngineFactory: TypeAlias = Callable[[], Engine]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The functions that make and preview an engine.

    Both may block: they run in a worker thread. A model without a `preview` is loaded to be
    described, and counts as taking no memory.
    """

    make: EngineFactory
    preview: Callable[[], Preview] | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """The state of a model. `detail` says why it is missing, failed or waiting, and what to do."""

    state: State
    detail: str = ""
    memory_bytes: int | None = None  # once loaded; None: not counted, or not known yet
    task: Task | None = None
    max_batch: int | None = None  # segments spoken at once; None: not loaded, or elsewhere


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
    """One model of a pool and its state."""

    name: str
    source: ModelSource
    info: EngineInfo | None = None
    memory_bytes: int = 0
    phase: Literal["unloaded", "loading", "ready", "unloading"] = "unloaded"
    engine: Engine | None = None
    problem: VivavoceError | None = None  # of the last attempt
    leases: int = 0
    used: int = 0  # when it was last leased or became idle, by the pool's own clock
    evicting: bool = False  # its memory is promised to another model: no new leases
    waiters: list["asyncio.Future[Lease]"] = field(default_factory=list)
    may_evict_busy: bool = False  # its load has waited for `patience_s`
    timers: list[asyncio.TimerHandle] = field(default_factory=list)  # while its load waits
    preview_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None  # that loads or unloads it

    def fail_waiters(self, error: VivavoceError) -> None:
        """End the wait of every caller with `error`."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def cancel_timers(self) -> None:
        """Stop the timers of a load that does not wait any more."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def too_large(self, max_bytes: int | None) -> OutOfMemory | None:
        """Return an error if the model takes more than `max_bytes`, the limit for all models."""
        if max_bytes is None or self.memory_bytes <= max_bytes:
            return None
        return OutOfMemory(
            f"model {self.name!r} takes {format_gb(self.memory_bytes)}, all models together may "
            f"take {format_gb(max_bytes)}: raise 'max_model_memory_gb', or lower what it takes"
        )

    def waited_too_long(self, seconds: float) -> Overloaded:
        """Return the error of requests whose model was not loaded after `seconds`."""
        return Overloaded(
            f"model {self.name!r} waited {seconds:g} s for {format_gb(self.memory_bytes)} of "
            "memory, which the models that are speaking take; try again, or raise "
            "'max_model_memory_gb'",
            retry_after_s=10.0,
        )

    def state(self, queued: bool, problem: VivavoceError | None) -> ModelState:
        """Return the state to show. `problem` is why the model cannot be loaded, if known."""
        state: State = self.phase
        detail = ""
        if state == "unloaded" and queued:
            detail = f"waits for {format_gb(self.memory_bytes)} of memory"
        elif state == "unloaded" and problem is not None:
            state = "missing" if isinstance(problem, MissingDependency) else "failed"
            detail = problem.message
        task = None if self.info is None else self.info.task
        max_batch = None if self.engine is None else self.engine.max_batch
        return ModelState(state, detail, self.memory_bytes or None, task, max_batch)


async def loading_errors(model: PoolEntry, work: Awaitable[T]) -> T:
    """Return the result of `work`, or raise its error as a `VivavoceError` without traceback.

    The error is kept and shown. A traceback would keep the half loaded model in memory.
    """
    try:
        return await work
    except VivavoceError as error:
        clear_tracebacks(error)
        raise error  # not a bare one, which would bring the old traceback back
    except Exception as error:  # the top of the work: ends the wait of every caller
        log.exception("model %r could not be loaded", model.name)
        clear_tracebacks(error)
        raise EngineFault(
            f"model {model.name!r} could not be loaded: {error}; the log has the details"
        ) from error


async def try_close(engine: Engine) -> bool:
    """Close `engine`. Return False, and log why, if its memory is not free."""
    try:
        await engine.aclose()
    except EngineFault as error:
        log.error("model %r cannot be unloaded: %s", engine.info.name, error.message)
        return False
    return True


class Sized(Protocol):
    """An object with a size in memory."""

    @property
    def memory_bytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


def choose_victims(candidates: Sequence[S], missing_bytes: int) -> list[S] | None:
    """Return those of `candidates` to evict to free `missing_bytes`, none needlessly.

    `candidates` are in the order of eviction. Return None if all of them do not free enough.
    """
    chosen: list[S] = []
    for candidate in candidates:
        if missing_bytes <= 0:
            break
        if candidate.memory_bytes:
            chosen.append(candidate)
            missing_bytes -= candidate.memory_bytes
    if missing_bytes > 0:
        return None
    for candidate in reversed(chosen):  # keep the last ones if the others are enough
        if missing_bytes + candidate.memory_bytes <= 0:
            chosen.remove(candidate)
            missing_bytes += candidate.memory_bytes
    return chosen


def format_gb(size: int) -> str:
    """Return `size` bytes as text, in the unit of the settings."""
    return f"{size / 1e9:.2f} GB"
