"""Monitor a server from outside: the delay of its health answers, and its memory.

- Health is asked at a steady rate, whether or not the server keeps up.
- Memory is that of the process and of all that it started.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import now
from benchmarks.wire import Address, send

GIVE_UP_S = 10.0  # timeout of an answer, which then counts as a failure of this length
_RATE_HZ = 20.0
_SAMPLE_S = 0.1
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One request for `/health/live`: its due time, and its delay from then on."""

    due_s: float
    took_s: float
    good: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Megabytes (10⁶ bytes) at one moment: resident memory, and open files below a folder."""

    at_s: float
    memory_mb: float
    files_mb: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """The checks and samples of one server, in order of time."""

    checks: list[Check] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def within(self, since_s: float, until_s: float) -> "Vitals":
        """Return the checks and samples between two moments."""
        return Vitals(
            [one for one in self.checks if since_s <= one.due_s < until_s],
            [one for one in self.held if since_s <= one.at_s < until_s],
        )

    @property
    def memory_mb(self) -> float:
        """The peak resident memory of all samples."""
        return max((one.memory_mb for one in self.held), default=0.0)

    @property
    def files_mb(self) -> float:
        """The peak size of open files of all samples."""
        return max((one.files_mb for one in self.held), default=0.0)


@asynccontextmanager
async def watched(address: Address, pid: int, folder: Path) -> AsyncGenerator[Vitals]:
    """Collect the vitals of the server with process `pid` and temporary files in `folder`.

    It waits in the end for the outstanding answers.
    """
    vitals = Vitals()
    sampler = asyncio.create_task(_sample(pid, folder, vitals.held))
    over = asyncio.Event()
    probe = asyncio.create_task(_ask_steadily(address, over, vitals.checks))
    try:
        yield vitals
    finally:
        over.set()
        await probe
        sampler.cancel()


async def _ask_steadily(address: Address, over: asyncio.Event, checks: list[Check]) -> None:
    """Request `/health/live` on fresh connections at a steady rate until it is `over`."""
    started_s, number = now(), 0
    async with asyncio.TaskGroup() as group:
        while not over.is_set():
            due_s = started_s + number / _RATE_HZ
            await asyncio.sleep(max(0.0, due_s - now()))
            group.create_task(_check(address, due_s, checks))
            number += 1
    checks.sort(key=lambda check: check.due_s)


async def _check(address: Address, due_s: float, checks: list[Check]) -> None:
    status = 0
    with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(GIVE_UP_S), send(address, "GET", "/health/live") as response:
            status = response.status
    good = status == 200
    checks.append(Check(due_s, now() - due_s if good else GIVE_UP_S, good))


async def _sample(pid: int, folder: Path, held: list[Held]) -> None:
    while True:
        pids = family(pid, parents())
        memory = sum(resident_bytes(one) for one in pids)
        files = sum(size for one in pids for size in open_files(one, folder))
        held.append(Held(now(), memory / _MB, files / _MB))
        await asyncio.sleep(_SAMPLE_S)


def parents() -> Mapping[int, int]:
    """Return the parent of each process of this machine."""
    return {
        int(path.name): int(stat.rpartition(")")[2].split()[1])
        for path in Path("/proc").iterdir()
        if path.name.isdecimal() and (stat := _read(path / "stat"))
    }


def family(pid: int, parents: Mapping[int, int]) -> Sequence[int]:
    """Return `pid` and every process that descends from it."""
    found = [pid]
    for one in found:  # grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return found


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, or 0 if it has ended."""
    pages = _read(Path(f"/proc/{pid}/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def open_files(pid: int, folder: Path) -> Iterator[int]:
    """Yield the size in bytes of each open file below `folder`, including deleted files."""
    for link in _entries(Path(f"/proc/{pid}/fd")):
        with suppress(OSError):
            if link.readlink().is_relative_to(folder):
                yield link.stat().st_blocks * 512


def _entries(folder: Path) -> Iterable[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return ()


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
