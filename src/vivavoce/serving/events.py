"""Hooks for engine metrics: queue waits, steps, loads. They keep and decide nothing."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a model is: segments waiting and running."""

    waiting: int
    running: int


class EngineEvents(Protocol):
    """Is told what engines do, at once and from the thread that does it; it must return quickly and never raise."""

    def waited(self, model: str, seconds: float) -> None:
        """A new request's first segment was in the queue for `seconds`, and is now being spoken."""
        ...

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        """A step over `streams` streams took `seconds`, whether it brought audio or failed."""
        ...

    def loaded(self, model: str, seconds: float) -> None:
        """The model was loaded in `seconds`."""
        ...

    def hung(self, model: str) -> None:
        """A step of the model hung, and its streams were given up."""
        ...

    def lost(self, model: str) -> None:
        """The process of the model ended, and with it its streams."""
        ...


class NoEvents:
    """An `EngineEvents` for those whom nobody watches."""

    def waited(self, model: str, seconds: float) -> None:
        """Forget it."""

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        """Forget it."""

    def loaded(self, model: str, seconds: float) -> None:
        """Forget it."""

    def hung(self, model: str) -> None:
        """Forget it."""

    def lost(self, model: str) -> None:
        """Forget it."""
