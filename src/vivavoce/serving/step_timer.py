"""Time the steps that are under way, by looks from outside; it starts no thread and reads no clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class StepTimer:
    """Lanes say when a step begins and ends; a supervisor adds the time in which it saw the step
    under way.

    Time in which the supervisor itself stood still is never added: nobody could have told then that
    the step had ended.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen_s: dict[int, float] = {}  # by lane

    @contextmanager
    def timing(self, lane: int) -> Iterator[None]:
        """Mark a step of `lane` as under way."""
        with self._lock:
            self._seen_s[lane] = 0.0
        try:
            yield
        finally:
            with self._lock:
                del self._seen_s[lane]

    def add(self, seconds: float) -> float:
        """Add `seconds` to every step under way; return the time of the longest, 0 if there is none."""
        with self._lock:
            for lane in self._seen_s:
                self._seen_s[lane] += seconds
            return max(self._seen_s.values(), default=0.0)
