"""Run a model on this machine as an `Engine`: asyncio on one side, lanes on the other."""

import asyncio
import math
from typing import Self

import numpy as np

from vivavoce.errors import EngineFault, NotReady, VivavoceError
from vivavoce.serving.base import AnyModel, ChunkStream, Engine
from vivavoce.serving.events import EngineEvents, Load, StepTimer
from vivavoce.serving.model_errors import to_engine_error
from vivavoce.serving.queue import Limits, QueuedSegment
from vivavoce.serving.scheduler import Delivery, Event, Scheduler
from vivavoce.serving.voice_cache import VoiceCache
from vivavoce.types import AudioChunk, EngineInfo, PreparedVoice, Reference, Segment, StopReason

_DEFAULTS = Limits()


class LocalEngine(Engine):
    """An `Engine` over a `Model` on this machine: a scheduler, and a queue for each listener."""

    def __init__(self, model: AnyModel, limits: Limits = _DEFAULTS) -> None:
        self._model = model
        self._scheduler = Scheduler(model, self._deliver, limits)
        self._queue_timeout_s = limits.queue_timeout_s
        self._voices = VoiceCache(self._prepare)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[QueuedSegment, asyncio.Queue[Event]] = {}

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
        for queued, events in listeners.items():
            events.put_nowait(NotReady(error.message) if queued in waiting else error)
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
        events = self._listeners[queued] = asyncio.Queue()
        self._limit_wait(queued)
        return LocalStream(self, queued, events)

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
            if (events := self._listeners.get(queued)) is not None:
                events.put_nowait(event)


class LocalStream(ChunkStream):
    """The audio of one segment. It ends by itself, with an error, or by `aclose`."""

    def __init__(
        self, engine: LocalEngine, queued: QueuedSegment, events: "asyncio.Queue[Event]"
    ) -> None:
        self._engine = engine
        self.queued = queued
        self.ending: StopReason | None = None
        self._events = events
        self._ended = False

    @property
    def waited_s(self) -> float | None:
        opened_s = self.queued.opened_s
        return None if opened_s is None else opened_s - self.queued.submitted_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        if self._ended:
            raise StopAsyncIteration
        event = await self._events.get()
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
