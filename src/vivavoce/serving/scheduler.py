"""Step a model in threads of its own and hands on what each step brought; it knows nothing of text
or formats.

A lane is one thread with up to `model.max_batch` running streams; all lanes share one queue
(`waiting`), from which they take what its listener needs soonest. Between two steps a lane closes
what was cancelled and opens waiting segments for `ADMIT_S`, or one that takes longer, so that a
start never makes running streams stutter for long. A stream whose listener has not yet taken
`max_ahead_s` seconds of audio is left out of the steps until it has.

A step that finds no memory is tried again with half of its streams at a time, and an opening when
there are fewer streams; what finds none then ends with `OutOfMemory`. For a while there are no
larger steps (`fitting`).

A live segment is admitted with its first text, and is left out of the steps while its model has
said all that it knows; `feed` wakes its lane.

Every submitted ticket ends exactly once: with an `StopReason`, with an error, or by `cancel`, after
which nothing more of it is delivered.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vivavoce.errors import (
    BadRequest,
    EngineFault,
    NotReady,
    OutOfMemory,
    Unsupported,
    VivavoceError,
)
from vivavoce.serving.base import AnyModel
from vivavoce.serving.events import EngineEvents, Load, NoEvents
from vivavoce.serving.fitting import BatchLimit
from vivavoce.serving.model_errors import clear_tracebacks, retryable_oom, to_engine_error
from vivavoce.serving.queue import Limits, RequestQueue
from vivavoce.serving.step_timer import StepTimer
from vivavoce.serving.tickets import QueuedSegment
from vivavoce.text.split import weighted_length
from vivavoce.types import Samples, Segment, StopReason

log = logging.getLogger(__name__)

ADMIT_S = 0.004
_JOIN_TIMEOUT_S = 5.0  # a step that hangs must not keep the process from ending

Event: TypeAlias = Samples | VivavoceError | StopReason
Delivery: TypeAlias = Sequence[tuple[QueuedSegment, Event]]


@dataclass(eq=False, slots=True)
class _Running:
    ticket: QueuedSegment
    stream: Any  # Any: the model alone looks inside
    starving: bool = False  # has said all of its text that is known


class Scheduler:
    """Steps `model`; `deliver` is called from the lanes' threads with what each step brought."""

    def __init__(
        self, model: AnyModel, deliver: Callable[[Delivery], None], limits: Limits
    ) -> None:
        self._model = model
        self._deliver = deliver
        self._rate_hz = model.info.sample_rate_hz
        self._max_ahead = int(limits.max_ahead_s * self._rate_hz)
        self._observer: EngineEvents = NoEvents()
        self._changed = threading.Condition()
        self._waiting = RequestQueue(model.info, model.lanes, limits)
        self._fitting = BatchLimit(model.max_batch)
        self._running = 0
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
            return Load(len(self._waiting), self._running)

    def observe(self, observer: EngineEvents) -> None:
        """Tell `observer` of waits and steps; called before `start`."""
        self._observer = observer

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """End every ticket with `NotReady`, joins the lanes and unloads the model; blocks for one
        step at most.

        Raises `EngineFault` if a lane does not end; calling again waits for it again.
        """
        with self._changed:
            self._stopped = True
            waiting = self._waiting.clear()
            self._changed.notify_all()
        self._deliver([(ticket, _stopping()) for ticket in waiting])
        for lane in self._lanes:
            if lane.ident is None:  # never started
                continue
            lane.join(_JOIN_TIMEOUT_S)
        hanging = [lane.name for lane in self._lanes if lane.is_alive()]
        if hanging:
            raise EngineFault(
                f"{', '.join(hanging)} did not end within {_JOIN_TIMEOUT_S:g} s: a step hangs"
            )
        with self._changed:
            unloaded, self._unloaded = self._unloaded, True
        if not unloaded:
            self._model.unload()

    def abandon(self) -> Sequence[QueuedSegment]:
        """Stop without waiting. Return the tickets that have not started."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return self._waiting.clear()

    def submit(self, segment: Segment, *, follows: QueuedSegment | None = None) -> QueuedSegment:
        """Queue a segment. Raises `Overloaded` when too many requests wait, `NotReady` after
        `stop`.

        A live one raises `Unsupported` if the model speaks none, and `BadRequest` if its text is
        too long.
        """
        ticket = QueuedSegment(segment, time.monotonic(), follows)
        if segment.live:
            self._check_live()
            ticket.chars = self._grown(0, segment.text)
            ticket.complete = ticket.last_given = False
        with self._changed:
            if self._stopped:
                raise _stopping()
            places = self._fitting.most(time.monotonic()) * len(self._lanes)
            self._waiting.join(ticket, free=max(places - self._running, 0))
            self._changed.notify_all()
        return ticket

    def feed(self, ticket: QueuedSegment, text: str, *, last: bool) -> None:
        """Add `text` to a live segment; `last` makes it complete. Harmless once it has ended.

        Raises `BadRequest` after `last` and for a text that grows too long, of which nothing is
        taken then.
        """
        with self._changed:
            if not ticket.segment.live:
                raise Unsupported(
                    "the text of this segment was sent as a whole: only a live one grows",
                    field="text",
                )
            if ticket.complete:
                raise BadRequest(
                    f"the text was complete before {text[:40]!r} came: open another segment for it",
                    field="text",
                )
            chars = self._grown(ticket.chars, text)
            if not ticket.chars:
                ticket.submitted_s = time.monotonic()  # nobody could have been served before
            ticket.chars, ticket.complete = chars, last
            if text:
                ticket.fed.append(text)
            self._changed.notify_all()

    def _check_live(self) -> None:
        if not self._model.info.capabilities.live_text:
            raise Unsupported(
                f"model {self._model.info.name!r} reads a text only as a whole: send it when it is complete",
                field="text",
            )

    def _grown(self, chars: int, text: str) -> int:
        """Return the length of a live text of `chars` with `text` added."""
        most, chars = self._model.info.max_live_chars, chars + weighted_length(text)
        if chars > most:
            raise BadRequest(
                f"with {text[:40]!r} the text has {chars:,} characters, model {self._model.info.name!r} speaks "
                f"{most:,} in one go (a character of Chinese, Japanese or Korean counts as 3): complete it without, "
                "and open another segment for the rest",
                field="text",
            )
        return chars

    def cancel(self, ticket: QueuedSegment) -> None:
        """Free the ticket's place at the next step; cancelling what has ended is harmless."""
        with self._changed:
            ticket.cancelled = True
            self._waiting.leave(ticket)
            self._changed.notify_all()

    def expire(self, ticket: QueuedSegment) -> None:
        """End `ticket` with `Overloaded` if its turn has not come yet."""
        with self._changed:
            refusal = self._waiting.expire(ticket)
        if refusal is not None:
            self._deliver([(ticket, refusal)])

    def took(self, ticket: QueuedSegment, samples: int) -> None:
        """Tell that the listener has taken `samples` of what was delivered."""
        with self._changed:
            was_paused = ticket.ahead >= self._max_ahead
            ticket.ahead -= samples
            if was_paused:
                self._changed.notify_all()

    # -- a lane's thread ------------------------------------------------------------------------------------

    def _run_lane(self, lane: int) -> None:
        running: list[_Running] = []
        while self._wait_for_work(running):
            with self.step_timer.timing(lane):
                self._drop_cancelled(running)
                self._feed(running)
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
        if (
            len(running) < self._fitting.most(time.monotonic())
            and self._waiting.first() is not None
        ):
            return True
        return any(
            entry.ticket.cancelled or entry.ticket.has_new_text or self._may_step(entry)
            for entry in running
        )

    def _may_step(self, entry: _Running) -> bool:
        return entry.ticket.ahead < self._max_ahead and not entry.starving

    def _drop_cancelled(self, running: list[_Running]) -> None:
        with self._changed:
            dropped = [entry for entry in running if entry.ticket.cancelled]
        self._close(running, dropped)

    def _feed(self, running: list[_Running]) -> None:
        """Give the model what came of the texts of those that run."""
        with self._changed:
            grown = [entry for entry in running if entry.ticket.has_new_text]
        for entry in grown:
            self._give_text(running, entry)

    def _give_text(self, running: list[_Running], entry: _Running) -> None:
        ticket = entry.ticket
        with self._changed:
            text, ticket.fed = "".join(ticket.fed), []
            ticket.last_given = ticket.complete
        try:
            self._model.feed(entry.stream, text, last=ticket.last_given)
        except Exception as error:  # the top of a lane: a raising model ends this ticket's wait
            self._close(running, [entry])
            self._finish([(ticket, to_engine_error(error, "could not take more text"))])
        else:
            entry.starving = self._model.starving(entry.stream)

    def _admit(self, running: list[_Running]) -> None:
        start_s = time.monotonic()
        while (ticket := self._next_waiting(running)) is not None:
            try:
                entry = _Running(ticket, self._model.open(ticket.segment))
            except OutOfMemory as error:
                self._defer(running, ticket, error)
                return
            except (
                Exception
            ) as error:  # the top of a lane: whatever the model raises ends this ticket's wait
                with self._changed:
                    self._running -= 1
                self._finish([(ticket, to_engine_error(error, "could not start"))])
            else:
                running.append(entry)
                if ticket.segment.live:
                    self._give_text(running, entry)
            if time.monotonic() - start_s > ADMIT_S:
                return

    def _defer(self, running: list[_Running], ticket: QueuedSegment, error: OutOfMemory) -> None:
        """Put back a ticket that there was no memory to open, until fewer are `running`, or ends it."""
        clear_tracebacks(error)
        with self._changed:
            self._running -= 1
            if running and not ticket.deferred and not ticket.cancelled:
                self._fitting.ran_out(len(running), time.monotonic())
                ticket.deferred, ticket.opened_s = True, None
                self._waiting.rejoin(ticket)
                return
        self._finish([(ticket, retryable_oom(error))])

    def _next_waiting(self, running: list[_Running]) -> QueuedSegment | None:
        """Take the ticket whose turn it is from the queue and counts it as running, if there may be one more."""
        with self._changed:
            if len(running) >= self._fitting.most(time.monotonic()):
                return None
            ticket = self._waiting.take()
            if ticket is None:
                return None
            self._running += 1
            ticket.opened_s = time.monotonic()
        if ticket.follows is None and not ticket.deferred:
            self._observer.waited(self._model.info.name, ticket.opened_s - ticket.submitted_s)
        return ticket

    def _step(self, running: list[_Running]) -> None:
        with self._changed:
            stepped = [entry for entry in running if self._may_step(entry)]
            most = self._fitting.most(time.monotonic())
        together = [entry for entry in stepped if not entry.ticket.segment.isolate]
        groups = [together[start : start + most] for start in range(0, len(together), most)]
        for group in (*groups, *([entry] for entry in stepped if entry.ticket.segment.isolate)):
            fitted = self._step_together(running, group)
            if fitted < len(group) > 1:
                with self._changed:
                    self._fitting.ran_out(max(fitted, 1), time.monotonic())

    def _step_together(self, running: list[_Running], stepped: list[_Running]) -> int:
        """Step `stepped` at once, or halves if memory runs out, and so on; for how many at once there was some."""
        now_s = time.monotonic()
        with self._changed:
            ahead_s = [entry.ticket.ahead_s(self._rate_hz, now_s) for entry in stepped]
        no_memory: OutOfMemory | None = None
        try:
            results = list(self._model.step([entry.stream for entry in stepped], ahead_s))
            if len(results) != len(stepped):
                raise EngineFault(
                    f"a step over {len(stepped)} streams returned {len(results)} results"
                )
        except OutOfMemory as error:
            clear_tracebacks(error)
            no_memory, again = retryable_oom(error), error.retry_after_s is None
        except (
            Exception
        ) as error:  # the top of a lane: a raising step ends the streams that were in it
            self._close(running, stepped)
            self._finish(
                [
                    (entry.ticket, to_engine_error(error, "failed while speaking"))
                    for entry in stepped
                ]
            )
            return len(stepped)
        finally:
            self._observer.stepped(self._model.info.name, time.monotonic() - now_s, len(stepped))
        if no_memory is not None:
            return self._shrink(running, stepped, no_memory, again=again)
        for entry in stepped:
            entry.starving = self._model.starving(entry.stream)
        events = [(entry.ticket, result) for entry, result in zip(stepped, results, strict=True)]
        ended = [
            entry
            for entry, result in zip(stepped, results, strict=True)
            if isinstance(result, StopReason)
        ]
        self._close(running, ended)
        self._finish(events)
        made = sum(len(samples) for samples in results if isinstance(samples, np.ndarray))
        with self._changed:
            self._waiting.pace.add(made / self._rate_hz, time.monotonic() - now_s)
        return len(stepped)

    def _shrink(
        self, running: list[_Running], stepped: list[_Running], error: OutOfMemory, *, again: bool
    ) -> int:
        """Step each half of `stepped` if they can be stepped `again`, else ends them with `error`."""
        log.warning(
            "no memory for a step of %d streams of %r: %s",
            len(stepped),
            self._model.info.name,
            error.message,
        )
        if not again or len(stepped) == 1:
            self._close(running, stepped)
            self._finish([(entry.ticket, error) for entry in stepped])
            return len(stepped) // 2
        half = (len(stepped) + 1) // 2
        return max(self._step_together(running, part) for part in (stepped[:half], stepped[half:]))

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
                    self._count(ticket, event.size)
        if audible:
            self._deliver(audible)

    def _count(self, ticket: QueuedSegment, samples: int) -> None:
        now_s = time.monotonic()
        if not ticket.made:
            ticket.heard_from_s = max(now_s, ticket.due_s(self._rate_hz))
            ticket.follows = None  # settled; a long text must not keep all its tickets
        else:
            ticket.heard_from_s += max(
                now_s - ticket.plays_until_s(self._rate_hz), 0.0
            )  # the listener waited for it
        ticket.made += samples
        ticket.ahead += samples


def _stopping() -> NotReady:
    return NotReady("the model is being stopped; try again when the server is back")
