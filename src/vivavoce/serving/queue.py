"""Queue the segments that wait for a model, choose the next, and reject requests.

It knows no threads: the lock of the scheduler guards everything here.

- A new request is due at once. The next segment of a request is due when the one before it will
  have been heard.
- A `batch` request is due `BATCH_PATIENCE_S` later than an interactive one. It leaves a lane free.
- New requests of known callers share the model fairly: a caller is next when the others have had
  as much audio (start-time fair queuing, Goyal, Vin and Cheng, 1997).
- A new request is rejected if the queue is full (by count or by predicted seconds), or if it would
  miss its start deadline. The error says when to retry, from the recent speed of the model.
- A later segment of an accepted request is never rejected.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from vivavoce.errors import Overloaded
from vivavoce.types import AudioChunk, EngineInfo, Phone, QueueHints, Samples, Segment, StopReason

KEPT_S = 30.0  # after an interactive segment, for the next one
BATCH_PATIENCE_S = 10.0
PACE_HALF_LIFE_S = 10.0  # of steps
CAUTION_S = 60.0  # after an out-of-memory: others may have freed memory by then
_LONGEST_RETRY_S = 60.0


@dataclass(eq=False, slots=True)
class QueuedSegment:
    """A submitted segment, its progress and that of its listener."""

    segment: Segment
    submitted_s: float
    # The segment that its listener hears before it, until its own audio begins.
    follows: "QueuedSegment | None" = None
    cancelled: bool = False
    unread_samples: int = 0  # delivered, and not yet read by the listener
    made: int = 0  # samples delivered so far
    ahead_s: float = 0.0  # audio that its listener had left before the newest, 0 if unknown
    turn: float = 0.0  # its place among new requests, see `RequestQueue`
    play_started_s: float = math.inf  # of its first sample, later by every pause since
    fed: list[str] = field(default_factory=list)  # live text that the model does not have yet
    chars: int = 0  # of a live text, in all
    complete: bool = True  # all of the text is known
    last_given: bool = True  # the model knows that the text is complete
    opened_s: float | None = None  # when a lane took it from the queue
    phones: list[Phone] = field(default_factory=list)  # their times, as far as the model told them
    deferred: bool = False  # it was put back because there was no memory to open it

    @property
    def ready(self) -> bool:
        """True if a lane may open it: it has text, or its text is complete."""
        return self.chars > 0 or self.complete

    @property
    def has_new_text(self) -> bool:
        """True if the model does not have all of its text yet."""
        return bool(self.fed) or (self.complete and not self.last_given)

    def samples_of(self, result: Samples | AudioChunk | StopReason) -> Samples | StopReason:
        """Return the samples of what a step gave, and keep the phones."""
        if not isinstance(result, AudioChunk):
            return result
        self.phones += result.phones
        return result.samples

    def due_s(self, rate_hz: int) -> float:
        """Return the time at which its listener needs its first sample."""
        before = self.follows
        if before is None or (before.cancelled and not before.made):  # that one is never heard
            return self.submitted_s
        return before.plays_until_s(rate_hz)

    def plays_until_s(self, rate_hz: int) -> float:
        """Return the time at which its listener will have heard all that was delivered."""
        return self.play_started_s + self.made / rate_hz

    def buffered_s(self, rate_hz: int, now_s: float) -> float:
        """Return the seconds of audio that its listener still has, negative after an underrun."""
        if self.made:
            return self.plays_until_s(rate_hz) - now_s
        return max(self.due_s(rate_hz) - now_s, 0.0)

    def count(self, samples: int, rate_hz: int, now_s: float) -> None:
        """Count `samples` that are delivered at `now_s`."""
        ahead_s = self.buffered_s(rate_hz, now_s)
        self.ahead_s = ahead_s if 0.0 < ahead_s < math.inf else 0.0
        if not self.made:
            self.play_started_s = max(now_s, self.due_s(rate_hz))
            self.follows = None  # settled: a long text must not keep all its segments
        else:  # later by the pause of a listener whose buffer was empty
            self.play_started_s += max(now_s - self.plays_until_s(rate_hz), 0.0)
        self.made += samples
        self.unread_samples += samples


class BatchLimit:
    """The largest batch of a step: `max_batch`, and less for a while after an out-of-memory."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = self._reduced = max_batch
        self._until_s = -math.inf

    def current(self, now_s: float) -> int:
        """Return the most streams that a step may have at `now_s`."""
        return self._reduced if now_s < self._until_s else self._max_batch

    def reduce(self, streams: int, now_s: float) -> None:
        """Limit steps to `streams` from `now_s` on, because there was no memory for more."""
        self._reduced, self._until_s = min(streams, self.current(now_s)), now_s + CAUTION_S


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a model's queue, and of the audio made ahead of a listener.

    Of a long text only the first `max_ahead_s` seconds count: its listener can wait for others
    after these.
    """

    max_queued_requests: int = 64
    max_queued_audio_s: float = 600.0  # of audio, as predicted
    max_ahead_s: float = 30.0
    queue_timeout_s: float = math.inf


class Pace:
    """The recent speed of a model, in seconds of audio per second: real time before any step."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._audio_s, self._busy_s = 1.0 / lanes, 1.0

    def add(self, audio_s: float, busy_s: float) -> None:
        """Count a step of one lane."""
        kept = 0.5 ** (busy_s / PACE_HALF_LIFE_S)
        self._audio_s = self._audio_s * kept + audio_s
        self._busy_s = self._busy_s * kept + busy_s

    def seconds_for(self, audio_s: float) -> float:
        """Return the seconds that the model needs to make `audio_s` seconds of audio."""
        return audio_s * self._busy_s / (self._audio_s * self._lanes)


