"""A plain WebSocket client for tests of the dialects."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


class Wire:
    """A connection that keeps what it received."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> Any:
        """Return the next message: an object, or bytes."""
        message = await self.socket.recv()
        return message if isinstance(message, bytes) else json.loads(message)

    async def until(self, kind: str) -> list[Any]:
        """Return the messages until one of that type."""
        got = [await self.receive()]
        while isinstance(got[-1], bytes) or got[-1].get("type") != kind:
            got.append(await self.receive())
        return got


@asynccontextmanager
async def wire(url: str, path: str, **options: Any) -> AsyncIterator[Wire]:
    async with connect(url.replace("http", "ws", 1) + path, **options) as socket:
        yield Wire(socket)


def audio_of(messages: list[Any]) -> bytes:
    return b"".join(message for message in messages if isinstance(message, bytes))


def types_of(messages: list[Any]) -> list[str]:
    """Return the types of the messages, `bytes` for audio."""
    return [
        "bytes" if isinstance(message, bytes) else message.get("type", "") for message in messages
    ]
