"""Run the jobs that wait, one after the other, and tell where they stand."""

import asyncio
import errno
import logging
import math
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias, get_args

from vivavoce.errors import DiskFull, NotReady, VivavoceError, WrongState
from vivavoce.jobs.job import ENDED, JobState, Progress
from vivavoce.jobs.runner import Folders, Run
from vivavoce.jobs.sound.chapters import Stopped
from vivavoce.jobs.sound.making import in_thread
from vivavoce.jobs.store import JobLock, Store
from vivavoce.jobs.views import job_of, progress_of

log = logging.getLogger(__name__)

SPEED_NAME: Final = "speed.txt"
WATCH_S: Final = 2.0  # until a change of another process is seen
STATES: Final[tuple[JobState, ...]] = get_args(JobState)
WAITING: Final[tuple[JobState, ...]] = ("queued", "running")  # which may have been interrupted
_DISK_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)

# Makes the run of a job, which tells where it stands.
Opener: TypeAlias = Callable[[str, Callable[[Progress], None]], Awaitable[Run]]


class Worker:
    """The runs of the jobs in `folder`. `open_run` makes one."""

    def __init__(self, folder: Path, open_run: Opener) -> None:
        self._folder, self._open_run = folder, open_run
        self._opening: asyncio.Task[Store] | None = None
        self._working: asyncio.Task[None] | None = None
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, Progress] = {}
        self._event = asyncio.Event()  # another one after each change
        self._closed = False
        # Seconds of speech made in a second by the last run, 0: unknown.
        self.real_time = last_speed(folder) or 0.0

    async def store(self) -> Store:
        """Return the database, which is opened when it is first needed."""
        if self._opening is None:
            self._opening = asyncio.create_task(in_thread(Store, self._folder))
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except VivavoceError:
            self._opening = None
            raise

    def folders(self, id: str) -> Folders:
        return Folders(self._folder / id)

    def start(self) -> None:
        """Begin to run what waits, in the background."""
        self._working = asyncio.create_task(self._work())

    async def aclose(self) -> None:
        """Stop the runs, and close the database."""
        self._closed = True
        self.changed()
        tasks = [*self._runs.values(), *([self._working] if self._working else [])]
        for task in reversed(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._opening is not None:
            with suppress(VivavoceError):
                await in_thread((await self._opening).close)
            self._opening = None

    def interrupt(self, id: str) -> None:
        """Let a run see that the job's state has changed."""
        if (run := self._runs.get(id)) is not None:
            run.cancel()
        self.changed()

    async def stopped(self, id: str) -> None:
        """Wait until a run that was interrupted has ended, and its lock is free."""
        while id in self._runs:
            await _changed(self._event)

    def changed(self) -> None:
        """Wake up everyone who waits for a change."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def events(self, id: str) -> AsyncGenerator[Progress]:
        """Yield where a job stands, now and at each change, to its end."""
        last: Progress | None = None
        while True:
            event, progress = self._event, self._progress.get(id)
            if progress is None:
                store = await self.store()
                rows = await in_thread(store.jobs, id=id)
                if not rows:  # removed
                    return
                progress = progress_of(job_of(rows[0]), await in_thread(store.chapters, id))
            if progress != last:
                yield progress
            last = progress
            if progress.state in ENDED or self._closed:
                return
            await _changed(event)

    async def run(self, id: str) -> None:
        """Run one job now. A call that is cancelled leaves it paused.

        Raises `WrongState` if another process runs it.
        """
        with JobLock(self.folders(id).job) as lock:
            if not await in_thread(lock.acquire):
                raise WrongState(f"job {id!r} runs in another process: watch it", field="state")
            try:
                await self._run(id, STATES)
            except asyncio.CancelledError:
                store = await self.store()
                await in_thread(store.move, id, ["running"], "paused", time.time())
                raise

    async def _work(self) -> None:
        """Run what waits, the oldest job first."""
        while not self._closed:
            event, ran = self._event, False
            try:
                ran = await self._run_next()
            except VivavoceError as error:
                log.error("jobs wait, because %s", error.message)
            except Exception:  # the top of the task that runs every job
                log.exception("jobs wait, because of an internal error")
            if not ran:
                await _changed(event)

    async def _run_next(self) -> bool:
        """Run the first job that can be run, and return whether there was one."""
        for id in await in_thread((await self.store()).ids, WAITING):
            try:
                with JobLock(self.folders(id).job) as lock:
                    if await in_thread(lock.acquire):
                        await self._run(id, WAITING)
                        return True
            except VivavoceError as error:  # of this job: the others run
                log.error("job %s waits, because %s", id, error.message)
        return False

    async def _run(self, id: str, states: Iterable[JobState]) -> None:
        """Run a job that is locked, if it is in one of `states`. Its state tells the outcome."""
        store = await self.store()
        if not await in_thread(store.move, id, states, "running", time.time()):
            return
        run = self._runs[id] = asyncio.create_task(self._run_now(id))
        try:
            try:
                await asyncio.wait([run])
            finally:
                run.cancel()
                await asyncio.wait([run])
                await in_thread(shutil.rmtree, self.folders(id).spare, True)  # which makes room
                self._progress.pop(id, None)
            if (outcome := _outcome(id, run)) is not None:
                after, problem = outcome
                await in_thread(store.move, id, ["running"], after, time.time(), problem)
            await in_thread(_keep_speed, self._folder, self.real_time)
        finally:
            del self._runs[id]
            self.changed()

    async def _run_now(self, id: str) -> None:
        def tell(progress: Progress) -> None:
            self._progress[id] = progress
            self.real_time = progress.real_time or self.real_time
            self.changed()

        await (await self._open_run(id, tell)).run()


def last_speed(folder: Path) -> float | None:
    """Return the seconds of speech that the last run in `folder` made in a second, if known."""
    try:
        speed = float((folder / SPEED_NAME).read_text("ascii"))
    except (OSError, ValueError):
        return None
    return speed if 0 < speed < math.inf else None


def _keep_speed(folder: Path, speed: float) -> None:
    if speed:
        with suppress(OSError):  # it is for a prediction
            (folder / SPEED_NAME).write_text(f"{speed:.2f}", "ascii")


async def _changed(event: asyncio.Event) -> None:
    """Wait for a change in this process, or until one of another may be seen."""
    with suppress(TimeoutError):
        async with asyncio.timeout(WATCH_S):  # `wait_for` may swallow a cancellation
            await event.wait()


def _outcome(id: str, run: asyncio.Task[None]) -> tuple[JobState, str] | None:
    """Return the state after a run, and the problem, or None if it was told to stop."""
    if run.cancelled():
        return None
    match run.exception():
        case None:
            return "done", ""
        case Stopped():
            return None
        case DiskFull() | NotReady() as error:
            return "paused", error.message
        case VivavoceError() as error:
            return "failed", error.message
        case OSError() as error if error.errno in _DISK_ERRORS:
            return "paused", f"the disk takes no more ({error.strerror}): make room, and resume"
        case error:
            log.error("job %s failed", id, exc_info=error)
            return "failed", "an internal error: see the log, and try again"
