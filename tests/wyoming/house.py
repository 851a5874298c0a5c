"""A server of Wyoming with the tone model in this process, and what a client hears of it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeVoice,
)

from tests.conftest import tone_pool
from vivavoce.api.app import create_app
from vivavoce.api.dependencies import Server
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.wyoming.server import serving
from vivavoce.wyoming.services import Options

SINE = SynthesizeVoice(name="sine")


@dataclass(frozen=True, slots=True)
class House:
    """A running server."""

    port: int
    server: Server

    def client(self) -> AsyncTcpClient:
        return AsyncTcpClient("127.0.0.1", self.port)

    async def is_free(self) -> None:
        """Wait until nothing is spoken, and no client is connected."""
        async with asyncio.timeout(20):
            while len(self.server.live) or self.server.lifecycle.running:  # noqa: ASYNC110 - tasks end without an event
                await asyncio.sleep(0.002)


@asynccontextmanager
async def house(
    settings: Settings | None = None, pool: Pool | None = None, options: Options | None = None
) -> AsyncIterator[House]:
    """Serve Wyoming and the application around it, with all that reads languages loaded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        beside = partial(serving, listener=listener, options=options or Options())
        app = create_app(settings or Settings(), pool or tone_pool(), beside=beside)
        server: Server = app.state.server
        await asyncio.to_thread(server.synthesizer.router.warm_up)
        async with app.router.lifespan_context(app):
            yield House(listener.getsockname()[1], server)


async def say(client: AsyncTcpClient, text: str, voice: SynthesizeVoice | None = SINE) -> None:
    await client.write_event(Synthesize(text, voice).event())


async def write(
    client: AsyncTcpClient, parts: Sequence[str], voice: SynthesizeVoice | None = SINE
) -> None:
    """Send a text in parts, in the order in which Home Assistant does."""
    await client.write_event(SynthesizeStart(voice).event())
    for part in parts:
        await client.write_event(SynthesizeChunk(part).event())
    await client.write_event(Synthesize("".join(parts), voice).event())
    await client.write_event(SynthesizeStop().event())


async def hear(client: AsyncTcpClient, last: str = "audio-stop") -> list[Event]:
    """Return the events until one of type `last` or the end of the connection."""
    events: list[Event] = []
    async with asyncio.timeout(30):
        while (event := await client.read_event()) is not None:
            events.append(event)
            if event.type == last:
                break
    return events


async def hear_error(client: AsyncTcpClient) -> tuple[str, str]:
    """Return code and text of the error that ends the connection."""
    event = (await hear(client, "error"))[-1]
    assert event.type == "error"
    async with asyncio.timeout(10):
        assert await client.read_event() is None
    return event.data["code"], event.data["text"]


def audio(events: Sequence[Event]) -> bytes:
    """Return the PCM between audio-start and audio-stop, all in one format."""
    kinds = [event.type for event in events]
    assert kinds.count("audio-start") == kinds.count("audio-stop") == 1
    within = events[kinds.index("audio-start") : kinds.index("audio-stop")]
    assert {event.type for event in within[1:]} <= {"audio-chunk"}
    for event in within:
        assert event.data == {"rate": 24_000, "width": 2, "channels": 1}
    return b"".join(event.payload or b"" for event in within)
