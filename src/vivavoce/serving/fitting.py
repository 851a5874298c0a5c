"""How many streams a step may have: as many as the model takes, and fewer for a while after memory
ran out.

It knows no threads: the lock of the scheduler that owns it guards it.
"""

import math

CAUTION_S = 60.0  # what took the memory may be gone by then


class BatchLimit:
    """At most `max_batch` streams, and `CAUTION_S` long no more than were left when memory ran out."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = self._fits = max_batch
        self._until_s = -math.inf

    def most(self, now_s: float) -> int:
        """Streams that a step may have at `now_s`."""
        return self._fits if now_s < self._until_s else self._max_batch

    def ran_out(self, fits: int, now_s: float) -> None:
        """Keep to `fits` streams from `now_s` on, as there was no memory for more."""
        self._fits, self._until_s = min(fits, self.most(now_s)), now_s + CAUTION_S
