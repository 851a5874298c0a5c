"""Run long work in processes of low priority, which hold no lock of this one's Python.

    python -m vivavoce.books.processes

is one of them. It reads pickled calls from its standard input, and ends with it.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final, ParamSpec, TypeVar

from vivavoce.errors import EngineFault

P = ParamSpec("P")
T = TypeVar("T")

NICENESS: Final = 10
_SMALL_HEAP: Final = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "1048576"}  # of glibc
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)  # which systems send to all processes of a service


def give_way() -> None:
    """Let this thread have the processor after those that speak. Linux alone knows such threads."""
    if sys.platform == "linux":
        os.nice(NICENESS)


def module_process(name: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that run a module of this Python.

    It finds modules where this process does, and not where it happens to stand.
    """
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    return [sys.executable, "-P", "-m", name], os.environ | {"PYTHONPATH": path}


@dataclass(frozen=True, slots=True)
class Orphaned:
    """True when called in a process that `parent` has left."""

    parent: int = field(default_factory=os.getpid)

    def __call__(self) -> bool:
        return os.getppid() != self.parent


class Processes(Executor):
    """Up to `count` processes, each of which is started when it is needed.

    Functions are at the top of a module. They, their arguments and their results are pickled.
    """

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, "processes")
        # The latest first: what one process can do needs no other.
        self._idle = LifoQueue[subprocess.Popen[bytes] | None]()
        self._started = list[subprocess.Popen[bytes]]()
        self._stopped = False
        for _ in range(count):
            self._idle.put(None)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._threads.submit(self._call, function, args, kwargs)

    def kill(self) -> None:
        """End the processes at once. What they did fails with `EngineFault`."""
        self._stopped = True
        for process in self._started:
            process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.kill()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for process in self._started:
            process.communicate()

    def _call(self, function: Callable[..., T], args: object, kwargs: object) -> T:
        process = self._idle.get()
        try:
            if process is None:
                process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump((function, args, kwargs), process.stdin)
            process.stdin.flush()
            result, error = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            process = None
            raise EngineFault(
                "a process that makes files ended early: free some memory, and retry the job"
            ) from error
        finally:
            self._idle.put(process)
        if error is not None:
            kind, given, facts = error
            problem = kind.__new__(kind, *given)
            problem.__dict__.update(facts)
            raise problem
        return result  # type: ignore[no-any-return]  # the other process ran `function`

    def _start(self) -> subprocess.Popen[bytes]:
        if self._stopped:
            raise EOFError
        command, environment = module_process(__spec__.name)
        environment |= _SMALL_HEAP
        mask = getattr(signal, "pthread_sigmask", None)  # which a new process begins with
        held = mask(signal.SIG_BLOCK, _STOPS) if mask else ()
        try:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=None if sys.stderr else subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, TypeError) as error:
            raise EngineFault(
                f"cannot start {sys.executable!r}, which makes files ({error}): see that it can "
                "be started, and retry the job"
            ) from error
        finally:
            if mask:
                mask(signal.SIG_SETMASK, held)
        self._started.append(process)
        if self._stopped:  # meanwhile
            process.kill()
        return process


def serve() -> None:
    """Answer the calls of the process that started this one."""
    for each in _STOPS:
        signal.signal(each, signal.SIG_IGN)  # the other process decides
    give_way()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for what libraries print
    with suppress(EOFError, OSError, pickle.UnpicklingError):  # the other process has ended
        while True:
            function, args, kwargs = pickle.load(sys.stdin.buffer)
            answers.write(_answer(function, args, kwargs))
            answers.flush()


def _answer(function: Callable[..., object], args: Any, kwargs: Any) -> bytes:
    try:
        return pickle.dumps((function(*args, **kwargs), None))
    except Exception as error:  # the other process handles it
        return pickle.dumps((None, (type(error), error.args, error.__dict__)))


if __name__ == "__main__":
    serve()
