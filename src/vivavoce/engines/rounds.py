"""What the lanes of a scheduler are at: since when, and whether a processor still works on it.

A step that takes long on a slow processor computes; one that hangs mostly waits for something that never comes. The
processor time of a lane's thread tells them apart, or of the thread in the process of its model that works for it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COMPUTES = 0.05  # of a core, and more: less is a thread that now and then looks whether it may go on

Used = Callable[[int], float | None]  # processor time of what works for the thread of that identifier, in seconds
calling_thread = threading.get_ident  # the identifier of the thread that asks


@dataclass(slots=True)
class _Round:
    thread: int
    began_s: float
    computed_s: float  # when it was last seen to compute
    used_s: float | None = None  # processor time by then, once it was asked for


class Rounds:
    """Told by the lanes' threads, looked at by others; `used` is asked of threads in a round alone, which are alive."""

    def __init__(self, used: Used) -> None:
        self._used = used
        self._lock = threading.Lock()
        self._rounds: dict[int, _Round] = {}  # by lane

    @contextmanager
    def of(self, lane: int) -> Iterator[None]:
        """A round of `lane`, in the calling thread."""
        now_s = time.monotonic()
        with self._lock:
            self._rounds[lane] = _Round(calling_thread(), now_s, now_s)
        try:
            yield
        finally:
            with self._lock:
                del self._rounds[lane]

    @property
    def stalled_s(self) -> float:
        """How long the round has taken so far that takes longest; 0 when there is none."""
        with self._lock:
            now_s = time.monotonic()
            return now_s - min((one.began_s for one in self._rounds.values()), default=now_s)

    @property
    def idle_s(self) -> float:
        """As `stalled_s`, since a round was last seen to compute; 0 where the system does not tell.

        Whoever wants to know has to look every few seconds.
        """
        with self._lock:
            now_s = time.monotonic()
            return max((self._idle_s(one, now_s) for one in self._rounds.values()), default=0.0)

    def _idle_s(self, one: _Round, now_s: float) -> float:
        used_s, passed_s = self._used(one.thread), now_s - one.computed_s
        if used_s is None:
            return 0.0
        # Less than before is the time of another thread, to which this round has gone over.
        if one.used_s is None or used_s < one.used_s or used_s - one.used_s >= COMPUTES * passed_s:
            one.computed_s, one.used_s = now_s, used_s
            return 0.0
        return passed_s


def used_by_thread(thread: int) -> float | None:
    """Processor time of a thread of this process that is alive, in seconds; `None` where the system does not tell."""
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS, Windows
        return None
    return time.clock_gettime(time.pthread_getcpuclockid(thread))
