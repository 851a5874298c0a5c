"""Keep the jobs of one data folder, and run those that wait, one after the other."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final

from vivavoce.books.book import Book
from vivavoce.jobs.job import (
    Action,
    Job,
    JobChapter,
    JobLimits,
    JobOptions,
    JobSentence,
    Output,
    Progress,
    Report,
)
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import Pronunciation
from vivavoce.voices.record import Viewer

FOLDER: Final = "jobs"


class Jobs:
    """The jobs in `folder`. Other processes may look at them, and change their states.

    A viewer sees its own jobs, or all if it manages. Every method that takes an id raises
    `UnknownJob`, and `WrongState` where the job's state does not allow it.
    """

    def __init__(self, folder: Path, synthesizer: Synthesizer, limits: JobLimits) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Begin to run the jobs that wait or were interrupted, in the background."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop. A running job goes on where it was at the next start."""
        raise NotImplementedError

    async def read(self, data: bytes, name: str, options: JobOptions) -> Book:
        """Return the book in a file named `name`, of the chapters that `options` choose.

        Nothing is kept, so it serves to plan.
        """
        raise NotImplementedError

    async def create(
        self,
        data: bytes,
        name: str,
        options: JobOptions,
        viewer: Viewer,
        *,
        idempotency_key: str | None = None,
        paused: bool = False,
    ) -> Job:
        """Keep the file, and queue a job for it. The same key of the same viewer makes one job.

        Raises `BadRequest` for a file that is no book, voices and options that cannot be had, and
        `Forbidden` beyond the viewer's limits.
        """
        raise NotImplementedError

    async def all(self, viewer: Viewer) -> Sequence[Job]:
        """Return the viewer's jobs, the newest first."""
        raise NotImplementedError

    async def get(self, id: str, viewer: Viewer) -> Job:
        raise NotImplementedError

    async def book(self, id: str, viewer: Viewer) -> Book:
        """Return the book of a job, to plan it or to show its text."""
        raise NotImplementedError

    async def chapters(self, id: str, viewer: Viewer) -> Sequence[JobChapter]:
        raise NotImplementedError

    async def sentences(self, id: str, chapter: int, viewer: Viewer) -> Sequence[JobSentence]:
        raise NotImplementedError

    async def act(self, id: str, action: Action, viewer: Viewer) -> Job:
        """Pause, resume, cancel or retry a job. It is as it was if it is in that state already."""
        raise NotImplementedError

    async def remove(self, id: str, viewer: Viewer) -> None:
        """Remove a job that does not run, with its files."""
        raise NotImplementedError

    async def redo(
        self, id: str, viewer: Viewer, *, chapter: int, sentence: int | None = None
    ) -> Job:
        """Make a chapter or one sentence of it anew, with another seed, and queue the job."""
        raise NotImplementedError

    async def pronounce(self, id: str, rules: Sequence[Pronunciation], viewer: Viewer) -> Job:
        """Replace the job's own rules, and queue it. Only what they touch is made anew."""
        raise NotImplementedError

    async def report(self, id: str, viewer: Viewer) -> Report:
        raise NotImplementedError

    async def outputs(self, id: str, viewer: Viewer) -> Sequence[Output]:
        """Return the files of a job that are finished."""
        raise NotImplementedError

    async def chapter_audio(self, id: str, chapter: int, viewer: Viewer) -> Path:
        """Return the FLAC file of a chapter. Raises `WrongState` if it is not ready."""
        raise NotImplementedError

    def events(self, id: str, viewer: Viewer) -> AsyncGenerator[Progress]:
        """Yield where the job stands, now and at each change, to its end."""
        raise NotImplementedError

    async def run(self, id: str) -> Job:
        """Run one job now, to its end, its pause, or a cancellation of this call.

        Raises `WrongState` if another process runs it.
        """
        raise NotImplementedError
