"""Run the application under uvicorn, from its start to its last answer.

- The first SIGTERM or SIGINT rejects new requests and waits for the running ones.
- The second one ends the process at once.
"""

import asyncio
import gc
import logging
import math
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn

from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.middleware.connections import SPARE_CONNECTIONS, BoundedHTTP
from vivavoce.api.middleware.listener import HANDSHAKE_TIMEOUT_S, Listener, first_bytes
from vivavoce.errors import DiskFull
from vivavoce.storage import SPOOL_BYTES, temporary_folder

log = logging.getLogger(__name__)

FILES_EACH: Final = 2  # a connection's socket, and a temporary file or a remote connection
WEBSOCKET_LINES: Final = ("WebSocket", "connection ")
RESERVED_FILES: Final = 128  # for models, their processes and devices, the log, libraries


def check_disk() -> None:
    """Write and remove a temporary file. Raises `DiskFull` if that fails."""
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            written = 0
            while written < SPOOL_BYTES:
                written += file.write(bytes(SPOOL_BYTES - written))
    except OSError as error:
        raise DiskFull(
            f"cannot write {SPOOL_BYTES:,} bytes to the temporary folder {temporary_folder()!r} "
            f"({error.strerror}): make room there, or set TMPDIR to a folder that has some"
        ) from error


def fit_connections(max_connections: int, others: int = 0) -> int:
    """Raise the limit of open files, and return the number of connections that fit.

    `others` are connections of other protocols, which are bounded elsewhere.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return max_connections
    needed = files_for(max_connections) + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return max_connections
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS has a limit below the hard one
        limit = soft
    fitting = max((limit - files_for(0) - others) // FILES_EACH, 1)
    if fitting < max_connections:
        text = "max_connections is %d, not %d: the system allows this process %d open files, and "
        text += "that takes %d; raise `ulimit -n`"
        log.warning(text, fitting, max_connections, limit, needed)
    return min(fitting, max_connections)


def files_for(connections: int) -> int:
    """Return the most files that a server opens for so many connections."""
    return FILES_EACH * connections + SPARE_CONNECTIONS + RESERVED_FILES


def run(
    app: Callable[..., Any],
    lifecycle: Lifecycle,
    listener: socket.socket,
    *,
    log_level: str,
    **options: Any,
) -> bool:
    """Serve the ASGI application `app` until a signal.

    Returns whether every accepted request was answered completely. `options` go to uvicorn. Raises
    `lifecycle.failure`, and `KeyboardInterrupt` after SIGINT.
    """
    config = uvicorn.Config(
        app,
        log_config=None,  # set up in `observability.logs`
        log_level=log_level,
        # It would log a GET's text. `api.middleware.access_log` logs every request instead.
        access_log=False,
        **options,
    )
    # The same of WebSockets, whose queries may hold keys.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: not any(part in record.msg for part in WEBSOCKET_LINES)
    )
    server = GracefulServer(config, lifecycle)
    server.run(sockets=[listener])
    if lifecycle.failure is not None:
        raise lifecycle.failure
    return server.started and not server.cut


class GracefulServer(uvicorn.Server):
    """A uvicorn server that accepts connections by a `Listener`, and ends with `lifecycle`.

    It listens until then, so that clients learn that it is stopping. The `http` of `config` is a
    `BoundedHTTP`.
    """

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self.cut = 0  # requests that were not answered completely
        self._lifecycle = lifecycle

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening on `sockets`, as uvicorn does, with our own listener."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        protocol = self.config.http_protocol_class
        assert sockets is not None
        assert issubclass(protocol, BoundedHTTP)
        connections, most = self.server_state.connections, protocol.bounds.max_connections
        listeners = [Listener(listening, self._connect, connections, most) for listening in sockets]
        self.servers = listeners  # type: ignore[assignment]  # uvicorn only closes them
        gc.freeze()  # no collection walks the modules again, which takes 0.1 s
        self.started = True

    async def _connect(self, connection: socket.socket) -> None:
        """Create a protocol for `connection`, after the TLS handshake if there is one.

        The objects of a handshake cost a quarter of a megabyte, so a client speaks first.
        """
        if self.config.ssl:
            await first_bytes(connection, HANDSHAKE_TIMEOUT_S)
        tls, loop = self.config.ssl, asyncio.get_running_loop()
        timeout_s = HANDSHAKE_TIMEOUT_S if tls else None
        await loop.connect_accepted_socket(
            self._protocol, connection, ssl=tls, ssl_handshake_timeout=timeout_s
        )

    def _protocol(self) -> BoundedHTTP:
        protocol: type[BoundedHTTP] = self.config.http_protocol_class  # type: ignore[assignment]  # see `startup`
        return protocol(self.config, self.server_state, self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._lifecycle.draining:
            # Process 1 of a container ignores a default handler.
            os._exit(128 + sig)
        self._lifecycle.drain()
        if sig == signal.SIGINT:
            self._captured_signals.append(sig)  # uvicorn raises it again, for the exit code

    async def on_tick(self, counter: int) -> bool:
        if self._lifecycle.over:
            self.cut = self._lifecycle.running
            if self.cut:
                reason = "they took longer than the setting 'shutdown_timeout_s' allows"
                log.error("%d requests were cut: %s", self.cut, reason)
        # A slow client may not have received its whole answer yet.
        self.config.timeout_graceful_shutdown = max(math.ceil(self._lifecycle.grace_left_s), 1)
        if self._lifecycle.over or self._lifecycle.failure is not None:
            return True
        return await super().on_tick(counter)