class RequestQueue:
    """The queue of a model, within `limits`. Its owner calls `expire` after the queue timeout.

    A caller who has the first half of the places gets none of the other half.
    """

    def __init__(self, info: EngineInfo, lanes: int, limits: Limits) -> None:
        self.pace = Pace(lanes)
        self._model, self._rate_hz, self._lanes = info.name, info.sample_rate_hz, lanes
        self._limits = limits
        self._segments: list[QueuedSegment] = []
        self._asked_s = -math.inf  # when the latest interactive segment came
        self._turn = 0.0  # of the request that started last
        self._turns: dict[str, float] = {}  # caller → later turn of that caller's next request

    def __len__(self) -> int:
        return len(self._segments)

    def push(self, queued: QueuedSegment, *, free: int = 0) -> None:
        """Add `queued`.

        The model has `free` places: as many of the waiting segments start with its next step.
        Raise `Overloaded` for a new request that does not fit the limits.
        """
        if queued.follows is None:
            self._check(queued.segment.hints, free)
            queued.turn = self._turn_of(queued.segment.hints)
        if queued.segment.hints.priority == "interactive":
            self._asked_s = time.monotonic()
        self._segments.append(queued)

    def requeue(self, queued: QueuedSegment) -> None:
        """Put back `queued`, which could not start. It keeps its turn and is not rejected."""
        self._segments.append(queued)

    def remove(self, queued: QueuedSegment) -> None:
        """Remove `queued`, if it waits."""
        if queued in self._segments:
            self._segments.remove(queued)

    def expire(self, queued: QueuedSegment) -> Overloaded | None:
        """Remove `queued` and return its error, or None if it does not wait any more."""
        if queued not in self._segments:
            return None
        self._segments.remove(queued)
        return self._overloaded(
            f"had no place for this request within {self._limits.queue_timeout_s:g} s",
            self._audio_s(self._new_hints()),
        )

    def clear(self) -> list[QueuedSegment]:
        """Remove and return all segments."""
        removed, self._segments = self._segments, []
        return removed

    def peek(self, running: Collection[QueuedSegment] = ()) -> QueuedSegment | None:
        """Return the next segment to start beside those that are `running`, of those ready.

        While people ask now and then, one of several lanes takes no batch, and none does while a
        person waits for first audio, since the lanes share the processor.
        """
        queued = self._first()
        if queued is None or queued.segment.hints.priority != "batch" or self._lanes == 1:
            return queued
        now_s = time.monotonic()
        people = [one for one in running if one.segment.hints.priority == "interactive"]
        if any(not one.made for one in people) and now_s < self._due_s(queued):
            return None
        is_kept = now_s - self._asked_s < KEPT_S
        batch = len(running) - len(people)
        return None if is_kept and batch + 1 >= self._lanes else queued

    def _first(self) -> QueuedSegment | None:
        ready = [queued for queued in self._segments if queued.ready]
        candidates = [queued for queued in ready if queued.follows is not None]
        for priority in ("interactive", "batch"):
            new = [
                queued
                for queued in ready
                if queued.follows is None and queued.segment.hints.priority == priority
            ]
            candidates += sorted(new, key=lambda queued: (queued.turn, queued.submitted_s))[:1]
        return min(candidates, key=self._due_s, default=None)

    def pop(self, running: Collection[QueuedSegment] = ()) -> QueuedSegment | None:
        """Remove and return the next segment to start, as `peek` does."""
        if (queued := self.peek(running)) is not None:
            self._segments.remove(queued)
            self._turn = max(self._turn, queued.turn)
        return queued

    def _due_s(self, queued: QueuedSegment) -> float:
        patience_s = BATCH_PATIENCE_S if queued.segment.hints.priority == "batch" else 0.0
        return queued.due_s(self._rate_hz) + patience_s

    def _turn_of(self, hints: QueueHints) -> float:
        if not hints.caller:
            return self._turn
        turn = max(self._turn, self._turns.get(hints.caller, 0.0))
        self._turns = {caller: turn for caller, turn in self._turns.items() if turn > self._turn}
        self._turns[hints.caller] = turn + hints.audio_s
        return turn

    def _check(self, hints: QueueHints, free: int) -> None:
        new = self._new_hints()
        if not new:
            return
        waiting_s = self._audio_s(new)
        timeout_s = min(hints.timeout_s, self._limits.queue_timeout_s)
        over_s = waiting_s + self._audio_s([hints]) - self._limits.max_queued_audio_s
        # 1) Reject by the number of requests, of all callers and of this one.
        most = self._limits.max_queued_requests
        of_caller = sum(other.caller == hints.caller for other in new) if hints.caller else 0
        if len(new) >= most or of_caller >= math.ceil(most / 2):
            whose, number = (" of yours", of_caller) if len(new) < most else ("", len(new))
            raise self._overloaded(
                f"has {number} requests{whose} waiting, its limit", waiting_s / len(new)
            )
        # 2) Reject by seconds of audio.
        if over_s > 0:
            raise self._overloaded(
                f"has {waiting_s:.0f} seconds of audio waiting, its limit", over_s
            )
        # 3) Reject a request that would start after its timeout.
        before_s = self._audio_s(new[free:])
        if (wait_s := self.pace.seconds_for(before_s)) > timeout_s:
            raise self._overloaded(
                f"has about {wait_s:.1f} s of work waiting, and this request may wait "
                f"{timeout_s:.1f} s",
                before_s - timeout_s * before_s / wait_s,
            )

    def _new_hints(self) -> list[QueueHints]:
        return [queued.segment.hints for queued in self._segments if queued.follows is None]

    def _audio_s(self, hints: Sequence[QueueHints]) -> float:
        return sum(min(one.audio_s, self._limits.max_ahead_s) for one in hints)

    def _overloaded(self, what: str, audio_s: float) -> Overloaded:
        """Return the error that says `what`. A retry fits after `audio_s` more seconds of audio."""
        retry_after_s = min(max(math.ceil(self.pace.seconds_for(audio_s)), 1.0), _LONGEST_RETRY_S)
        return Overloaded(
            f"{self._model!r} {what}; try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )
