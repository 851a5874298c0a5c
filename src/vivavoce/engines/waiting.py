"""Who waits for a model, and whose turn it is. It knows no threads: the lock of the scheduler that owns it guards it.

A new request is due at once, the next segment of a request when the one before it will have been heard; a `batch`
request `BATCH_PATIENCE_S` later than an interactive one, which is the longest that it gives way. Among the new requests
of callers who are known, each has its turn when the others have had as much audio (start-time fair queuing, Goyal,
Vin and Cheng, 1997), so that whoever asks for much waits longer than whoever asks for little.

Segments of a request that was accepted are never refused. A new request is, when as many wait as may, or as many
seconds of audio, or when it cannot begin as soon as it must; it is told when there will be room, by what the model has
made of late.
"""

import math

from vivavoce.engines.tickets import Ticket
from vivavoce.errors import Overloaded
from vivavoce.types import Claim, EngineInfo

BATCH_PATIENCE_S = 10.0
PACE_HALF_LIFE_S = 10.0  # of steps
_LONGEST_RETRY_S = 60.0


class Pace:
    """Seconds of audio that a model makes in a second, of late; before it has made any, as many as are heard."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._audio_s, self._busy_s = 1.0 / lanes, 1.0

    def add(self, audio_s: float, busy_s: float) -> None:
        """Counts a step of one lane."""
        kept = 0.5 ** (busy_s / PACE_HALF_LIFE_S)
        self._audio_s = self._audio_s * kept + audio_s
        self._busy_s = self._busy_s * kept + busy_s

    def seconds_for(self, audio_s: float) -> float:
        """How long the model takes to make `audio_s` seconds of audio."""
        return audio_s * self._busy_s / (self._audio_s * self._lanes)


class Waiting:
    """The queue of a model: at most `max_waiting` new requests, of `max_waiting_s` seconds of audio together.

    Of a long text only the first `max_ahead_s` seconds count: after these its listener can wait for others. The last
    half of the places is kept from a caller who has the first half.
    """

    def __init__(
        self, info: EngineInfo, lanes: int, *, max_waiting: int, max_waiting_s: float, max_ahead_s: float
    ) -> None:
        self.pace = Pace(lanes)
        self._model, self._rate_hz = info.name, info.sample_rate_hz
        self._max_waiting, self._max_waiting_s, self._max_ahead_s = max_waiting, max_waiting_s, max_ahead_s
        self._tickets: list[Ticket] = []
        self._turn = 0.0  # of the request that began last
        self._turns: dict[str, float] = {}  # caller → the turn of its next request, where it is not now

    def __len__(self) -> int:
        return len(self._tickets)

    def join(self, ticket: Ticket) -> None:
        """Queues `ticket`. Raises `Overloaded` for a new request that finds no room."""
        if ticket.follows is None:
            self._check(ticket.segment.claim)
            ticket.turn = self._turn_of(ticket.segment.claim)
        self._tickets.append(ticket)

    def rejoin(self, ticket: Ticket) -> None:
        """Puts back `ticket`, whose turn came too soon: it keeps its place and is not refused."""
        self._tickets.append(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Takes `ticket` out, if it waits."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    def clear(self) -> list[Ticket]:
        """Takes all out."""
        tickets, self._tickets = self._tickets, []
        return tickets

    def first(self) -> Ticket | None:
        """The one whose turn it is, of those that have something to say."""
        ready = [ticket for ticket in self._tickets if ticket.may_open]
        nominated = [ticket for ticket in ready if ticket.follows is not None]
        for priority in ("interactive", "batch"):
            new = [one for one in ready if one.follows is None and one.segment.claim.priority == priority]
            nominated += sorted(new, key=lambda ticket: (ticket.turn, ticket.submitted_s))[:1]
        return min(nominated, key=self._due_s, default=None)

    def take(self) -> Ticket | None:
        """Takes out the one whose turn it is, to begin."""
        if (ticket := self.first()) is not None:
            self._tickets.remove(ticket)
            self._turn = max(self._turn, ticket.turn)
        return ticket

    def _due_s(self, ticket: Ticket) -> float:
        patience_s = BATCH_PATIENCE_S if ticket.segment.claim.priority == "batch" else 0.0
        return ticket.due_s(self._rate_hz) + patience_s

    def _counted_s(self, claim: Claim) -> float:
        return min(claim.audio_s, self._max_ahead_s)

    def _turn_of(self, claim: Claim) -> float:
        if not claim.caller:
            return self._turn
        turn = max(self._turn, self._turns.get(claim.caller, 0.0))
        self._turns = {caller: turn for caller, turn in self._turns.items() if turn > self._turn}
        self._turns[claim.caller] = turn + claim.audio_s
        return turn

    def _check(self, claim: Claim) -> None:
        new = [ticket.segment.claim for ticket in self._tickets if ticket.follows is None]
        if not new:
            return
        waiting_s = sum(map(self._counted_s, new))
        over_s = waiting_s + self._counted_s(claim) - self._max_waiting_s
        of_caller = sum(other.caller == claim.caller for other in new) if claim.caller else 0
        if len(new) >= self._max_waiting or of_caller >= math.ceil(self._max_waiting / 2):
            whose = " of yours" if len(new) < self._max_waiting else ""
            raise self._overloaded(f"{of_caller if whose else len(new)} requests{whose} waiting", waiting_s / len(new))
        if over_s > 0:
            raise self._overloaded(f"{waiting_s:.0f} seconds of audio waiting", over_s)
        if (wait_s := self.pace.seconds_for(waiting_s)) > claim.within_s:
            raise self._overloaded(
                f"about {wait_s:.0f} s of work waiting, and this request has {claim.within_s:.0f} s",
                waiting_s - claim.within_s * waiting_s / wait_s,
            )

    def _overloaded(self, what: str, audio_s: float) -> Overloaded:
        """The refusal because of `what`; there is room when `audio_s` more seconds of audio have been made."""
        retry_after_s = min(max(math.ceil(self.pace.seconds_for(audio_s)), 1.0), _LONGEST_RETRY_S)
        return Overloaded(
            f"{self._model!r} has {what}, its limit; try again in {retry_after_s:.0f} s", retry_after_s=retry_after_s
        )
