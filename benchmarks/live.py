"""Measure live speech over WebSockets: `python -m benchmarks.live`.

Each scenario starts a `vivavoce serve` of its own. `first` times the first audio of a clause and
the silence after an interruption. `idle` keeps many silent connections open. `crowd` has many
clients whose texts are written at the pace of speech.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.player import Arrival, percentile, play
from benchmarks.process import Server, started
from benchmarks.report import Measure, Result, Target, machine, table
from benchmarks.scenarios import sentences
from vivavoce.audio.join import SILENCE_LEVEL

RATE_HZ = 24_000
MEMORY_GIB = 10.0
START_BUFFER_S = 0.2
IDLE = 500
CROWD = 64
TURNS = 200


@dataclass
class Caller:
    """One connection. `arrivals` are those of the current text."""

    socket: ClientConnection
    arrivals: list[Arrival] = field(default_factory=list)
    audible_s: float | None = None  # when its first audible sample came
    latest_s: float = 0.0  # when its latest audio came

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def told(self, *kinds: str) -> dict[str, Any]:
        """Return the next message of one of these kinds, and take note of audio before it."""
        while True:
            message = await self.socket.recv()
            if isinstance(message, bytes):
                self._heard(message)
            elif (known := json.loads(message))["type"] in kinds:
                return dict(known)

    async def first_audio(self) -> float:
        """Return when the first audible sample of the text came."""
        self.audible_s = None
        while self.audible_s is None:
            await self.told("audio")
            self._heard(await self.socket.recv())
        return self.audible_s

    def _heard(self, data: str | bytes) -> None:
        assert isinstance(data, bytes)
        self.latest_s = time.monotonic()
        samples = np.frombuffer(data, np.int16)
        if self.audible_s is None and (np.abs(samples) > SILENCE_LEVEL * 32768).any():
            self.audible_s = self.latest_s
        self.arrivals.append(Arrival(self.latest_s, len(samples) / RATE_HZ))


@asynccontextmanager
async def caller(server: Server) -> AsyncIterator[Caller]:
    url = f"ws://{server.address.host}:{server.address.port}/v1/tts/stream"
    async with connect(url, compression=None, max_size=None, close_timeout=0.2) as socket:
        one = Caller(socket)
        await one.told("ready")
        yield one


async def first_audio_of(one: Caller, text: str) -> float:
    """Return the seconds from the end of a clause to its first audible sample."""
    *before, last = text.split(" ")
    await one.say(type="begin")
    for word in before:
        await one.say(type="text", text=f"{word} ")
    await asyncio.sleep(0.02)
    asked_s = time.monotonic()
    await one.say(type="text", text=f"{last} ")
    return await one.first_audio() - asked_s


async def first(model: str) -> Result:
    """Time the first audio of a clause, and the silence after an interruption."""
    waits_s, silences_s, late = [], [], 0
    chance = random.Random(1)
    texts = sentences()
    async with (
        started([model], environment={}, memory_gib=MEMORY_GIB) as server,
        caller(server) as one,
    ):
        for turn in range(TURNS):
            waits_s.append(await first_audio_of(one, texts[turn % len(texts)]))
            await one.say(type="text", text=" ".join(texts[:4]))
            await asyncio.sleep(chance.uniform(0, 0.1))
            asked_s = time.monotonic()
            await one.say(type="interrupt")
            await one.told("interrupted")
            silences_s.append(max(one.latest_s, time.monotonic()) - asked_s)
            await one.say(type="ping")
            pongs = one.latest_s
            await one.told("pong")
            late += one.latest_s != pongs
    return Result(
        f"first, {model}",
        f"{TURNS} turns of one client: a sentence word by word, then an interruption",
        (
            *_times("first audio after a clause", waits_s, Target(60)),
            *_times("interrupt to silence", silences_s, Target(30)),
            Measure("audio after the answer", late, "", Target(0)),
        ),
    )


async def idle(model: str) -> Result:
    """Compare first audio and memory without and with many silent connections."""
    texts = sentences()
    environment = {"VIVAVOCE_MAX_LIVE_CONNECTIONS": "1000", "VIVAVOCE_MAX_CONNECTIONS": "1000"}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            started([model], environment=environment, memory_gib=MEMORY_GIB)
        )
        one = await stack.enter_async_context(caller(server))
        alone_s = [await _turn(one, text) for text in (*texts, *texts)]
        before = _resident_kb(server)
        for _ in range(IDLE):
            await stack.enter_async_context(caller(server))
        grown_kb = (_resident_kb(server) - before) / IDLE
        beside_s = [await _turn(one, text) for text in (*texts, *texts)]
    ratio = percentile(beside_s, 50) / percentile(alone_s, 50)
    return Result(
        f"idle, {model}",
        f"{IDLE} silent connections beside one client",
        (
            Measure("memory of a connection", grown_kb, "kB", Target(200)),
            *_times("first audio alone", alone_s),
            *_times("first audio beside them", beside_s),
            Measure("ratio of the medians", ratio, "×", Target(1.2)),
        ),
    )


async def crowd(model: str) -> Result:
    """Count the gaps that many clients hear who are spoken to at the same time."""
    text = " ".join(sentences()[:12])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            started([model], environment={}, memory_gib=MEMORY_GIB)
        )
        callers = [await stack.enter_async_context(caller(server)) for _ in range(CROWD)]
        await asyncio.gather(*(_written(one, text, n) for n, one in enumerate(callers)))
    gaps = [
        gap
        for one in callers
        for gap in play(one.arrivals, one.latest_s, start_buffer_s=START_BUFFER_S).gaps_s
    ]
    audio_s = sum(arrival.audio_s for one in callers for arrival in one.arrivals)
    return Result(
        f"crowd, {model}",
        f"{CROWD} clients, whose texts are written at twice the pace of speech",
        (
            Measure("audio", audio_s, "s"),
            Measure("underruns", len(gaps), "", Target(0)),
            Measure("longest", 1000 * max(gaps, default=0.0), "ms"),
        ),
    )


async def _written(one: Caller, text: str, number: int) -> None:
    """Write `text` word by word, and hear it to its end."""

    async def write() -> None:
        await asyncio.sleep(number / CROWD)
        await one.say(type="begin")
        for word in text.split():
            await one.say(type="text", text=f"{word} ")
            await asyncio.sleep(0.03 * len(word))
        await one.say(type="end")

    writing = asyncio.create_task(write())
    await one.told("done")
    await writing


async def _turn(one: Caller, text: str) -> float:
    first_s = await first_audio_of(one, text)
    await one.say(type="interrupt")
    await one.told("interrupted")
    return first_s


def _times(name: str, values_s: list[float], target: Target | None = None) -> list[Measure]:
    return [
        Measure(f"{name}, p50", 1000 * percentile(values_s, 50), "ms"),
        Measure(f"{name}, p95", 1000 * percentile(values_s, 95), "ms", target),
    ]


def _resident_kb(server: Server) -> float:
    """Return the memory of the server's own process, without its models."""
    lines = (server.folders()[0] / "status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


SCENARIOS = {"first": first, "idle": idle, "crowd": crowd}


def main(
    only: Annotated[str | None, typer.Option(help="One of first, idle, crowd.")] = None,
    model: Annotated[
        str | None, typer.Option(help="By default hibari for `first`, else tone.")
    ] = None,
) -> None:
    """Measure live speech, and show the results beside their targets."""
    console = Console()
    for name, scenario in SCENARIOS.items():
        if only in (None, name):
            chosen = model or ("hibari" if name == "first" else "tone")
            result = asyncio.run(scenario(chosen))
            console.print(table(result))
    console.print(", ".join(f"{key} {value}" for key, value in machine().items()))


if __name__ == "__main__":
    typer.run(main)
