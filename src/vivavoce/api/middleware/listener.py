"""Accept connections and bound their number, including those in the TLS handshake.

- At most `ACCEPTS` connections are accepted in one iteration of the event loop.
- When there are too many, the connections that have been silent longest are dropped.
- A connection whose request is being answered is never dropped.
- A process without free file descriptors keeps serving its open connections.
"""

import asyncio
import errno
import logging
import select
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Final

from vivavoce.api.middleware.connections import SPARE_CONNECTIONS, BoundedHTTP

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S: Final = 10.0
ACCEPTS: Final = 16
SILENT_S: Final = 1.0  # the request of a younger connection may be on its way
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY_S: Final = 0.1
_COMPLAIN_S: Final = 1.0


async def first_bytes(connection: socket.socket, timeout_s: float) -> None:
    """Wait until `connection` can be read, else close it. Raises `TimeoutError`."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        async with asyncio.timeout(timeout_s):
            await readable.wait()
    except BaseException:
        loop.remove_reader(connection)
        connection.close()
        raise
    loop.remove_reader(connection)


def _has_unread_bytes(descriptor: int) -> bool:
    """True if the client has sent something that a busy server has not read yet."""
    if descriptor < 0:  # closed
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Listener:
    """The accept loop of one listening socket, instead of asyncio's own server.

    asyncio accepts as many connections at once as its backlog allows, and logs each failed accept.
    It does not reveal the connections in the TLS handshake.
    """

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[socket.socket], Awaitable[object]],
        connections: Collection[object],
        max_connections: int,
    ) -> None:
        """Start to accept. `connect` makes a protocol for a socket and adds it to `connections`."""
        listening.setblocking(False)
        self._listening = listening
        self._connect = connect
        self._connections = connections
        self._max_connections = max_connections
        # task → start time and socket, the oldest first
        self._connecting: dict[asyncio.Task[None], tuple[float, socket.socket]] = {}
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
                if error.errno in _EXHAUSTED:  # any other error: the client has left already
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
        self._connecting[task] = (time.monotonic(), connection)
        task.add_done_callback(self._end_connecting)

    def _end_connecting(self, task: asyncio.Task[None]) -> None:
        _, connection = self._connecting.pop(task)
        if task.cancelled():  # perhaps before it ran at all
            connection.close()

    async def _connected(self, connection: socket.socket) -> None:
        try:
            await self._connect(connection)
        except OSError as error:  # also raised by TLS, and by a client that sends nothing
            log.debug("a connection failed: %r", error)

    def _make_room(self, count: int, *, flooded: bool = False) -> int:
        """Drop up to `count` connections, the longest silent first, and return their number.

        Unless `flooded`, young connections stay, and the received bytes of a body count as time
        that was not silent.
        """
        if count <= 0:
            return 0
        latest_s = time.monotonic() - (0.0 if flooded else SILENT_S)
        earned = 0.0 if flooded else 1.0
        silent = [one for one in self._silent() if one[0] + earned * one[1] <= latest_s]
        dropped = 0
        for _, _, connection, drop in sorted(silent, key=lambda found: found[0] + found[1]):
            if dropped < count and not _has_unread_bytes(connection):
                drop()
                dropped += 1
        return dropped

    def _silent(self) -> Iterator[tuple[float, float, int, Callable[[], object]]]:
        """Yield start of silence, earned seconds, descriptor and drop function of each one."""
        for one in self._connections:
            if isinstance(one, BoundedHTTP) and (since_s := one.silent_since_s) is not None:
                yield since_s, one.earned_s, one.descriptor, one.drop
        for task, (since_s, connection) in self._connecting.items():
            if not task.cancelling():
                yield since_s, 0.0, connection.fileno(), task.cancel

    def _complain(self, error: OSError) -> None:
        if time.monotonic() - self._complained_s >= _COMPLAIN_S:
            self._complained_s = time.monotonic()
            message = "cannot accept connections (%s): trying again every %g s"
            log.warning(message, error.strerror, _RETRY_S)
