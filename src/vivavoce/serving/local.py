"""Run a model on this machine as an `Engine`: asyncio on one side, lanes on the other."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from vivavoce.errors import EngineFault, NotReady, VivavoceError
from vivavoce.serving.base import AnyModel, ChunkStream, Engine
from vivavoce.serving.events import EngineEvents, Load, StepTimer
from vivavoce.serving.model_errors import to_engine_error
from vivavoce.serving.queue import Limits, QueuedSegment
from vivavoce.serving.scheduler import Delivery, Event, Scheduler
from vivavoce.serving.voice_cache import VoiceCache
from vivavoce.types import (
    AudioChunk,
    EngineInfo,
    Phone,
    PreparedVoice,
    Reference,
    Samples,
    Segment,
    StopReason,
)

# Audio that a listener does not need yet is handed over in pieces of this length, or of a share of
# what may be ahead. Every piece costs the same time, and is held several times on its way out.
PIECE_S = 1.0
_PIECE_SHARE = 1 / 16
# The share of a listener's audio that may pass before it gets more.
_PATIENCE = 0.25

_DEFAULTS = Limits()


class LocalEngine(Engine):
    """An `Engine` over a `Model` on this machine: a scheduler, and a queue for each listener."""

    def __init__(self, model: AnyModel, limits: Limits = _DEFAULTS) -> None:
        self._model = model
        self._scheduler = Scheduler(model, self._deliver, limits)
        self._queue_timeout_s = limits.queue_timeout_s
        self._voices = VoiceCache(self._prepare, model.drop_voices)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._piece_s = min(PIECE_S, limits.max_ahead_s * _PIECE_SHARE)
        self._listeners: dict[QueuedSegment, _Inbox] = {}

    @property
    def info(self) -> EngineInfo:
        return self._model.info

    @property
    def load(self) -> Load:
        return self._scheduler.load

    @property
    def max_batch(self) -> int:
        return self._model.max_batch * self._model.lanes

    def observe(self, observer: EngineEvents) -> None:
        self._scheduler.observe(observer)

    @property
    def step_timer(self) -> StepTimer:
        return self._scheduler.step_timer

    @property
    def lost(self) -> str | None:
        """Exit reason of the model's process, or None while it runs or without one."""
        return self._model.lost

    def abandon(self, error: VivavoceError) -> bool:
        """End every stream at once: running ones with `error`, waiting ones with `NotReady`.

        For a step that hangs: never wait. True if the model had a process, which is killed:
        `aclose` frees its memory then. False if nothing can end the step.
        """
        waiting = set(self._scheduler.abandon())
        listeners, self._listeners = self._listeners, {}
        for queued, inbox in listeners.items():
            inbox.put(NotReady(error.message) if queued in waiting else error)
        return self._model.kill()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._scheduler.start()

    async def aclose(self) -> None:
        await self._voices.aclose()
        try:
            await asyncio.to_thread(self._scheduler.stop)
        except EngineFault:
            if not self._model.kill():
                raise
            await asyncio.to_thread(self._scheduler.stop)  # the step failed, so its lane ends

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> "LocalStream":
        before = follows.queued if isinstance(follows, LocalStream) else None
        queued = self._scheduler.submit(segment, follows=before)
        # Bounded by max_ahead_s of audio: the scheduler pauses a stream until `mark_read`.
        inbox = self._listeners[queued] = _Inbox(self.info.sample_rate_hz, self._piece_s)
        self._limit_wait(queued)
        return LocalStream(self, queued, inbox)

    def feed(self, queued: QueuedSegment, text: str, *, last: bool) -> None:
        waited_for_text = not queued.ready
        self._scheduler.feed(queued, text, last=last)
        if waited_for_text:
            self._limit_wait(queued)

    def _limit_wait(self, queued: QueuedSegment) -> None:
        """Reject a new request that does not start within the queue timeout."""
        new = queued.follows is None and queued.ready
        if self._loop is not None and new and self._queue_timeout_s < math.inf:
            self._loop.call_later(self._queue_timeout_s, self._scheduler.expire, queued)

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        return await self._voices.get(reference)

    async def forget_voice(self, file: Path) -> None:
        await self._voices.forget(file)

    def mark_read(self, queued: QueuedSegment, samples: int) -> None:
        self._scheduler.mark_read(queued, samples)

    def forget(self, queued: QueuedSegment) -> None:
        """End the delivery of `queued`, and its work if that is not done."""
        if self._listeners.pop(queued, None) is not None:
            self._scheduler.cancel(queued)

    def _prepare(self, reference: Reference) -> PreparedVoice:
        try:
            return self._model.prepare(reference)
        except VivavoceError:
            raise
        except Exception as error:  # the top of a worker thread: any error ends its callers' wait
            raise to_engine_error(error, "could not prepare the voice") from error

    def _deliver(self, delivery: Delivery) -> None:
        if delivery and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dispatch, delivery)

    def _dispatch(self, delivery: Delivery) -> None:
        for queued, event in delivery:
            if (inbox := self._listeners.get(queued)) is not None:
                inbox.put(event, queued.ahead_s)


