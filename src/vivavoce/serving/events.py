"""Define the events of engines, their load and the timer of their steps.

It decides nothing, starts no thread and reads no clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of segments that wait for a model and that it speaks."""

    waiting: int
    running: int


class EngineEvents(Protocol):
    """An observer of engines.

    Engines call it from the thread that does the work. It must return quickly and never raise.
    """

    def waited(self, model: str, seconds: float) -> None:
        """Record that the first segment of a new request started after `seconds` in the queue."""
        ...

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        """Record a step over `streams` streams that took `seconds`, successful or not."""
        ...

    def loaded(self, model: str, seconds: float) -> None:
        """Record that the model was loaded in `seconds`."""
        ...

    def hung(self, model: str) -> None:
        """Record that a step of the model hung and its streams failed."""
        ...

    def lost(self, model: str) -> None:
        """Record that the process of the model ended and its streams failed."""
        ...


class NoEvents:
    """An `EngineEvents` that ignores every event."""

    def waited(self, model: str, seconds: float) -> None:
        """Ignore the event."""

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        """Ignore the event."""

    def loaded(self, model: str, seconds: float) -> None:
        """Ignore the event."""

    def hung(self, model: str) -> None:
        """Ignore the event."""

    def lost(self, model: str) -> None:
        """Ignore the event."""


class StepTimer:
    """A timer of the steps in progress.

    Lanes mark when a step begins and ends. The supervisor adds the time for which it observed the
    steps. Time in which the supervisor itself was blocked is never added: a step may have ended
    meanwhile.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._seconds: dict[int, float] = {}  # by lane

    @contextmanager
    def timing(self, lane: int) -> Iterator[None]:
        """Mark a step of `lane` as in progress."""
        with self._lock:
            self._seconds[lane] = 0.0
        try:
            yield
        finally:
            with self._lock:
                del self._seconds[lane]

    def add(self, seconds: float) -> None:
        """Add `seconds` to every step in progress."""
        with self._lock:
            for lane in self._seconds:
                self._seconds[lane] += seconds

    @property
    def longest_step_s(self) -> float:
        """The time of the longest step in progress, 0 if there is none."""
        with self._lock:
            return max(self._seconds.values(), default=0.0)
