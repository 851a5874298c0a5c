"""Keep the open live connections: how many each caller has, and their end with the server."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from vivavoce.errors import RateLimited

POLL_S: Final = 0.2  # of the server's state, which a signal handler changes


class LiveClient(Protocol):
    """An open connection."""

    async def drain(self) -> None:
        """Finish what was begun, then close the connection."""
        ...


class LiveClients:
    """The open connections, at most `most` in all, and half as many of one caller with a key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._clients: dict[LiveClient, str] = {}

    def __len__(self) -> int:
        return len(self._clients)

    @contextmanager
    def admit(self, client: LiveClient, caller: str) -> Iterator[None]:
        """Count `client` for the duration of the block. Raises `RateLimited` if there are many."""
        own = Counter(self._clients.values())[caller] if caller else 0
        if len(self) >= self._most or own >= max(self._most // 2, 1):
            number = own if len(self) < self._most else len(self)
            raise RateLimited(
                f"{number} live connections are open, as many as there may be (setting "
                "'max_live_connections'): close one, or try again later",
                retry_after_s=5.0,
            )
        self._clients[client] = caller
        try:
            yield
        finally:
            del self._clients[client]

    async def drain_when(self, draining: Callable[[], bool]) -> None:
        """Wait until `draining` is true, then finish all connections, also those that come yet."""
        finished = set[LiveClient]()
        tasks = set[asyncio.Task[None]]()
        try:
            while True:
                await asyncio.sleep(POLL_S)
                if draining():
                    new = set(self._clients) - finished
                    tasks |= {asyncio.create_task(client.drain()) for client in new}
                    finished |= new
        finally:
            for task in tasks:
                task.cancel()
