"""A server of the tone model, which stands for the voices, in a process of its own; and what that process holds."""

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
    """A server of the tone model, which has spoken once."""
    environment = {f"VIVAVOCE_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {REAL_TIME_FACTOR: str(real_time_factor)}
    async with started(["tone"], environment=environment, memory_gib=memory_gib) as server:
        for question in SHORT[:4]:
            await ask(server.address, question)
        yield server


@dataclass(frozen=True, slots=True)
class Held:
    """What the processes of a server hold: open files, threads, and memory of its own in MiB."""

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