class _Inbox:
    """The events of one segment that its listener has not taken.

    Samples are taken in pieces of `piece_s` seconds. A smaller piece waits for more to come while
    the listener has enough audio left, and no longer than `_PATIENCE` of that takes to play.
    """

    def __init__(self, rate_hz: int, piece_s: float) -> None:
        self._rate_hz = rate_hz
        self._piece_s, self._piece_samples = piece_s, int(piece_s * rate_hz)
        self._events: deque[Event] = deque()
        self.samples = 0  # in `_events`
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, event: Event, ahead_s: float = 0.0) -> None:
        """Add `event`. The listener had `ahead_s` seconds of audio left before it."""
        self._events.append(event)
        if not isinstance(event, np.ndarray):
            self._release()
            return
        self.samples += event.size
        patience_s = min(_PATIENCE * ahead_s, self._piece_s)
        if self.samples >= patience_s * self._rate_hz:
            self._release()
        elif self._timer is None and not self._ready.is_set():
            self._timer = asyncio.get_running_loop().call_later(patience_s, self._release)

    async def take(self) -> Event:
        """Remove and return the next event, and samples as a piece."""
        await self._ready.wait()
        event = self._events.popleft()
        if isinstance(event, np.ndarray):
            event = self._piece(event)
            self.samples -= event.size
        if not self._events:
            self._ready.clear()
        return event

    def _piece(self, first: Samples) -> Samples:
        """Return `first` with the samples behind it, until they make a piece."""
        parts, left = [first], self._piece_samples - first.size
        while left > 0 and self._events and isinstance(part := self._events[0], np.ndarray):
            parts.append(part)
            left -= part.size
            self._events.popleft()
        return first if len(parts) == 1 else np.concatenate(parts)

    def _release(self) -> None:
        self._ready.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LocalStream(ChunkStream):
    """The audio of one segment. It ends by itself, with an error, or by `aclose`."""

    def __init__(self, engine: LocalEngine, queued: QueuedSegment, inbox: _Inbox) -> None:
        self._engine = engine
        self.queued = queued
        self.ending: StopReason | None = None
        self._inbox = inbox
        self._ended = False

    @property
    def waited_s(self) -> float | None:
        opened_s = self.queued.opened_s
        return None if opened_s is None else opened_s - self.queued.submitted_s

    @property
    def phones(self) -> Sequence[Phone]:
        return self.queued.phones

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        if self._ended:
            raise StopAsyncIteration
        event = await self._inbox.take()
        if isinstance(event, np.ndarray):
            self._engine.mark_read(self.queued, event.size)
            return AudioChunk(event)
        await self.aclose()
        if isinstance(event, VivavoceError):
            raise event
        self.ending = event
        raise StopAsyncIteration

    def feed(self, text: str, *, last: bool = False) -> None:
        self._engine.feed(self.queued, text, last=last)

    async def aclose(self) -> None:
        self._ended = True
        self._engine.forget(self.queued)
