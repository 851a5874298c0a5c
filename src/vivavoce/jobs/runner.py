"""Run one job: speak its sentences, join its chapters, write its files.

- What is done is never done again, whenever the run before has ended.
- The same job gives the same files, however often it was stopped.
"""

import asyncio
import hashlib
import shutil
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from vivavoce import __version__
from vivavoce.books.book import Book, NarratedChapter, Narration
from vivavoce.books.processes import Orphaned, Processes
from vivavoce.books.write import BookFormat, WriteOptions, safe_name, write_book
from vivavoce.errors import DiskFull, EngineFault
from vivavoce.jobs.job import Job, JobLimits, Progress, Stage
from vivavoce.jobs.sound.chapters import ChapterFiles, Damaged, Joined, Said, Stopped, join
from vivavoce.jobs.sound.making import Maker, in_background, in_thread, outliers
from vivavoce.jobs.sound.speaking import Speaker
from vivavoce.jobs.sound.takes import Takes
from vivavoce.jobs.store import Row, Store, Take, to_json
from vivavoce.provenance import Mark, Provenance

FORM: Final = 2  # of chapters: another one joins them again
MAX_FAILED_RUN: Final = 20  # sentences one after the other: nothing can be spoken at all
WRITING: Final = 0.03  # share of the work that is for files, in percentages
LONG_S: Final = 60.0  # of sound: less is joined sooner than a process starts
TOLD_SHARE: Final = 0.01  # of a file, between two events


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one job."""

    job: Path

    @property
    def spare(self) -> Path:
        """Files that are not whole yet."""
        return self.job / "new"

    @property
    def chapters(self) -> Path:
        return self.job / "chapters"

    @property
    def out(self) -> Path:
        return self.job / "out"


@dataclass(frozen=True, slots=True)
class Files:
    """Where all of a job is kept."""

    store: Store
    takes: Takes
    folders: Folders


class Run:
    """One run of `job`, which this process has locked. `changed` is told where it stands."""

    def __init__(
        self, job: Job, book: Book, files: Files, speaker: Speaker, provenance: Provenance,
        limits: JobLimits, changed: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self._job, self._book, self._options = job, book, job.options
        self._store, self._takes, self._folders = files.store, files.takes, files.folders
        self._speaker, self._provenance, self._limits = speaker, provenance, limits
        self._changed = changed
        self._maker = Maker(job, self._store, self._takes, speaker, self._folders.spare,
                            limits.sentences_at_once)  # fmt: skip
        self._stopping = False
        self._failed_run = 0
        self._processes = Processes(limits.writers)
        self._meter = _Meter(job)

    async def run(self) -> None:
        """Run to the end. Raises `Stopped` if the job is no longer to run, and what stops it."""
        await in_thread(self._clear)
        await self._speaker.prepare()
        await self._maker.set_bases()
        rows = await in_thread(self._store.sentences, self._job.id)
        chapters = await in_thread(self._store.chapters, self._job.id)
        self._meter.begin(rows)
        self._tell()
        with self._processes:
            await self._run(rows, chapters)

    async def _run(self, rows: Sequence[Row], chapters: Sequence[Row]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._speak(
                    group, rows, chapters, asyncio.Semaphore(self._limits.sentences_at_once)
                )
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            self._stopping = True
        self._stopping = False
        await self._write()

    def _clear(self) -> None:
        shutil.rmtree(self._folders.spare, ignore_errors=True)
        for folder in (self._folders.spare, self._folders.chapters, self._folders.out):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _tell(self, stage: Stage = "speaking", written: float = 0.0) -> None:
        self._changed(self._meter.progress(stage, written))

    # Sentences and chapters

    async def _speak(
        self, group: asyncio.TaskGroup, rows: Sequence[Row], chapters: Sequence[Row],
        slots: asyncio.Semaphore,
    ) -> None:  # fmt: skip
        """Speak all sentences in order, some at a time, and join each chapter behind them."""
        by_chapter = defaultdict[int, list[Row]](list)
        for row in rows:
            by_chapter[row["chapter"]].append(row)
        before: asyncio.Task[None] | None = None
        for chapter in chapters:
            number, own = chapter["number"], by_chapter[chapter["number"]]
            key = self._chapter_key(own)
            if chapter["key"] == key and self._files(number).audio.exists():
                self._meter.ready.append(number)
                continue
            self._meter.chapter = number
            speaking = []
            for row in own:
                if not row["key"] and not row["problem"]:
                    await slots.acquire()
                    speaking.append(group.create_task(self._make(row, slots)))
            before = group.create_task(self._finish(number, key, speaking, before))

    async def _make(self, row: Row, slots: asyncio.Semaphore) -> None:
        try:
            take = await self._maker.make(row)
        finally:
            slots.release()
        self._failed_run = 0 if take.samples else self._failed_run + 1
        if self._failed_run >= MAX_FAILED_RUN:
            raise EngineFault(
                f"{MAX_FAILED_RUN} sentences one after the other could not be spoken, the last "
                f"because {take.problem}: choose another voice or model, or try again"
            )
        await self._choose(row, take, problem=take.problem)
        self._meter.spoke(row, take)
        self._tell()

    async def _choose(self, row: Row, take: Take, **facts: str) -> None:
        key = take.key if take.samples else ""
        place = self._job.id, row["chapter"], row["number"]
        if await in_thread(self._store.choose, *place, key, facts) != "running":
            raise Stopped

    async def _finish(
        self, number: int, key: str, speaking: Sequence[Awaitable[None]],
        before: asyncio.Task[None] | None,
    ) -> None:  # fmt: skip
        """Join a chapter whose sentences are being spoken, after the one `before` it."""
        await asyncio.gather(*speaking)
        if before is not None:
            await before
        joined: Joined | None = None
        while joined is None:
            await self._remake_outliers(number)
            try:
                joined = await self._join(number)
            except Damaged as damage:
                await self._mend(number, damage.key)
        await in_thread(
            self._store.put_chapter, self._job.id, number, {"key": key, **asdict(joined)}
        )
        self._meter.ready.append(number)
        self._tell()
        _, size = await in_thread(self._store.usage, self._job.owner)
        if size > self._limits.max_bytes:
            raise DiskFull(
                f"your jobs take {size:,} bytes, and the setting max_jobs_bytes allows "
                f"{self._limits.max_bytes:,}: remove some, and resume"
            )

    async def _remake_outliers(self, number: int) -> None:
        rows = await in_thread(self._store.sentences, self._job.id, number)
        for row, is_outlier, why in outliers(rows):
            if row["outlier"] or row["problem"]:
                continue
            other = await self._maker.remake(row, is_outlier)
            if other is None:
                place = self._job.id, number, row["number"]
                await in_thread(self._store.choose, *place, row["key"], {"outlier": why})
            else:
                await self._choose(row, other)

    async def _join(self, number: int) -> Joined:
        rows = await in_thread(self._store.sentences, self._job.id, number)
        said = [
            Said(row["block"], row["start"], row["end"], row["key"], row["pause_s"]) for row in rows
        ]
        marks = await self._marks(rows)
        rate_hz, files = self._speaker.narrator.rate_hz, self._files(number)
        rest = marks, rate_hz, files, self._folders.spare
        if sum(row["samples"] or 0 for row in rows) < LONG_S * rate_hz:
            return await in_thread(join, said, self._takes, *rest, lambda: self._stopping)
        try:
            joining = self._processes.submit(join, said, self._takes, *rest, Orphaned())
            return await asyncio.wrap_future(joining)
        except asyncio.CancelledError:
            self._processes.kill()
            raise

    async def _mend(self, number: int, key: str) -> None:
        """Make a take again whose file is damaged or gone."""
        await in_thread(self._takes.remove, [key])
        await in_thread(self._store.drop_take, key)
        for row in await in_thread(self._store.sentences, self._job.id, number):
            if row["key"] == key:
                take = await self._maker.make(row)
                await self._choose(row, take, problem=take.problem)

    async def _marks(self, rows: Sequence[Row]) -> list[Mark]:
        if not self._provenance.marks:
            return []
        voices = dict.fromkeys((row["voice"], row["language"]) for row in rows)
        return list(dict.fromkeys([(await self._speaker.voiced(*voice)).mark for voice in voices]))

    def _chapter_key(self, rows: Sequence[Row]) -> str:
        """Return a hash of what a chapter is made of."""
        parts = [[row["basis"], row["block"], row["start"], row["pause_s"]] for row in rows]
        return _hash([FORM, self._options.attempts, parts])

    def _files(self, number: int) -> ChapterFiles:
        return ChapterFiles(self._folders.chapters, number)

    # Files

    async def _write(self) -> None:
        """Write the files that are missing, or were made of something else."""
        chapters = await in_thread(self._store.chapters, self._job.id)
        outputs = {row["format"]: row for row in await in_thread(self._store.outputs, self._job.id)}
        rows = await in_thread(self._store.sentences, self._job.id)
        marks, options = await self._marks(rows), self._options
        share = 1 / max(len(options.formats), 1)
        for index, format in enumerate(options.formats):
            parts = [chapter["key"] for chapter in chapters]
            form = [format, options.chapter_format, options.m4b_opus, options.epub_audio]
            signed = self._provenance.signer is not None
            key = _hash([FORM, __version__, parts, form, options.epub_unit, signed, repr(marks)])
            name = file_name(self._book.title or self._job.source, format)
            known = outputs.get(format)
            if known is not None and known["key"] == key and (self._folders.out / name).exists():
                continue
            tell = self._writing(index * share, share)
            size = await in_background(
                self._write_one, format, name, chapters, marks, tell, stop=self._stop
            )
            await in_thread(self._store.put_output, self._job.id, format, name, key, size)
            if await in_thread(self._store.state, self._job.id) != "running":
                raise Stopped

    def _stop(self) -> None:
        self._stopping = True
        self._processes.kill()

    def _writing(self, before: float, share: float) -> Callable[[float], None]:
        """Return what is told of the share of a file that is written, in a thread."""
        loop, told = asyncio.get_running_loop(), 0.0

        def tell(done: float) -> None:
            nonlocal told
            if self._stopping:
                raise Stopped
            if done - told > TOLD_SHARE:  # writers tell of each packet
                told = done
                loop.call_soon_threadsafe(self._tell, "writing", before + done * share)

        return tell

    def _write_one(
        self, format: BookFormat, name: str, chapters: Sequence[Row], marks: Sequence[Mark],
        tell: Callable[[float], None],
    ) -> int:  # fmt: skip
        options, book = self._options, self._book
        narrated = [
            NarratedChapter(
                book.chapters[row["number"] - 1], self._files(row["number"]).audio,
                row["samples"], self._files(row["number"]).sentences(),
            )
            for row in chapters
        ]  # fmt: skip
        narrator = self._speaker.narrator
        spoken = replace(book, chapters=tuple(one.chapter for one in narrated))
        narration = Narration(spoken, narrator.rate_hz, narrated, narrator.speaker, marks)
        new, target = self._folders.spare / name, self._folders.out / name
        how = WriteOptions(
            options.chapter_format, options.m4b_opus, options.epub_audio, options.epub_unit,
            signer=self._provenance.signer, progress=tell,
        )  # fmt: skip
        write_book(narration, format, new, replace(how, executor=self._processes))
        if target.is_dir():
            shutil.rmtree(target)
        new.replace(target)
        return size_of(target)


class _Meter:
    """How far a run is, and how fast."""

    def __init__(self, job: Job) -> None:
        self.ready: list[int] = []
        self.chapter = 0
        self._job = job
        self._began_s = time.monotonic()
        self._made = self._failed = self._chars = 0
        self._audio_s = 0.0
        self._new_chars, self._new_audio_s = 0, 0.0  # in this run

    def begin(self, rows: Sequence[Row]) -> None:
        """Count what is there."""
        for row in rows:
            if row["key"] or row["problem"]:
                self._made += bool(row["samples"])
                self._failed += bool(row["problem"])
                self._chars += len(row["text"])
                self._audio_s += row["samples"] / row["rate_hz"] if row["samples"] else 0.0
        self._began_s = time.monotonic()

    def spoke(self, row: Row, take: Take) -> None:
        """Count a sentence that was spoken."""
        self._made += take.samples > 0
        self._failed += bool(take.problem)
        self._chars += len(row["text"])
        self._audio_s += take.samples / take.rate_hz
        self._new_chars += len(row["text"])
        self._new_audio_s += take.samples / take.rate_hz

    def progress(self, stage: Stage, written: float) -> Progress:
        job, elapsed_s = self._job, max(time.monotonic() - self._began_s, 1e-3)
        share = self._chars / max(job.characters, 1) * (1 - WRITING) + written * WRITING
        left = job.characters - self._chars
        left_s = None
        if self._new_chars:
            left_s = left * elapsed_s / self._new_chars
        return Progress(
            job.id, "running", stage, round(100 * share, 1), self.chapter, job.chapters,
            tuple(sorted(self.ready)), job.sentences, self._made, self._failed,
            round(self._audio_s, 1), round(self._new_audio_s / elapsed_s, 2), left_s,
        )  # fmt: skip


def file_name(title: str, format: BookFormat) -> str:
    """Return the name of a book's file, for any system."""
    stem = safe_name(title) or "book"
    return stem if format == "folder" else f"{stem}.{format}"


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of those in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _hash(parts: object) -> str:
    return hashlib.sha256(to_json(parts).encode()).hexdigest()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that ended a group, without those that followed from it."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
