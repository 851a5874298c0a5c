"""Limit the time that one request may take."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from vivavoce.errors import DeadlineExceeded


class Deadline:
    """The end of one request's time, `timeout_s` seconds from now."""

    def __init__(self, timeout_s: float = math.inf) -> None:
        self._timeout_s = timeout_s
        self._ends_s = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return max(self._ends_s - time.monotonic(), 0.0)

    @asynccontextmanager
    async def limit(self) -> AsyncGenerator[None]:
        """Cancel the body and raise `DeadlineExceeded` when the time is over.

        Raises it at once if no time is left.
        """
        if not self.left_s:  # a timeout interrupts only what has to wait
            raise self._exceeded()
        timeout = asyncio.timeout(None if self.left_s == math.inf else self.left_s)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise self._exceeded() from error

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the speech was not complete after {self._timeout_s:g} s, its limit: allow more time, "
            "send a shorter text, or try again when the server is less busy"
        )
