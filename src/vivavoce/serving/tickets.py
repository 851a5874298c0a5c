"""What a scheduler keeps of one submitted segment: how far it is, and how far its listener."""

import math
from dataclasses import dataclass, field

from vivavoce.types import Segment


@dataclass(eq=False, slots=True)
class QueuedSegment:
    """One submitted segment. The scheduler's lock guards everything but `segment`."""

    segment: Segment
    submitted_s: float
    follows: "QueuedSegment | None" = (
        None  # what its listener hears before it, as long as that matters
    )
    cancelled: bool = False
    ahead: int = 0  # samples delivered and not yet taken by the listener
    made: int = 0  # samples delivered so far
    turn: float = 0.0  # its place among new requests, see `waiting`
    heard_from_s: float = (
        math.inf
    )  # when its first sample was heard, later by every pause in between
    fed: list[str] = field(default_factory=list)  # of a live text, what the model was not yet given
    chars: int = 0  # of a live text, in all
    complete: bool = True  # whether its text is
    last_given: bool = True  # whether the model knows that it is
    opened_s: float | None = None  # when a lane took it from the queue
    deferred: bool = False  # there was no memory to begin with it, and it was put back

    @property
    def ready(self) -> bool:
        """True if there is something to say, or certainly nothing: a live text is waited for outside the model."""
        return self.chars > 0 or self.complete

    @property
    def has_new_text(self) -> bool:
        """True if there is more of its text than the model was given."""
        return bool(self.fed) or (self.complete and not self.last_given)

    def due_s(self, rate_hz: int) -> float:
        """When its listener needs its first sample: at once, or when what it follows has been heard."""
        before = self.follows
        if before is None or (
            before.cancelled and not before.made
        ):  # nothing of that one will ever be heard
            return self.submitted_s
        return before.plays_until_s(rate_hz)

    def plays_until_s(self, rate_hz: int) -> float:
        """When its listener has heard all that was delivered."""
        return self.heard_from_s + self.made / rate_hz

    def ahead_s(self, rate_hz: int, now_s: float) -> float:
        """Seconds of audio that its listener still has; negative for one who waits for more."""
        if self.made:
            return self.plays_until_s(rate_hz) - now_s
        return max(self.due_s(rate_hz) - now_s, 0.0)
