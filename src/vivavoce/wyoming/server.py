"""Accept clients of Wyoming on a listening socket."""

import asyncio
import socket
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from vivavoce.observability.logs import REQUEST_ID
from vivavoce.wyoming.connection import WyomingConnection
from vivavoce.wyoming.services import Options, Services
from vivavoce.wyoming.wire import MAX_HEADER_BYTES

_FLUSH_S: Final = 2.0  # for the last bytes of a connection


@asynccontextmanager
async def serving(
    services: Services, listener: socket.socket, options: Options
) -> AsyncGenerator[None]:
    """Serve clients that connect to `listener` during the block, and end their connections."""
    connections: dict[asyncio.Task[None], WyomingConnection] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        REQUEST_ID.set(f"wyoming_{uuid.uuid4().hex}")
        connection = WyomingConnection(services, options, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        connections[task] = connection
        try:
            await connection.run()
        finally:
            del connections[task]

    server = await asyncio.start_server(connected, sock=listener, limit=MAX_HEADER_BYTES)
    try:
        yield
    finally:
        server.close()
        for connection in connections.values():
            connection.end()
        if tasks := tuple(connections):
            await asyncio.wait(tasks, timeout=_FLUSH_S)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
