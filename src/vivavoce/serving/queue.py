"""Who waits for a model, and whose turn it is. It knows no threads: the lock of the scheduler that
owns it guards it.

A new request is due at once, the next segment of a request when the one before it will have been
heard; a `batch` request `BATCH_PATIENCE_S` later than an interactive one, which is the longest that
it gives way. Among the new requests of callers who are known, each has its turn when the others
have had as much audio (start-time fair queuing, Goyal, Vin and Cheng, 1997), so that whoever asks
for much waits longer than whoever asks for little.

Segments of a request that was accepted are never refused. A new request is, when as many wait as
may, or as many seconds of audio, or when it could not begin as soon as it must, or has not; it is
told when there will be room, by what the model has made of late.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.errors import Overloaded
from vivavoce.serving.tickets import QueuedSegment
from vivavoce.types import EngineInfo, QueueHints

BATCH_PATIENCE_S = 10.0
PACE_HALF_LIFE_S = 10.0  # of steps
_LONGEST_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What may wait for a model, and how far it may be ahead of a listener.

    Of a long text only the first `max_ahead_s` seconds count: after these its listener can wait for
    others.
    """

    max_queued_requests: int = 64
    max_queued_audio_s: float = 600.0  # of audio, as predicted
    max_ahead_s: float = 30.0
    queue_timeout_s: float = math.inf


class Pace:
    """Seconds of audio that a model makes in a second, of late; before it has made any, as many as are heard."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._audio_s, self._busy_s = 1.0 / lanes, 1.0

    def add(self, audio_s: float, busy_s: float) -> None:
        """Count a step of one lane."""
        kept = 0.5 ** (busy_s / PACE_HALF_LIFE_S)
        self._audio_s = self._audio_s * kept + audio_s
        self._busy_s = self._busy_s * kept + busy_s

    def seconds_for(self, audio_s: float) -> float:
        """How long the model takes to make `audio_s` seconds of audio."""
        return audio_s * self._busy_s / (self._audio_s * self._lanes)


class RequestQueue:
    """The queue of a model, within `limits`; whoever owns it calls `expire` for what waits too
    long.

    The last half of the places is kept from a caller who has the first half.
    """

    def __init__(self, info: EngineInfo, lanes: int, limits: Limits) -> None:
        self.pace = Pace(lanes)
        self._model, self._rate_hz = info.name, info.sample_rate_hz
        self._limits = limits
        self._tickets: list[QueuedSegment] = []
        self._turn = 0.0  # of the request that began last
        self._turns: dict[
            str, float
        ] = {}  # caller → the turn of its next request, where it is not now

    def __len__(self) -> int:
        return len(self._tickets)

    def join(self, ticket: QueuedSegment, *, free: int = 0) -> None:
        """Queue `ticket`; as many who wait as the model has `free` places begin with its next step.

        Raises `Overloaded` for a new request that finds no room.
        """
        if ticket.follows is None:
            self._check(ticket.segment.hints, free)
            ticket.turn = self._turn_of(ticket.segment.hints)
        self._tickets.append(ticket)

    def rejoin(self, ticket: QueuedSegment) -> None:
        """Put back `ticket`, whose turn came too soon: it keeps its place and is not refused."""
        self._tickets.append(ticket)

    def leave(self, ticket: QueuedSegment) -> None:
        """Take `ticket` out, if it waits."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    def expire(self, ticket: QueuedSegment) -> Overloaded | None:
        """Take out `ticket`, which has waited too long, and gives its refusal; `None` if it has begun or left."""
        if ticket not in self._tickets:
            return None
        self._tickets.remove(ticket)
        return self._overloaded(
            f"had no place for this request within {self._limits.queue_timeout_s:g} s",
            self._audio_s(self._new_claims()),
        )

    def clear(self) -> list[QueuedSegment]:
        """Take all out."""
        tickets, self._tickets = self._tickets, []
        return tickets

    def first(self) -> QueuedSegment | None:
        """Return the one whose turn it is, of those that have something to say."""
        ready = [ticket for ticket in self._tickets if ticket.ready]
        nominated = [ticket for ticket in ready if ticket.follows is not None]
        for priority in ("interactive", "batch"):
            new = [
                one
                for one in ready
                if one.follows is None and one.segment.hints.priority == priority
            ]
            nominated += sorted(new, key=lambda ticket: (ticket.turn, ticket.submitted_s))[:1]
        return min(nominated, key=self._due_s, default=None)

    def take(self) -> QueuedSegment | None:
        """Take out the one whose turn it is, to begin."""
        if (ticket := self.first()) is not None:
            self._tickets.remove(ticket)
            self._turn = max(self._turn, ticket.turn)
        return ticket

    def _due_s(self, ticket: QueuedSegment) -> float:
        patience_s = BATCH_PATIENCE_S if ticket.segment.hints.priority == "batch" else 0.0
        return ticket.due_s(self._rate_hz) + patience_s

    def _turn_of(self, claim: QueueHints) -> float:
        if not claim.caller:
            return self._turn
        turn = max(self._turn, self._turns.get(claim.caller, 0.0))
        self._turns = {caller: turn for caller, turn in self._turns.items() if turn > self._turn}
        self._turns[claim.caller] = turn + claim.audio_s
        return turn

    def _check(self, claim: QueueHints, free: int) -> None:
        new = self._new_claims()
        if not new:
            return
        waiting_s, within_s = self._audio_s(new), min(claim.timeout_s, self._limits.queue_timeout_s)
        over_s = waiting_s + self._audio_s([claim]) - self._limits.max_queued_audio_s
        of_caller = sum(other.caller == claim.caller for other in new) if claim.caller else 0
        if len(new) >= self._limits.max_queued_requests or of_caller >= math.ceil(
            self._limits.max_queued_requests / 2
        ):
            whose = " of yours" if len(new) < self._limits.max_queued_requests else ""
            number = of_caller if whose else len(new)
            raise self._overloaded(
                f"has {number} requests{whose} waiting, its limit", waiting_s / len(new)
            )
        if over_s > 0:
            raise self._overloaded(
                f"has {waiting_s:.0f} seconds of audio waiting, its limit", over_s
            )
        before_s = self._audio_s(new[free:])
        if (wait_s := self.pace.seconds_for(before_s)) > within_s:
            raise self._overloaded(
                f"has about {wait_s:.1f} s of work waiting, and this request may wait {within_s:.1f} s",
                before_s - within_s * before_s / wait_s,
            )

    def _new_claims(self) -> list[QueueHints]:
        return [ticket.segment.hints for ticket in self._tickets if ticket.follows is None]

    def _audio_s(self, claims: Sequence[QueueHints]) -> float:
        return sum(min(claim.audio_s, self._limits.max_ahead_s) for claim in claims)

    def _overloaded(self, what: str, audio_s: float) -> Overloaded:
        """Return the refusal because of `what`; there is room when `audio_s` more seconds of audio have been made."""
        retry_after_s = min(max(math.ceil(self.pace.seconds_for(audio_s)), 1.0), _LONGEST_RETRY_S)
        return Overloaded(
            f"{self._model!r} {what}; try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )
