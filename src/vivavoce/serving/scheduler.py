"""Step a model in threads of its own, and deliver the results of each step.

It knows nothing of text or audio formats.

- A lane is one thread with up to `model.max_batch` streams. All lanes share one queue, evenly.
- Between two steps a lane closes cancelled streams and opens waiting segments for `ADMIT_S`, or
  one that takes longer: a start must not interrupt others for long. No cancelled one is stepped.
- A stream is left out of the steps while its listener has `max_ahead_s` seconds of unread audio.
- A step without memory is retried with half of its streams at a time, and an opening when fewer
  streams run. A stream that still finds no memory ends with `OutOfMemory`. Steps stay smaller for
  a while (`BatchLimit`).
- A live segment is opened with its first text. It is left out of the steps while it starves, and
  `feed` wakes its lane.
- Every submitted segment ends exactly once: with a `StopReason`, with an error, or by `cancel`,
  after which nothing more of it is delivered.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vivavoce.errors import BadRequest, EngineFault, OutOfMemory, Unsupported, VivavoceError
from vivavoce.serving.base import AnyModel
from vivavoce.serving.events import EngineEvents, Load, NoEvents, StepTimer
from vivavoce.serving.model_errors import (
    clear_tracebacks,
    retryable_oom,
    stopping_error,
    to_engine_error,
)
from vivavoce.serving.queue import BatchLimit, Limits, QueuedSegment, RequestQueue
from vivavoce.text.split import weighted_length
from vivavoce.types import Samples, Segment, StopReason

log = logging.getLogger(__name__)

ADMIT_S = 0.004
_JOIN_TIMEOUT_S = 5.0  # a step that hangs must not keep the process from ending

Event: TypeAlias = Samples | VivavoceError | StopReason
Delivery: TypeAlias = Sequence[tuple[QueuedSegment, Event]]


@dataclass(eq=False, slots=True)
class _Running:
    queued: QueuedSegment
    stream: Any  # Any: the model alone looks inside
    starving: bool = False  # all of its known text is spoken


class Scheduler:
    """The lanes of `model`. They call `deliver` from their threads with each step's results."""

    def __init__(
        self, model: AnyModel, deliver: Callable[[Delivery], None], limits: Limits
    ) -> None:
        self._model = model
        self._deliver = deliver
        self._rate_hz = model.info.sample_rate_hz
        self._max_unread = int(limits.max_ahead_s * self._rate_hz)
        self._observer: EngineEvents = NoEvents()
        self._changed = threading.Condition()
        self._queue = RequestQueue(model.info, model.lanes, limits)
        self._batch_limit = BatchLimit(model.max_batch)
        self._running: set[QueuedSegment] = set()
        self.step_timer = StepTimer()
        self._stopped = False
        self._unloaded = False
        self._lanes = [
            threading.Thread(
                target=self._run_lane, args=(lane,), name=f"{model.info.name}-{lane}", daemon=True
            )
            for lane in range(model.lanes)
        ]

    @property
    def load(self) -> Load:
        with self._changed:
            return Load(len(self._queue), len(self._running))

    def observe(self, observer: EngineEvents) -> None:
        """Report waits and steps to `observer`. Called before `start`."""
        self._observer = observer

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """End every segment with `NotReady`, join the lanes and unload the model.

        Block for one step at most. Raise `EngineFault` if a lane does not end: the next call waits
        for it again.
        """
        with self._changed:
            self._stopped = True
            waiting = self._queue.clear()
            self._changed.notify_all()
        self._deliver([(queued, stopping_error()) for queued in waiting])
        for lane in self._lanes:
            if lane.ident is not None:  # it was started
                lane.join(_JOIN_TIMEOUT_S)
        if hanging := [lane.name for lane in self._lanes if lane.is_alive()]:
            what = f"did not end within {_JOIN_TIMEOUT_S:g} s: a step hangs"
            raise EngineFault(f"{', '.join(hanging)} {what}")
        with self._changed:
            unloaded, self._unloaded = self._unloaded, True
        if not unloaded:
            self._model.unload()

    def abandon(self) -> Sequence[QueuedSegment]:
        """Stop without waiting. Return the segments that have not started."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return self._queue.clear()

    def submit(self, segment: Segment, *, follows: QueuedSegment | None = None) -> QueuedSegment:
        """Queue a segment.

        Raise `Overloaded` if the queue is full, and `NotReady` after `stop`. For a live segment,
        raise `Unsupported` if the model speaks none, and `BadRequest` if its text is too long.
        """
        queued = QueuedSegment(segment, time.monotonic(), follows)
        if segment.live:
            self._check_live()
            queued.chars = self._grown(0, segment.text)
            queued.complete = queued.last_given = False
        with self._changed:
            if self._stopped:
                raise stopping_error()
            places = self._batch_limit.current(time.monotonic()) * len(self._lanes)
            self._queue.push(queued, free=max(places - len(self._running), 0))
            self._changed.notify_all()
        return queued

    def feed(self, queued: QueuedSegment, text: str, *, last: bool) -> None:
        """Add `text` to a live segment. `last` makes it complete. Harmless after its end.

        Raise `BadRequest` after `last`, and for a text that grows too long. Nothing of that text
        is added.
        """
        with self._changed:
            if not queued.segment.live:
                raise Unsupported(
                    "the text of this segment was sent as a whole: only a live one grows",
                    field="text",
                )
            if queued.complete:
                raise BadRequest(
                    f"the text was complete before {text[:40]!r} came: open another segment for it",
                    field="text",
                )
            chars = self._grown(queued.chars, text)
            if not queued.chars:
                queued.submitted_s = time.monotonic()  # it could not start before
            queued.chars, queued.complete = chars, last
            if text:
                queued.fed.append(text)
            self._changed.notify_all()

    def _check_live(self) -> None:
        if not self._model.info.capabilities.live_text:
            raise Unsupported(
                f"model {self._model.info.name!r} reads a text only as a whole: send it complete",
                field="text",
            )

    def _grown(self, chars: int, text: str) -> int:
        """Return the length of a live text of `chars` with `text` added."""
        most, chars = self._model.info.max_live_chars, chars + weighted_length(text)
        if chars > most:
            raise BadRequest(
                f"with {text[:40]!r} the text has {chars:,} characters, model "
                f"{self._model.info.name!r} speaks {most:,} in one go (a character of Chinese, "
                "Japanese or Korean counts as 3): complete it without, and open another segment "
                "for the rest",
                field="text",
            )
        return chars

    def cancel(self, queued: QueuedSegment) -> None:
        """Free the place of `queued` at the next step. Harmless after its end."""
        with self._changed:
            queued.cancelled = True
            self._queue.remove(queued)
            self._changed.notify_all()

    def expire(self, queued: QueuedSegment) -> None:
        """End `queued` with `Overloaded` if it has not started yet."""
        with self._changed:
            error = self._queue.expire(queued)
        if error is not None:
            self._deliver([(queued, error)])

    def mark_read(self, queued: QueuedSegment, samples: int) -> None:
        """Record that the listener has read `samples` of the delivered audio."""
        with self._changed:
            was_paused = queued.unread_samples >= self._max_unread
            queued.unread_samples -= samples
            if was_paused:
                self._changed.notify_all()

    # -- a lane's thread ---------------------------------------------------------------------------

    def _run_lane(self, lane: int) -> None:
        running: list[_Running] = []
        # 1) Wait for a segment to open, or for a stream to step, feed or close.
        while self._wait_for_work(running):
            with self.step_timer.timing(lane):
                # 2) Free the places of cancelled streams.
                self._drop_cancelled(running)
                # 3) Give live streams their new text.
                self._feed(running)
                # 4) Open waiting segments in the free places.
                self._admit(running)
                # 5) Step the streams and deliver their audio.
                self._step(running)
        # 6) The scheduler stops: end the rest.
        for entry in running:
            self._model.close(entry.stream)
        self._deliver([(entry.queued, stopping_error()) for entry in running])

    def _wait_for_work(self, running: list[_Running]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_work(running))
            return not self._stopped

    def _has_work(self, running: list[_Running]) -> bool:
        if self._has_place(running) and self._queue.peek(self._running) is not None:
            return True
        return any(
            entry.queued.cancelled or entry.queued.has_new_text or self._may_step(entry)
            for entry in running
        )

    def _has_place(self, running: list[_Running]) -> bool:
        """True if the lane may take another stream: it has no more than the lanes' average."""
        even = len(running) * len(self._lanes) <= len(self._running)
        return even and len(running) < self._batch_limit.current(time.monotonic())

    def _may_step(self, entry: _Running) -> bool:
        return entry.queued.unread_samples < self._max_unread and not entry.starving

    def _drop_cancelled(self, running: list[_Running]) -> None:
        with self._changed:
            dropped = [entry for entry in running if entry.queued.cancelled]
        self._close(running, dropped)

    def _feed(self, running: list[_Running]) -> None:
        """Give the model the new text of running streams."""
        with self._changed:
            grown = [entry for entry in running if entry.queued.has_new_text]
        for entry in grown:
            self._give_text(running, entry)

    def _give_text(self, running: list[_Running], entry: _Running) -> None:
        queued = entry.queued
        with self._changed:
            text, queued.fed = "".join(queued.fed), []
            queued.last_given = queued.complete
        try:
            self._model.feed(entry.stream, text, last=queued.last_given)
        except Exception as error:  # the top of a lane: any error ends this segment's wait
            self._close(running, [entry])
            self._finish([(queued, to_engine_error(error, "could not take more text"))])
        else:
            entry.starving = self._model.starving(entry.stream)

    def _admit(self, running: list[_Running]) -> None:
        start_s = time.monotonic()
        while (queued := self._pop(running)) is not None:
            try:
                entry = _Running(queued, self._model.open(queued.segment))
            except OutOfMemory as error:
                self._defer(running, queued, error)
                return
            except Exception as error:  # the top of a lane: any error ends this segment's wait
                with self._changed:
                    self._running.remove(queued)
                self._finish([(queued, to_engine_error(error, "could not start"))])
            else:
                running.append(entry)
                if queued.segment.live:
                    self._give_text(running, entry)
            if time.monotonic() - start_s > ADMIT_S:
                return

    def _defer(self, running: list[_Running], queued: QueuedSegment, error: OutOfMemory) -> None:
        """Put back a segment without memory to open, once, or end it with `error`."""
        clear_tracebacks(error)
        with self._changed:
            self._running.remove(queued)
            if running and not queued.deferred and not queued.cancelled:
                self._batch_limit.reduce(len(running), time.monotonic())
                queued.deferred, queued.opened_s = True, None
                self._queue.requeue(queued)
                return
        self._finish([(queued, retryable_oom(error))])

    def _pop(self, running: list[_Running]) -> QueuedSegment | None:
        """Take the next segment from the queue, if the lane has a free place."""
        with self._changed:
            if not self._has_place(running) or (queued := self._queue.pop(self._running)) is None:
                return None
            self._running.add(queued)
            self._changed.notify_all()  # now another lane may have a place for the next segment
            queued.opened_s = time.monotonic()
        if queued.follows is None and not queued.deferred:
            self._observer.waited(self._model.info.name, queued.opened_s - queued.submitted_s)
        return queued

    def _step(self, running: list[_Running]) -> None:
        with self._changed:
            stepped = [e for e in running if self._may_step(e) and not e.queued.cancelled]
            most = self._batch_limit.current(time.monotonic())
        batched = [entry for entry in stepped if not entry.queued.segment.isolate]
        groups = [batched[start : start + most] for start in range(0, len(batched), most)]
        for group in (*groups, *([entry] for entry in stepped if entry.queued.segment.isolate)):
            fitted = self._step_together(running, group)
            if fitted < len(group) > 1:
                with self._changed:
                    self._batch_limit.reduce(max(fitted, 1), time.monotonic())

    def _step_together(self, running: list[_Running], stepped: list[_Running]) -> int:
        """Step `stepped` as one batch, or in halves after an out-of-memory.

        Return the largest number of streams that had enough memory.
        """
        # 1) Read how much audio each listener has left.
        now_s = time.monotonic()
        with self._changed:
            buffered_s = [entry.queued.buffered_s(self._rate_hz, now_s) for entry in stepped]
        # 2) Step the model. An error ends the streams of the step.
        no_memory: OutOfMemory | None = None
        try:
            chunks = self._model.step([entry.stream for entry in stepped], buffered_s)
            if (made := len(chunks)) != len(stepped):
                raise EngineFault(f"a step over {len(stepped)} streams returned {made} results")
        except OutOfMemory as error:
            clear_tracebacks(error)
            no_memory, again = retryable_oom(error), error.retry_after_s is None
        except Exception as error:  # the top of a lane: a raising step ends its streams
            self._close(running, stepped)
            what = "failed while speaking"  # each listener gets an error of its own
            self._finish([(entry.queued, to_engine_error(error, what)) for entry in stepped])
            return len(stepped)
        finally:
            self._observer.stepped(self._model.info.name, time.monotonic() - now_s, len(stepped))
        # 3) Without memory, step the halves.
        if no_memory is not None:
            return self._shrink(running, stepped, no_memory, again=again)
        # 4) Close the streams that ended, and deliver the results.
        pairs = [(e, e.queued.samples_of(c)) for e, c in zip(stepped, chunks, strict=True)]
        for entry in stepped:
            entry.starving = self._model.starving(entry.stream)
        self._close(running, [entry for entry, result in pairs if isinstance(result, StopReason)])
        self._finish([(entry.queued, result) for entry, result in pairs])
        # 5) Record the speed, from which the queue predicts waits.
        samples = sum(len(result) for _, result in pairs if isinstance(result, np.ndarray))
        with self._changed:
            self._queue.pace.add(samples / self._rate_hz, time.monotonic() - now_s)
        return len(stepped)

    def _shrink(
        self, running: list[_Running], stepped: list[_Running], error: OutOfMemory, *, again: bool
    ) -> int:
        """Step each half of `stepped` if `again` allows it, or end them with `error`."""
        what = "no memory for a step of %d streams of %r: %s"
        log.warning(what, len(stepped), self._model.info.name, error.message)
        if not again or len(stepped) == 1:
            self._close(running, stepped)
            self._finish([(entry.queued, error) for entry in stepped])
            return len(stepped) // 2
        half = (len(stepped) + 1) // 2
        return max(self._step_together(running, part) for part in (stepped[:half], stepped[half:]))

    def _close(self, running: list[_Running], ended: Sequence[_Running]) -> None:
        for entry in ended:
            running.remove(entry)
            self._model.close(entry.stream)
        if ended:
            with self._changed:
                self._running.difference_update(entry.queued for entry in ended)

    def _finish(self, events: Delivery) -> None:
        """Count and deliver `events`, except for empty samples."""
        audible = [(q, e) for q, e in events if not (isinstance(e, np.ndarray) and e.size == 0)]
        with self._changed:
            for queued, event in audible:
                if isinstance(event, np.ndarray):
                    queued.count(event.size, self._rate_hz, time.monotonic())
            self._changed.notify_all()  # a batch may have waited for a person's first audio
        if audible:
            self._deliver(audible)
