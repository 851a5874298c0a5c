"""Runs the application under uvicorn, from its start to its last answer: signals, grace, and what was lost.

The first SIGTERM or SIGINT closes the doors and waits for what runs; the second ends the process where it stands.
"""

import logging
import math
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from vivavoce.api.folders import ROOM_BYTES, temporary_folder
from vivavoce.api.life import Life
from vivavoce.errors import NoRoom

log = logging.getLogger(__name__)


def check_room() -> None:
    """Writes and removes a temporary file. Raises `NoRoom` if that cannot be done."""
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            written = 0
            while written < ROOM_BYTES:
                written += file.write(bytes(ROOM_BYTES - written))
    except OSError as error:
        raise NoRoom(
            f"cannot write {ROOM_BYTES:,} bytes to the temporary folder {temporary_folder()!r} ({error.strerror}): "
            "make room there, or set TMPDIR to a folder that has some"
        ) from error


def run(app: Callable[..., Any], life: Life, listener: socket.socket, *, log_level: str, **options: Any) -> bool:
    """Serves `app`, an ASGI application, until a signal; whether every request that was taken has been answered whole.

    `options` are more of uvicorn's. Raises `life.failure`, and `KeyboardInterrupt` after SIGINT.
    """
    config = uvicorn.Config(
        app,
        log_config=None,  # ours
        log_level=log_level,
        access_log=False,  # has the query in it, and so a GET's text; `api.watch` logs every request
        **options,
    )
    server = _Server(config, life)
    server.run(sockets=[listener])
    if life.failure is not None:
        raise life.failure
    return server.started and not server.cut


class _Server(uvicorn.Server):
    """Asks `life` when to end, and keeps listening until then: whoever asks is told that it is stopping."""

    def __init__(self, config: uvicorn.Config, life: Life) -> None:
        super().__init__(config)
        self.cut = 0  # requests that were not answered to the end
        self._life = life

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._life.draining:
            os._exit(128 + sig)  # at once; as process 1 of a container a default handler would do nothing
        self._life.drain()
        if sig == signal.SIGINT:
            self._captured_signals.append(sig)  # raised again in the end, for the command line's own exit code

    async def on_tick(self, counter: int) -> bool:
        if self._life.over:
            self.cut = self._life.running
            if self.cut:
                log.error(
                    "%d requests were cut: they took longer than the setting 'shutdown_timeout_s' allows", self.cut
                )
        # What has been answered may still be on its way to a slow reader.
        self.config.timeout_graceful_shutdown = max(math.ceil(self._life.grace_left_s), 1)
        return self._life.over or self._life.failure is not None or await super().on_tick(counter)
