"""Describe what Wyoming needs of the server, and how it treats clients."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from vivavoce.synthesis.synthesizer import Synthesizer


class Drained(Protocol):
    """A connection that finishes when the server stops."""

    async def drain(self) -> None: ...


class Clients(Protocol):
    """The open live connections of the server."""

    def admit(self, client: Drained, caller: str) -> AbstractContextManager[None]: ...


class Work(Protocol):
    """The state of the server."""

    running: int  # requests

    @property
    def draining(self) -> bool: ...


class Services(Protocol):
    """The services of the application that Wyoming uses."""

    @property
    def synthesizer(self) -> Synthesizer: ...
    @property
    def lifecycle(self) -> Work: ...
    @property
    def live(self) -> Clients: ...
    @property
    def live_timeout_s(self) -> float: ...
    @property
    def max_text_chars(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to treat clients.

    Attributes:
        send_timeout_s: Time for a client to read what it was sent.
        gap_s: Time without audio after which silence is sent, while a text is being written.
            Satellites give up after five seconds of nothing.
        is_open: True if no API key is asked for, which no client of Wyoming can send.
    """

    send_timeout_s: float = 60.0
    gap_s: float = 4.0
    is_open: Callable[[], bool] = lambda: True
