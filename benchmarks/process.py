"""Start the server under test in a process of its own, under a memory limit.

The server is stopped in the end.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.wire import Address, get_json
from vivavoce.errors import NotReady

_READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 40.0  # above the server's own time for running requests
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in seconds and peak memory in MiB, of one process or of all of a server.

    The memory of several is the sum of their peaks. Shared pages count twice.
    """

    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Start:
    """The times of a server's start, in seconds, and the slowest answer of `/health` meanwhile."""

    listening_s: float
    ready_s: float
    slowest_answer_s: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. `pid`, `ended` and `start` exist only if the benchmark started it."""

    address: Address
    pid: int | None = None
    ended: Callable[[], Awaitable[int]] | None = None  # waits for its exit code
    start: Start | None = None
    log: IO[bytes] | None = None

    @property
    def log_bytes(self) -> int:
        """The size of its log in bytes."""
        return os.fstat(self.log.fileno()).st_size if self.log is not None else 0

    def usage(self) -> Usage | None:
        """Return the usage of its processes, or None for a foreign server or without /proc."""
        used = self.usages()
        return (
            Usage(sum(one.cpu_s for one in used), sum(one.peak_mib for one in used))
            if used
            else None
        )

    def usages(self) -> Sequence[Usage]:
        """Return the usage of its own process and of each model's, as `folders` has them."""
        return [_usage(folder) for folder in self.folders()]

    def folders(self) -> Sequence[Path]:
        """Return the folders in /proc of the server's process and of its models' processes.

        The list is empty for a foreign server and without /proc.
        """
        folder = Path(f"/proc/{self.pid}")
        if self.pid is None or not folder.exists():
            return ()
        models = [
            pid
            for task in (folder / "task").iterdir()
            for pid in (task / "children").read_text().split()
        ]
        return (folder, *(Path(f"/proc/{pid}") for pid in models))


def _usage(folder: Path) -> Usage:
    """Return the usage of one process, by its folder in /proc."""
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, the 14th and 15th field of proc(5)
    peak = next(
        line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM:")
    )
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024)


@asynccontextmanager
async def started(
    models: Sequence[str],
    *,
    environment: Mapping[str, str],
    memory_gib: float,
    arguments: Sequence[str] | None = None,
    descriptors: int | None = None,
    tls: bool = False,
) -> AsyncGenerator[Server]:
    """Start a server and yield it when `models` are ready.

    `arguments` replace the default command-line options for the models.

    `descriptors` is what `ulimit -n` sets. With `tls` the server signs its own certificate.

    Raises `NotReady` with the end of its log if it does not get there.
    """
    address, started_s = Address("127.0.0.1", _free_port(), tls), time.monotonic()
    command = ["-m", "vivavoce", "serve", "--host", address.host, "--port", str(address.port)]
    command += ["--tls-self-signed"] if tls else []
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *(("--models", ",".join(models)) if arguments is None else arguments),
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            # Ctrl-C is for the benchmark, which then stops the server itself
            start_new_session=True,
        )
        try:
            _limit(process.pid, "RLIMIT_DATA", int(memory_gib * 2**30))
            if descriptors is not None:
                _limit(process.pid, "RLIMIT_NOFILE", descriptors)
            start = await _wait_until_ready(process, address, models, log, started_s)
            yield Server(address, process.pid, process.wait, start, log)
        finally:
            await _stop(process)


async def running(url: str, models: Sequence[str]) -> Server:
    """Return the server at `url`. Raises `NotReady` unless `models` are ready there."""
    address = Address.parse(url)
    try:
        states = await _states(address)
    except OSError as error:
        raise NotReady(
            f"nothing answers at {url!r} ({error}); start it with `vivavoce serve`"
        ) from error
    for model in models:
        if states.get(model) != "ready":
            raise NotReady(f"the server at {url!r} has no model {model!r} ready; it has {states!r}")
    return Server(address)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _limit(pid: int, name: str, most: int) -> None:
    """Limit a resource of the process. Nothing is limited where the system cannot.

    Memory is limited as RLIMIT_DATA, the writable memory, and not as the address space: libraries
    and threads reserve far more of that than they ever touch.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    if hasattr(resource, "prlimit"):  # Linux
        resource.prlimit(pid, getattr(resource, name), (most, most))


async def _wait_until_ready(
    process: asyncio.subprocess.Process,
    address: Address,
    models: Sequence[str],
    log: IO[bytes],
    started_s: float,
) -> Start:
    states: Mapping[str, str] = {}
    listening_s = slowest_s = 0.0
    while process.returncode is None and time.monotonic() < started_s + _READY_TIMEOUT_S:
        asked_s = time.monotonic()
        try:
            states = await _states(address)
        except (OSError, asyncio.IncompleteReadError):
            states = {}  # it does not listen yet
        else:
            answered_s = time.monotonic()
            listening_s = listening_s or answered_s - started_s
            slowest_s = max(slowest_s, answered_s - asked_s)
        if all(states.get(model) == "ready" for model in models):
            return Start(listening_s, time.monotonic() - started_s, slowest_s)
        if {"missing", "failed"} & set(states.values()):
            break
        await asyncio.sleep(_POLL_S)
    log.seek(0)
    tail = "\n".join(log.read().decode("utf-8", "replace").splitlines()[-8:])
    raise NotReady(
        f"the server did not get ready with {', '.join(models)}; "
        f"models: {dict(states)!r}; its log:\n{tail}"
    )


async def _states(address: Address) -> Mapping[str, str]:
    models = (await get_json(address, "/health")).get("models")
    return (
        {str(name): str(state) for name, state in models.items()}
        if isinstance(models, Mapping)
        else {}
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
