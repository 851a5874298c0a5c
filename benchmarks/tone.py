"""Start a server of the tone model in its own process and measure its resources."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.load import Question, ask
from benchmarks.process import Server, started
from benchmarks.scenarios import GREETINGS, REAL_TIME_FACTOR

MEMORY_GIB = 6.0

SHORT = [Question(text, "tone") for text in GREETINGS]  # a second and a half each


@asynccontextmanager
async def tone_server(
    real_time_factor: float = 0.0, *, memory_gib: float = MEMORY_GIB, **settings: object
) -> AsyncGenerator[Server]:
    """Start a server of the tone model and yield it after its first answer."""
    environment = {f"VIVAVOCE_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {REAL_TIME_FACTOR: str(real_time_factor)}
    async with started(["tone"], environment=environment, memory_gib=memory_gib) as server:
        for question in SHORT[:4]:
            await ask(server.address, question)
        yield server


@dataclass(frozen=True, slots=True)
class Held:
    """The resources of a server: open files, threads, and its own memory in MiB."""

    files: int
    threads: int
    own_mib: float

    @classmethod
    def of(cls, server: Server) -> "Held":
        held = cls(0, 0, 0.0)
        for folder in server.folders():
            status = dict(
                line.split(":", 1) for line in (folder / "status").read_text().splitlines()
            )
            files = held.files + sum(1 for _ in (folder / "fd").iterdir())
            own_mib = held.own_mib + int(status["RssAnon"].split()[0]) / 1024
            held = cls(files, held.threads + int(status["Threads"]), own_mib)
        return held
