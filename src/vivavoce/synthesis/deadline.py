"""Limit the time that one request may take."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from vivavoce.errors import DeadlineExceeded

_UNLIMITED: Final = nullcontext()


class Deadline:
    """The end of one request's time, `timeout_s` seconds from now."""

    def __init__(self, timeout_s: float = math.inf) -> None:
        self._timeout_s = timeout_s
        self._ends_s = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return max(self._ends_s - time.monotonic(), 0.0)

    def limit(self) -> AbstractAsyncContextManager[object]:
        """Cancel the body and raise `DeadlineExceeded` when the time is over.

        Raises it at once if no time is left.
        """
        return _UNLIMITED if self._timeout_s == math.inf else self._limited()

    @asynccontextmanager
    async def _limited(self) -> AsyncGenerator[None]:
        if not self.left_s:  # a timeout interrupts only what has to wait
            raise self._exceeded()
        timeout = asyncio.timeout(self.left_s)
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
