"""Run jobs with the tone model, in this process or in one that is killed."""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from vivavoce.jobs import Job, JobLimits, JobOptions, Jobs
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import ToneModel, ToneStream, faults_named
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.lexicon import LiveLexicon
from vivavoce.types import Segment
from vivavoce.voices.record import Viewer

VIEWER: Final = Viewer()
LIMITS: Final = JobLimits()
NAME: Final = "book.txt"
OPENED: Final = "opened.log"  # a line for each sentence that the model began
LANES: Final = 2  # sentences that it speaks at once

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload([__name__])


class LoggingTone(ToneModel):
    """Tone that writes down what it is asked to say."""

    def __init__(self, log: Path) -> None:
        faults = faults_named(["raise", "silence"], at_step=0)
        super().__init__(char_s=0.012, max_batch=1, lanes=LANES, faults=faults)
        self._log = log

    def open(self, segment: Segment) -> ToneStream:
        with self._log.open("a") as file:
            file.write(f"{segment.voice} {segment.text}\n")
        return super().open(segment)


def text_of(chapters: int, sentences: int) -> str:
    """Return a book in which every sentence differs."""
    parts = []
    for chapter in range(1, chapters + 1):
        said = [
            f"In chapter {chapter} the captain wrote line {n} of the log." for n in range(sentences)
        ]
        middle = len(said) // 2
        parts += [f"Chapter {chapter}", " ".join(said[:middle]), " ".join(said[middle:])]
    return "\n\n".join(parts)


@asynccontextmanager
async def opened(
    folder: Path,
    model: str = "tone",
    limits: JobLimits = LIMITS,
    tone: Callable[[Path], ToneModel] = LoggingTone,
) -> AsyncGenerator[Jobs]:
    """Yield the jobs in `folder`, none of which runs by itself."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    makers = {"tone": lambda: tone(folder / OPENED), "hibari": HibariModel}
    pool = Pool({model: lambda: LocalEngine(makers[model]())})
    jobs = Jobs(folder, Synthesizer(pool, lexicon=LiveLexicon(folder / "lexicon.toml")), limits)
    try:
        yield jobs
    finally:
        await jobs.aclose()
        await pool.aclose()


async def narrated(jobs: Jobs, text: str, options: JobOptions) -> Job:
    """Return a job after its run."""
    job, _ = await jobs.create(
        text.encode(), NAME, options, VIEWER, idempotency_key="one", paused=True
    )
    return await jobs.run(job.id)


def narrate(folder: Path, model: str, text: str, options: JobOptions, ready: Connection) -> None:
    """Run a job in a process of its own. `ready` is told when it begins to speak."""

    async def run() -> None:
        async with opened(folder, model) as jobs:
            job, _ = await jobs.create(
                text.encode(), NAME, options, VIEWER, idempotency_key="one", paused=True
            )
            running = asyncio.create_task(jobs.run(job.id))
            async for event in jobs.events(job.id, VIEWER):
                if event.state == "running":
                    break
            ready.send(True)
            await running

    asyncio.run(run())


def spoken_lines(folder: Path) -> list[str]:
    """Return what the model was asked to say, in order."""
    log = folder / OPENED
    return log.read_text().splitlines() if log.exists() else []


async def outputs_of(jobs: Jobs, id: str) -> dict[str, bytes]:
    return {each.format: each.path.read_bytes() for each in await jobs.outputs(id, VIEWER)}
