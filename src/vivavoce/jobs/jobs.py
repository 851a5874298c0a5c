"""Keep the jobs of one data folder, and run those that wait, one after the other."""

import hashlib
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from vivavoce import __version__
from vivavoce.books.book import Book
from vivavoce.books.plan import language_of
from vivavoce.books.read import read_book
from vivavoce.errors import (
    BadRequest,
    DiskFull,
    JobLimit,
    UnknownJob,
    WrongState,
)
from vivavoce.files import write_new
from vivavoce.jobs.job import (
    ACTIONS,
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
from vivavoce.jobs.outbox import StoredMessages
from vivavoce.jobs.runner import Files, Run
from vivavoce.jobs.script import Script, write_script
from vivavoce.jobs.sound.chapters import ChapterFiles
from vivavoce.jobs.sound.making import in_thread
from vivavoce.jobs.sound.speaking import SAMPLE_CHARS, Narrator, Speaker, choose_narrator
from vivavoce.jobs.sound.takes import Takes
from vivavoce.jobs.store import JobLock, Row, Store, to_json
from vivavoce.jobs.views import OPTIONS, chapters_of, job_of, report_of, sentence_of
from vivavoce.jobs.webhooks import Webhook
from vivavoce.jobs.worker import STATES, Worker
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import Pronunciation
from vivavoce.voices.record import Viewer

FOLDER: Final = "jobs"
SOURCE: Final = "source"  # the file, in the folder of its job
ORPHAN_S: Final = 3_600.0  # a job's folder without a row is older than any that is being made
_NARRATOR: Final = TypeAdapter(Narrator)


class Jobs:
    """The jobs in `folder`. Other processes may look at them, and change their states.

    A viewer sees its own jobs, or all if it manages. Every method that takes an id raises
    `UnknownJob`, and `WrongState` where the job's state does not allow it.
    """

    def __init__(self, folder: Path, synthesizer: Synthesizer, limits: JobLimits) -> None:
        self._folder, self._synthesizer, self._limits = folder, synthesizer, limits
        self._takes = Takes(folder / "audio")
        self._worker = Worker(folder, self._open_run)

    async def start(self) -> None:
        """Begin to run the jobs that wait or were interrupted, in the background."""
        await in_thread(self._remove_orphans, await self._worker.store())
        self._worker.start()

    @property
    def real_time(self) -> float | None:
        """The seconds of speech that the last run made in a second, or None before any."""
        return self._worker.real_time or None

    async def outbox(self) -> StoredMessages:
        """Return the messages that webhooks are to send."""
        return StoredMessages(await self._worker.store())

    async def aclose(self) -> None:
        """Stop. A running job goes on where it was at the next start."""
        await self._worker.aclose()

    async def run(self, id: str) -> Job:
        """Run one job now, to its end, its pause, or a cancellation of this call, which pauses it.

        Raises `WrongState` if another process runs it.
        """
        manager = Viewer(manages=True)
        await self._row(id, manager)
        await self._worker.run(id)
        return await self.get(id, manager)

    # What there is

    async def read(self, data: bytes, name: str, options: JobOptions) -> Book:
        """Return the book in a file named `name`. Nothing is kept, so it serves to plan."""
        if len(data) > self._limits.max_book_bytes:
            raise BadRequest(
                f"file has {len(data):,} bytes, and the setting max_book_bytes allows "
                f"{self._limits.max_book_bytes:,}: split the book",
                field="file",
            )
        return await in_thread(read_book, data, name, options.choices)

    async def all(self, viewer: Viewer) -> Sequence[Job]:
        """Return the viewer's jobs, the newest first."""
        rows = await in_thread((await self._worker.store()).jobs)
        return [job_of(row) for row in reversed(rows) if _may_see(row, viewer)]

    async def get(self, id: str, viewer: Viewer) -> Job:
        return job_of(await self._row(id, viewer))

    async def book(self, id: str, viewer: Viewer) -> Book:
        """Return the book of a job, to plan it or to show its text."""
        return await self._book(await self.get(id, viewer))

    async def chapters(self, id: str, viewer: Viewer) -> Sequence[JobChapter]:
        await self._row(id, viewer)
        store = await self._worker.store()
        rows = await in_thread(store.chapters, id)
        return await in_thread(chapters_of, rows, await in_thread(store.sentences, id))

    async def sentences(self, id: str, chapter: int, viewer: Viewer) -> Sequence[JobSentence]:
        await self._row(id, viewer)
        rows = await in_thread((await self._worker.store()).sentences, id, chapter)
        if not rows:
            raise BadRequest(f"chapter {chapter!r} is not in this job", field="chapter")
        return [sentence_of(row) for row in rows]

    async def report(self, id: str, viewer: Viewer) -> Report:
        job = await self.get(id, viewer)
        script = await in_thread(write_script, await self._book(job), job.options)
        rows = await in_thread((await self._worker.store()).sentences, id)
        return report_of(job.id, script, rows, await self.chapters(id, viewer))

    async def outputs(self, id: str, viewer: Viewer) -> Sequence[Output]:
        """Return the files of a job that are finished."""
        await self._row(id, viewer)
        rows = await in_thread((await self._worker.store()).outputs, id)
        out = self._worker.folders(id).out
        return [Output(r["format"], r["name"], out / r["name"], r["bytes"]) for r in rows]

    async def chapter_audio(self, id: str, chapter: int, viewer: Viewer) -> Path:
        """Return the FLAC file of a chapter. Raises `WrongState` if it is not ready."""
        await self._row(id, viewer)
        rows = await in_thread((await self._worker.store()).chapters, id)
        if not (found := [row for row in rows if row["number"] == chapter]):
            raise BadRequest(f"chapter {chapter!r} is not in this job", field="chapter")
        if not found[0]["key"]:
            raise WrongState(f"chapter {chapter!r} is not ready: wait for it", field="chapter")
        return ChapterFiles(self._worker.folders(id).chapters, chapter).audio

    async def events(self, id: str, viewer: Viewer) -> AsyncGenerator[Progress]:
        """Yield where the job stands, now and at each change, to its end."""
        await self._row(id, viewer)
        async with aclosing(self._worker.events(id)) as events:
            async for progress in events:
                yield progress

    # Changes

    async def create(
        self,
        data: bytes,
        name: str,
        options: JobOptions,
        viewer: Viewer,
        *,
        idempotency_key: str | None = None,
        paused: bool = False,
        webhook: Webhook | None = None,
    ) -> tuple[Job, bool]:
        """Keep the file, queue a job for it, and return it. The same key makes one job.

        False if it was there already.

        Raises `BadRequest` for a file that is no book, voices and options that cannot be had, and
        `JobLimit` beyond the viewer's limits.
        """
        store = await self._worker.store()
        dumped, told = OPTIONS.dump_json(options), to_json(asdict(webhook)) if webhook else ""
        asked = to_json([dumped.decode(), name, paused, told]).encode()
        fingerprint = hashlib.sha256(asked + data).hexdigest()
        known = await in_thread(store.find, viewer.name, idempotency_key)
        if known is not None:
            return await self._same(known, fingerprint, viewer), False
        book = await self.read(data, name, options)
        script = await in_thread(write_script, book, options)
        self._check(book, script, options, await in_thread(store.usage, viewer.name))
        narrator = await self._cast(book, script, options, viewer)
        id, now_s = f"job_{secrets.token_hex(8)}", time.time()
        row = {
            "id": id, "owner": viewer.name, "idempotency_key": idempotency_key,
            "fingerprint": fingerprint, "webhook": told,
            "state": "paused" if paused else "queued", "source": name, "title": book.title,
            "authors": to_json(book.authors), "options": dumped.decode(),
            "casting": _NARRATOR.dump_json(narrator).decode(), "version": __version__,
            "created_s": now_s, "updated_s": now_s, "bytes": len(data),
        }  # fmt: skip
        known = await in_thread(self._add, store, row, data, book, script)
        if known is not None:
            return await self._same(known, fingerprint, viewer), False
        self._worker.changed()
        return await self.get(id, viewer), True

    async def _same(self, known: tuple[str, str], fingerprint: str, viewer: Viewer) -> Job:
        """Return the job that has the same key. Raises `BadRequest` if it is for something else."""
        if known[1] != fingerprint:
            raise BadRequest(
                f"Idempotency-Key is that of job {known[0]!r}, which has another file or other "
                "options: send another key",
                field="Idempotency-Key",
            )
        return await self.get(known[0], viewer)

    async def act(self, id: str, action: Action, viewer: Viewer) -> Job:
        """Pause, resume, cancel or retry a job. It is as it was if it is in that state already."""
        job, store = await self.get(id, viewer), await self._worker.store()
        allowed, after = ACTIONS[action]
        if action == "retry" and job.state in allowed:
            await in_thread(store.retry_failed, id)
        if not await in_thread(store.move, id, allowed, after, time.time()):
            job = await self.get(id, viewer)
            if job.state != after and not (action == "resume" and job.state == "running"):
                raise WrongState(
                    f"job {id!r} is {job.state}, and {action} is for one that is "
                    f"{' or '.join(sorted(allowed))}",
                    field="state",
                )
        self._worker.interrupt(id)
        return await self.get(id, viewer)

    async def remove(self, id: str, viewer: Viewer) -> None:
        """Remove a job that does not run, with its files."""
        job, store = await self.get(id, viewer), await self._worker.store()
        if job.state != "running":
            await self._worker.stopped(id)
        with JobLock(self._worker.folders(id).job) as lock:
            if job.state == "running" or not await in_thread(lock.acquire):
                raise WrongState(f"job {id!r} runs: cancel it first", field="state")
            await in_thread(self._takes.remove, await in_thread(store.remove, id))
        await in_thread(shutil.rmtree, self._worker.folders(id).job, True)
        self._worker.changed()

    async def redo(
        self, id: str, viewer: Viewer, *, chapter: int, sentence: int | None = None
    ) -> Job:
        """Make a chapter or one sentence of it anew, with another seed, and queue the job."""
        await self._row(id, viewer)
        count = await in_thread((await self._worker.store()).forget, id, chapter, sentence)
        if not count:
            what = f"chapter {chapter!r}" if sentence is None else f"sentence {sentence!r}"
            raise BadRequest(f"{what} is not in this job", field="chapter")
        return await self._requeue(id, viewer)

    async def pronounce(self, id: str, rules: Sequence[Pronunciation], viewer: Viewer) -> Job:
        """Replace the job's own rules, and queue it. Only what they touch is made anew."""
        job, store = await self.get(id, viewer), await self._worker.store()
        options = replace(job.options, pronunciations=tuple(rules))
        await in_thread(store.change, id, options=OPTIONS.dump_json(options).decode())
        return await self._requeue(id, viewer)

    async def _requeue(self, id: str, viewer: Viewer) -> Job:
        await in_thread((await self._worker.store()).move, id, STATES, "queued", time.time())
        self._worker.interrupt(id)
        return await self.get(id, viewer)

    # Parts of the above

    async def _open_run(self, id: str, tell: Callable[[Progress], None]) -> Run:
        store = await self._worker.store()
        row = (await in_thread(store.jobs, id=id))[0]
        job = job_of(row)
        book = await self._book(job)
        if row["version"] != __version__:  # which may divide the text in another way
            script = await in_thread(write_script, book, job.options)
            await in_thread(store.put_script, id, __version__, *_rows(book, script))
            job = job_of((await in_thread(store.jobs, id=id))[0])
        narrator = _NARRATOR.validate_json(row["casting"])
        speaker = Speaker(self._synthesizer, job.options, narrator, job.owner)
        provenance, folders = self._synthesizer.provenance, self._worker.folders(id)
        return Run(
            job, book, Files(store, self._takes, folders), speaker, provenance, self._limits, tell
        )

    async def _row(self, id: str, viewer: Viewer) -> Row:
        rows = await in_thread((await self._worker.store()).jobs, id=id)
        if not rows or not _may_see(rows[0], viewer):
            raise UnknownJob(f"no job {id[:80]!r} is known here for you", field="id")
        return rows[0]

    async def _book(self, job: Job) -> Book:
        path = self._worker.folders(job.id).job / SOURCE
        try:
            return await in_thread(
                lambda: read_book(path.read_bytes(), job.source, job.options.choices)
            )
        except FileNotFoundError as error:
            raise WrongState(
                f"the book of job {job.id!r} is gone from the disk: remove the job, and make it "
                "again",
                field="id",
            ) from error

    def _check(
        self, book: Book, script: Script, options: JobOptions, usage: tuple[int, int]
    ) -> None:
        """Raise `BadRequest` or `JobLimit` if this cannot become a job."""
        jobs, size = usage
        limits = self._limits
        if jobs >= limits.max_jobs or size >= limits.max_bytes:
            raise JobLimit(
                f"you have {jobs:,} jobs of {size:,} bytes, and the settings max_jobs and "
                f"max_jobs_bytes allow {limits.max_jobs:,} and {limits.max_bytes:,}: remove some"
            )
        count = len(book.chapters)
        if unknown := [n for n in options.chapters or () if not 1 <= n <= count]:
            raise BadRequest(
                f"chapters names {unknown[0]!r}, and the book has 1 to {count}", field="chapters"
            )
        if not script.lines:
            raise BadRequest("file has no text that would be spoken: choose another", field="file")
        chars = sum(len(line.text) for line in script.lines)
        if chars > limits.max_book_chars:
            raise BadRequest(
                f"file has {chars:,} characters to speak, and the setting max_book_chars allows "
                f"{limits.max_book_chars:,}: choose chapters",
                field="file",
            )

    async def _cast(
        self, book: Book, script: Script, options: JobOptions, viewer: Viewer
    ) -> Narrator:
        """Return the narrator. Raises if a voice of the script cannot be had."""
        sample = " ".join(line.text for line in script.lines[:40])[:SAMPLE_CHARS]
        narrator = await choose_narrator(
            self._synthesizer, options, language_of(book), sample, viewer
        )
        speaker = Speaker(self._synthesizer, options, narrator, viewer.name)
        for voice in (options.cast.quotes, *options.cast.voices.values()):
            await speaker.voiced(voice, None)
        for each in dict.fromkeys((line.voice, line.language) for line in script.lines):
            await speaker.voiced(*each)
        return narrator

    def _add(
        self, store: Store, row: Row, data: bytes, book: Book, script: Script
    ) -> tuple[str, str] | None:
        """Keep a job and its file. Return the one with the same key instead, if there is one."""
        folder = self._worker.folders(row["id"]).job
        folder.mkdir(mode=0o700, parents=True)
        try:
            write_new(folder / SOURCE, data)
            known = store.add(row, *_rows(book, script))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise DiskFull(
                    f"cannot write {str(folder)!r} ({error.strerror}): make room there, or "
                    "choose a data_dir that can be written"
                ) from error
            raise
        if known is not None:
            shutil.rmtree(folder)
        return known

    def _remove_orphans(self, store: Store) -> None:
        """Remove folders of jobs that were never added, or whose removal was cut short."""
        known = set(store.ids())
        for folder in self._folder.glob("job_*"):
            if folder.name not in known and time.time() - folder.stat().st_mtime > ORPHAN_S:
                shutil.rmtree(folder, ignore_errors=True)


def _may_see(row: Row, viewer: Viewer) -> bool:
    return viewer.manages or row["owner"] == viewer.name


def _rows(book: Book, script: Script) -> tuple[list[tuple[int, str]], list[Row]]:
    """Return the rows of chapters and sentences."""
    numbers = dict.fromkeys(line.chapter for line in script.lines)
    chapters = [(number, book.chapters[number - 1].title) for number in numbers]
    return chapters, [asdict(line) for line in script.lines]
