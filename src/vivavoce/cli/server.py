"""Run the application under uvicorn, from its start to its last answer: signals, grace, and what
was lost.

The first SIGTERM or SIGINT closes the doors and waits for what runs; the second ends the process
where it stands.
"""

import asyncio
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
from vivavoce.api.middleware.listener import HANDSHAKE_TIMEOUT_S, Listener
from vivavoce.errors import DiskFull
from vivavoce.storage import SPOOL_BYTES, temporary_folder

log = logging.getLogger(__name__)

FILES_EACH: Final = 2  # of a connection: its socket, and a temporary file or a remote server's
RESERVED_FILES: Final = 128  # for models, their processes and devices, the log, libraries


def check_disk() -> None:
    """Write and removes a temporary file. Raises `DiskFull` if that cannot be done."""
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            written = 0
            while written < SPOOL_BYTES:
                written += file.write(bytes(SPOOL_BYTES - written))
    except OSError as error:
        raise DiskFull(
            f"cannot write {SPOOL_BYTES:,} bytes to the temporary folder {temporary_folder()!r} ({error.strerror}): "
            "make room there, or set TMPDIR to a folder that has some"
        ) from error


def fit_connections(max_connections: int) -> int:
    """Raise the limit of open files for `max_connections`, and return how many of them fit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return max_connections
    needed = files_for(max_connections)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return max_connections
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS has a limit below the hard one
        limit = soft
    fitting = max((limit - files_for(0)) // FILES_EACH, 1)
    if fitting < max_connections:
        log.warning(
            "max_connections is %d, not %d: the system allows this process %d open files, and that takes %d; raise "
            "`ulimit -n`", fitting, max_connections, limit, needed
        )  # fmt: skip
    return min(fitting, max_connections)


def files_for(connections: int) -> int:
    """Return how many files a server may have open with so many connections."""
    return FILES_EACH * connections + SPARE_CONNECTIONS + RESERVED_FILES


def run(
    app: Callable[..., Any],
    life: Lifecycle,
    listener: socket.socket,
    *,
    log_level: str,
    **options: Any,
) -> bool:
    """Serve `app`, an ASGI application, until a signal; whether every request that was taken has
    been answered whole.

    `options` are more of uvicorn's. Raises `life.failure`, and `KeyboardInterrupt` after SIGINT.
    """
    config = uvicorn.Config(
        app,
        log_config=None,  # ours
        log_level=log_level,
        # has the query in it, and so a GET's text; `api.middleware.access_log` logs every request
        access_log=False,
        **options,
    )
    server = Server(config, life)
    server.run(sockets=[listener])
    if life.failure is not None:
        raise life.failure
    return server.started and not server.cut


class Server(uvicorn.Server):
    """Accepts connections by a `Listener`, and asks `life` when to end.

    It keeps listening until then: whoever asks is told that it is stopping. The `http` of `config`
    is a `BoundedHTTP`.
    """

    def __init__(self, config: uvicorn.Config, life: Lifecycle) -> None:
        super().__init__(config)
        self.cut = 0  # requests that were not answered to the end
        self._life = life

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Do what uvicorn does for `sockets`, with our own listener."""
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
        self.started = True

    async def _connect(self, connection: socket.socket) -> None:
        """Make a protocol of `connection`, after the TLS handshake if there is one."""
        await asyncio.get_running_loop().connect_accepted_socket(
            self._protocol,
            connection,
            ssl=self.config.ssl,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if self.config.ssl else None,
        )

    def _protocol(self) -> BoundedHTTP:
        protocol: type[BoundedHTTP] = self.config.http_protocol_class  # type: ignore[assignment]  # see `startup`
        return protocol(self.config, self.server_state, self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._life.draining:
            os._exit(
                128 + sig
            )  # at once; as process 1 of a container a default handler would do nothing
        self._life.drain()
        if sig == signal.SIGINT:
            self._captured_signals.append(
                sig
            )  # raised again in the end, for the command line's own exit code

    async def on_tick(self, counter: int) -> bool:
        if self._life.over:
            self.cut = self._life.running
            if self.cut:
                log.error(
                    "%d requests were cut: they took longer than the setting 'shutdown_timeout_s' allows",
                    self.cut,
                )
        # What has been answered may still be on its way to a slow reader.
        self.config.timeout_graceful_shutdown = max(math.ceil(self._life.grace_left_s), 1)
        return self._life.over or self._life.failure is not None or await super().on_tick(counter)
