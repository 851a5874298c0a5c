"""Accept connections, and bound their number, those in the TLS handshake included.

- At most `ACCEPTS` connections are accepted in one turn of the event loop.
- When there are too many, the longest silent ones are dropped.
- A connection whose request is being answered is never dropped.
- A process without free file descriptors goes on serving the connections that it has.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Final

from vivavoce.api.middleware.connections import SPARE_CONNECTIONS, BoundedHTTP

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S: Final = 10.0
ACCEPTS: Final = 16
SILENT_S: Final = 1.0  # a connection that is younger may have its request on the way
FLOODED_SILENT_S: Final = 0.05  # the same, when even the spare connections are taken
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY_S: Final = 0.1
_COMPLAIN_S: Final = 1.0


class Listener:
    """The accept loop of one listening socket, in the place of asyncio's own server.

    asyncio accepts as many connections in one turn as its backlog allows. It logs each accept that
    fails, and tells nobody of connections in the TLS handshake.
    """

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[socket.socket], Awaitable[object]],
        connections: Collection[object],
        max_connections: int,
    ) -> None:
        """Start to accept. `connect` makes a protocol of a socket and adds it to `connections`."""
        listening.setblocking(False)
        self._listening = listening
        self._connect = connect
        self._connections = connections
        self._max_connections = max_connections
        self._connecting: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
        self._complained_s = -_COMPLAIN_S
        self._accepting = asyncio.create_task(self._accept_all())

    def close(self) -> None:
        for task in (self._accepting, *self._connecting):
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.wait((self._accepting, *self._connecting))

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                for _ in range(ACCEPTS):
                    connection, _ = await loop.sock_accept(self._listening)
                    self._admit(connection)
            except OSError as error:
                if error.errno in _EXHAUSTED:  # otherwise the client has left already
                    self._make_room(ACCEPTS, flooded=True)
                    self._complain(error)
                    await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(0)

    def _admit(self, connection: socket.socket) -> None:
        over = len(self._connecting) + len(self._connections) + 1 - self._max_connections
        over -= self._make_room(over)
        over -= self._make_room(over - SPARE_CONNECTIONS, flooded=True)
        if over > SPARE_CONNECTIONS:
            connection.close()
            return
        task = asyncio.create_task(self._connected(connection))
        self._connecting[task] = time.monotonic()
        task.add_done_callback(self._connecting.pop)

    async def _connected(self, connection: socket.socket) -> None:
        try:
            await self._connect(connection)
        except OSError as error:  # also what TLS raises
            log.debug("a connection was not made: %r", error)

    def _make_room(self, count: int, *, flooded: bool = False) -> int:
        """Drop up to `count` connections, the longest silent first; return how many.

        The bytes of a body count as time that was not silent, unless `flooded`.
        """
        if count <= 0:
            return 0
        latest_s = time.monotonic() - (FLOODED_SILENT_S if flooded else SILENT_S)
        silent = [
            found
            for found in self._silent()
            if found[0] + (0.0 if flooded else found[1]) <= latest_s
        ]
        for _, _, drop in sorted(silent, key=lambda found: found[0] + found[1])[:count]:
            drop()
        return min(len(silent), count)

    def _silent(self) -> Iterator[tuple[float, float, Callable[[], object]]]:
        """Yield since when a connection is silent, the seconds it has earned, and how to drop it."""
        for protocol in self._connections:
            if (
                isinstance(protocol, BoundedHTTP)
                and (since_s := protocol.silent_since_s) is not None
            ):
                yield since_s, protocol.earned_s, protocol.drop
        for task, since_s in self._connecting.items():
            if not task.cancelling():
                yield since_s, 0.0, task.cancel

    def _complain(self, error: OSError) -> None:
        if time.monotonic() - self._complained_s >= _COMPLAIN_S:
            self._complained_s = time.monotonic()
            log.warning(
                "cannot accept connections (%s): trying again every %g s", error.strerror, _RETRY_S
            )
