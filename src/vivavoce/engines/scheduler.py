"""Steps a model in threads of its own and hands its audio to asyncio; it knows nothing of text or formats.

These are the only threads of the package. A lane is one thread with up to `model.max_batch` running streams; all
lanes share one waiting queue, first come first served. Between two steps a lane closes what was cancelled and
opens at most one waiting segment, so that a start never makes running streams stutter for long. A stream whose
listener has not yet taken `max_ahead_s` seconds of audio is left out of the steps until it has.

Every submitted ticket ends exactly once: with `DONE`, with an error, or by `cancel`, after which nothing more of it
is delivered.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Self, TypeAlias

import numpy as np

from vivavoce.engines.base import Model, Stream
from vivavoce.errors import EngineFault, NotReady, Overloaded, VivavoceError
from vivavoce.types import AudioChunk, EngineInfo, Samples, Segment

log = logging.getLogger(__name__)

_JOIN_TIMEOUT_S = 5.0  # a step that hangs must not keep the process from ending


class _Done(Enum):
    DONE = "done"


DONE: Final = _Done.DONE
Event: TypeAlias = Samples | VivavoceError | Literal[_Done.DONE]


@dataclass(eq=False, slots=True)
class Ticket:
    """One submitted segment. The scheduler's lock guards `cancelled` and `ahead`."""

    segment: Segment
    cancelled: bool = False
    ahead: int = 0  # samples delivered and not yet taken by the listener


Delivery: TypeAlias = Sequence[tuple[Ticket, Event]]


@dataclass(eq=False, slots=True)
class _Running:
    ticket: Ticket
    stream: Stream


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a model is: segments waiting and running."""

    waiting: int
    running: int


class Scheduler:
    """Steps `model`; `deliver` is called from the lanes' threads with what each step brought."""

    def __init__(
        self, model: Model, deliver: Callable[[Delivery], None], *, max_waiting: int, max_ahead_s: float
    ) -> None:
        self._model = model
        self._deliver = deliver
        self._max_waiting = max_waiting
        self._max_ahead = int(max_ahead_s * model.info.sample_rate_hz)
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._running = 0
        self._stopped = False
        self._lanes = [
            threading.Thread(target=self._run_lane, name=f"{model.info.name}-{lane}", daemon=True)
            for lane in range(model.lanes)
        ]

    @property
    def load(self) -> Load:
        with self._changed:
            return Load(len(self._waiting), self._running)

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """Ends every ticket with `NotReady` and joins the lanes; blocks for one step at most."""
        with self._changed:
            self._stopped = True
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        self._deliver([(ticket, _stopping()) for ticket in waiting])
        for lane in self._lanes:
            if lane.ident is None:  # never started
                continue
            lane.join(_JOIN_TIMEOUT_S)
            if lane.is_alive():
                log.error("%s did not end within %g s; its step hangs", lane.name, _JOIN_TIMEOUT_S)

    def submit(self, segment: Segment, *, continues: bool = False) -> Ticket:
        """Queues a segment. Raises `Overloaded` when the queue is full, `NotReady` after `stop`."""
        ticket = Ticket(segment)
        with self._changed:
            if self._stopped:
                raise _stopping()
            if len(self._waiting) >= self._max_waiting and not continues:
                raise Overloaded(
                    f"{self._model.info.name!r} has {len(self._waiting)} segments waiting, its limit; try again soon",
                    retry_after_s=1.0,
                )
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Frees the ticket's place at the next step; cancelling what has ended is harmless."""
        with self._changed:
            ticket.cancelled = True
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._changed.notify_all()

    def took(self, ticket: Ticket, samples: int) -> None:
        """Tells that the listener has taken `samples` of what was delivered."""
        with self._changed:
            was_paused = ticket.ahead >= self._max_ahead
            ticket.ahead -= samples
            if was_paused:
                self._changed.notify_all()

    # -- a lane's thread ------------------------------------------------------------------------------------

    def _run_lane(self) -> None:
        running: list[_Running] = []
        while self._wait_for_work(running):
            self._drop_cancelled(running)
            self._admit(running)
            self._step(running)
        for entry in running:
            self._model.close(entry.stream)
        self._deliver([(entry.ticket, _stopping()) for entry in running])

    def _wait_for_work(self, running: list[_Running]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_work(running))
            return not self._stopped

    def _has_work(self, running: list[_Running]) -> bool:
        can_admit = bool(self._waiting) and len(running) < self._model.max_batch
        return can_admit or any(entry.ticket.cancelled or self._may_step(entry) for entry in running)

    def _may_step(self, entry: _Running) -> bool:
        return entry.ticket.ahead < self._max_ahead

    def _drop_cancelled(self, running: list[_Running]) -> None:
        with self._changed:
            dropped = [entry for entry in running if entry.ticket.cancelled]
        self._close(running, dropped)

    def _admit(self, running: list[_Running]) -> None:
        if len(running) >= self._model.max_batch:
            return
        with self._changed:
            if not self._waiting:
                return
            ticket = self._waiting.popleft()
            self._running += 1
        try:
            running.append(_Running(ticket, self._model.open(ticket.segment)))
        except Exception as error:  # the top of a lane: whatever the model raises ends this ticket's wait
            with self._changed:
                self._running -= 1
            self._finish([(ticket, _as_fault(error, "could not start"))])

    def _step(self, running: list[_Running]) -> None:
        with self._changed:
            stepped = [entry for entry in running if self._may_step(entry)]
        if not stepped:
            return
        try:
            results = list(self._model.step([entry.stream for entry in stepped]))
            if len(results) != len(stepped):
                raise EngineFault(f"a step over {len(stepped)} streams returned {len(results)} results")
        except Exception as error:  # the top of a lane: a raising step ends the streams that were in it
            self._close(running, stepped)
            self._finish([(entry.ticket, _as_fault(error, "failed while speaking")) for entry in stepped])
            return
        events = [(entry.ticket, _event(samples)) for entry, samples in zip(stepped, results, strict=True)]
        ended = [entry for entry, (_, event) in zip(stepped, events, strict=True) if not isinstance(event, np.ndarray)]
        self._close(running, ended)
        self._finish(events)

    def _close(self, running: list[_Running], ended: Sequence[_Running]) -> None:
        for entry in ended:
            running.remove(entry)
            self._model.close(entry.stream)
        if ended:
            with self._changed:
                self._running -= len(ended)

    def _finish(self, events: Delivery) -> None:
        audible = [(t, e) for t, e in events if not (isinstance(e, np.ndarray) and e.size == 0)]
        with self._changed:
            for ticket, event in audible:
                if isinstance(event, np.ndarray):
                    ticket.ahead += event.size
        if audible:
            self._deliver(audible)


def _event(samples: Samples | None) -> Event:
    if samples is None:
        return DONE
    if not np.isfinite(samples).all():
        return EngineFault(
            "the model produced samples that are not numbers; try again, with another seed if it repeats"
        )
    return samples


def _as_fault(error: Exception, what: str) -> VivavoceError:
    if isinstance(error, VivavoceError):
        return error
    log.error("the model %s", what, exc_info=error)
    fault = EngineFault(f"the model {what}: {error}")
    fault.__cause__ = error
    return fault


def _stopping() -> NotReady:
    return NotReady("the model is being stopped; try again when the server is back")


class LocalEngine:
    """An `Engine` over a `Model` on this machine: a scheduler, and a queue for each listener."""

    def __init__(self, model: Model, *, max_waiting: int = 64, max_ahead_s: float = 30.0) -> None:
        self.info: EngineInfo = model.info
        self._scheduler = Scheduler(model, self._deliver, max_waiting=max_waiting, max_ahead_s=max_ahead_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[Ticket, asyncio.Queue[Event]] = {}

    @property
    def load(self) -> Load:
        return self._scheduler.load

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._scheduler.start()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._scheduler.stop)

    def speak(self, segment: Segment, *, continues: bool = False) -> "SpokenSegment":
        ticket = self._scheduler.submit(segment, continues=continues)
        # Bounded by max_ahead_s of audio: the scheduler leaves a stream alone until `took` says it was heard.
        events = self._listeners[ticket] = asyncio.Queue()
        return SpokenSegment(self, ticket, events)

    def took(self, ticket: Ticket, samples: int) -> None:
        self._scheduler.took(ticket, samples)

    def forget(self, ticket: Ticket) -> None:
        """Ends a ticket's delivery, and its work if there is some left."""
        if self._listeners.pop(ticket, None) is not None:
            self._scheduler.cancel(ticket)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dispatch, delivery)

    def _dispatch(self, delivery: Delivery) -> None:
        for ticket, event in delivery:
            if (events := self._listeners.get(ticket)) is not None:
                events.put_nowait(event)


class SpokenSegment:
    """The audio of one segment, as it is made. Ends by itself, with an error, or by `aclose`."""

    def __init__(self, engine: LocalEngine, ticket: Ticket, events: "asyncio.Queue[Event]") -> None:
        self._engine = engine
        self._ticket = ticket
        self._events = events
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        if self._ended:
            raise StopAsyncIteration
        event = await self._events.get()
        if isinstance(event, np.ndarray):
            self._engine.took(self._ticket, event.size)
            return AudioChunk(event)
        await self.aclose()
        if isinstance(event, VivavoceError):
            raise event
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._ended = True
        self._engine.forget(self._ticket)
