"""Define `vivavoce book`, which narrates a book in this process and goes on where it stopped."""

import asyncio
import ctypes
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from vivavoce.cli.books import remote
from vivavoce.cli.options import Config, Server, ServerKey, option
from vivavoce.cli.say import settings_with

if TYPE_CHECKING:
    from vivavoce.books.book import Choices
    from vivavoce.books.write import BookFormat
    from vivavoce.client import JobEntry
    from vivavoce.client import JobProgress as RemoteProgress
    from vivavoce.jobs import Cast, Job, JobOptions, Jobs
    from vivavoce.jobs import Progress as JobProgress
    from vivavoce.settings import Settings
    from vivavoce.voices.record import Viewer

PARTS: Final = (
    "footnotes", "tables", "captions", "alt_texts", "code", "title_page", "copyright", "contents",
)  # fmt: skip
_M_ARENA_MAX: Final = -8  # of glibc's malloc.h


def book(
    file: Annotated[Path, typer.Argument(help="EPUB, text or another book.", metavar="FILE")],
    output: Annotated[
        list[Path] | None,
        option("File to write; repeat it for more.", "--output", "-o", default="FILE's name, .m4b"),
    ] = None,
    format: Annotated[
        list[str] | None,
        option("m4b, mp3, opus, flac, epub, zip, folder, srt or vtt.", default="from --output"),
    ] = None,
    voice: Annotated[str | None, option("Voice, from `vivavoce voices`.")] = None,
    model: Annotated[str | None, option("Model.", default="auto")] = None,
    language: Annotated[
        str | None, option("English name or ISO code.", default="the book's")
    ] = None,
    cast: Annotated[
        Path | None, option("TOML or JSON file with a voice for each character.", metavar="FILE")
    ] = None,
    instruct: Annotated[str | None, option("Style, for models that follow instructions.")] = None,
    speed: Annotated[float, option("Speed, at the same pitch.", min=0.25, max=4.0)] = 1.0,
    seed: Annotated[int, option("Another seed gives other speech.", min=0, max=2**32 - 1)] = 0,
    chapters: Annotated[str | None, option("Only these, like 1-3,7.", default="all")] = None,
    speak: Annotated[
        list[str] | None,
        option(f"Also speak a kind of text: {', '.join(PARTS)}.", metavar="KIND", default="none"),
    ] = None,
    leave_out: Annotated[
        list[str] | None, option("Leave out a kind of text.", metavar="KIND", default="none")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and speak nothing.")
    ] = False,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Narrate a book. The same command goes on where an earlier one stopped.

    Examples:
      vivavoce book novel.epub
      vivavoce book novel.epub -o novel.m4b --voice af_heart --chapters 1-3
      vivavoce book play.txt -o play.mp3 -o play.vtt --cast cast.toml
      vivavoce book novel.epub --dry-run
      vivavoce book novel.epub --server http://dgx:8000
    """
    from vivavoce.jobs import JobOptions
    from vivavoce.text.language.names import parse_language

    settings, model = settings_with(config, model)
    data = _read(file)
    targets = _targets(file, output or [], format or [])
    options = JobOptions(
        model=model or "auto",
        voice=voice,
        language=parse_language(language) if language else None,
        instruct=instruct,
        speed=speed,
        seed=seed,
        cast=_cast(cast),
        choices=_choices(speak or [], leave_out or []),
        chapters=_numbers(chapters) if chapters else None,
        formats=tuple(targets),
    )
    if dry_run:
        _show_plan(data, file.name, options, settings.data_dir)
        return
    begun_s = time.monotonic()
    job: Job | JobEntry
    try:
        if server:
            with _bar() as tell:
                job = remote.narrate(server, key, file, options, targets, tell)
        else:
            job = asyncio.run(_narrate(settings, data, file.name, options, targets))
    except KeyboardInterrupt:
        told = "the server goes on, and" if server else "stopped:"
        typer.echo(f"vivavoce: {told} the same command goes on from here", err=True)
        raise
    took_s = time.monotonic() - begun_s
    names = ", ".join(map(str, targets.values()))
    typer.echo(f"{names}: {_hours(job.audio_s)} of speech, in {_hours(took_s)}", err=True)
    if job.sentences_failed:
        failed = f"{job.sentences_failed} sentences could not be spoken in full"
        typer.echo(f"vivavoce: {failed}: see `vivavoce jobs show {job.id}`", err=True)


async def _narrate(
    settings: "Settings", data: bytes, name: str, options: "JobOptions",
    targets: "dict[BookFormat, Path]",
) -> "Job":  # fmt: skip
    from vivavoce.cli.books.jobs import open_jobs
    from vivavoce.cli.in_process import provenance_of
    from vivavoce.errors import DiskFull, VivavoceError
    from vivavoce.voices.record import Viewer

    _limit_heaps()
    viewer = Viewer(manages=True)
    key = hashlib.sha256(repr((options, name)).encode() + data).hexdigest()
    async with open_jobs(settings, provenance_of(settings)) as jobs:
        job, _ = await jobs.create(data, name, options, viewer, idempotency_key=key, paused=True)
        job = await _run(jobs, job, viewer)
        if job.state == "paused" and job.problem:
            raise DiskFull(job.problem)
        if job.state != "done":
            raise VivavoceError(
                f"job {job.id} is {job.state}: {job.problem or 'it was stopped from elsewhere'}"
            )
        for output in await jobs.outputs(job.id, viewer):
            await asyncio.to_thread(_copy, output.path, targets[output.format])
    return job


def _limit_heaps() -> None:
    """Let the threads of this process share two heaps: glibc's many took 100 MB more."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # other C libraries have none
        mallopt(_M_ARENA_MAX, 2)


async def _run(jobs: "Jobs", job: "Job", viewer: "Viewer") -> "Job":
    """Run a job, or watch it if another process does, and show the progress on a terminal."""
    from vivavoce.errors import WrongState

    if job.state == "failed":
        await jobs.act(job.id, "retry", viewer)
    watching = asyncio.create_task(_watch(jobs, job.id, viewer))
    try:
        return await jobs.run(job.id)
    except WrongState:
        typer.echo(f"job {job.id} runs in another process: waiting for it", err=True)
        await watching
        return await jobs.get(job.id, viewer)
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(jobs: "Jobs", id: str, viewer: "Viewer") -> None:
    """Show where a job stands, to its end."""
    with _bar() as tell:
        async with aclosing(jobs.events(id, viewer)) as events:
            async for event in events:
                tell(event)


@contextmanager
def _bar() -> "Iterator[Callable[[JobProgress | RemoteProgress], None]]":
    """Yield a function that shows an event on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.percentage:>5.1f} %  {task.description}"))
    off = not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        task = bar.add_task("loading", total=100.0)
        yield lambda event: bar.update(task, completed=event.percent, description=_told(event))


def _told(event: "JobProgress | RemoteProgress") -> str:
    """Return a line about an event: the chapter, the speed, and the time left."""
    if event.state != "running":
        return event.state
    if event.stage == "writing":
        return "writing files"
    parts = [f"chapter {event.chapter} of {event.chapters}", f"{event.real_time:.1f} × real time"]
    if event.left_s is not None:
        parts.append(f"{_hours(event.left_s)} left")
    return ", ".join(parts)


def _hours(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {str(file)!r} ({error.strerror})") from error


def _targets(file: Path, outputs: list[Path], formats: list[str]) -> "dict[BookFormat, Path]":
    """Return the file to write for each format."""
    from vivavoce.books.write import BookFormat

    known = get_args(BookFormat)
    if formats and outputs and len(formats) != len(outputs):
        raise typer.BadParameter("name a --format for each --output, or none")
    if not outputs:
        stem = Path(file.stem)
        outputs = [stem if f == "folder" else Path(f"{stem}.{f}") for f in formats or ["m4b"]]
    found: dict[BookFormat, Path] = {}
    for index, output in enumerate(outputs):
        named = formats[index] if formats else output.suffix.lower().lstrip(".") or "folder"
        if named not in known:
            raise typer.BadParameter(f"format {named!r} is not one of {', '.join(known)}")
        if not output.absolute().parent.is_dir():
            raise typer.BadParameter(f"the folder of {str(output)!r} does not exist: make it")
        if named in found or output in found.values():
            twice = named if named in found else str(output)
            raise typer.BadParameter(f"{twice!r} is named twice: name each format and file once")
        if output.exists() and output.samefile(file):
            problem = f"{str(output)!r} is the book itself: name another file with --output"
            raise typer.BadParameter(problem)
        found[named] = output  # type: ignore[index]  # one of the formats
    return found


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in a list such as 1-3,7."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        are_numbers = all(word.isdecimal() and len(word) <= 5 for word in (first, last or first))
        if not are_numbers or (dash and not last) or int(last or first) < int(first):
            raise typer.BadParameter(f"--chapters has {part!r}: write numbers like 1-3,7")
        found += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(found))


def _cast(file: Path | None) -> "Cast":
    from vivavoce.jobs import Cast
    from vivavoce.jobs.script import read_cast

    return Cast() if file is None else read_cast(_read(file), file.name)


def _choices(spoken: list[str], left_out: list[str]) -> "Choices":
    from vivavoce.books.book import Choices

    if unknown := [kind for kind in (*spoken, *left_out) if kind not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(PARTS)}")
    return Choices(**{**dict.fromkeys(spoken, True), **dict.fromkeys(left_out, False)})


def _show_plan(data: bytes, name: str, options: "JobOptions", data_dir: Path) -> None:
    """Print the chapters, their lengths, the time to make them, and what is left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vivavoce.books.plan import plan_book
    from vivavoce.books.read import read_book
    from vivavoce.jobs import FOLDER, last_speed
    from vivavoce.jobs.script import write_script

    book = read_book(data, name, options.choices)
    plan = plan_book(book, speed=options.speed, numbers=options.chapters)
    script = write_script(book, options)
    table = Table("", "Chapter", "Characters", "Length")
    for chapter in plan.chapters:
        title, size = Text(chapter.title), f"{chapter.chars:,}"
        table.add_row(str(chapter.number), title, size, _hours(chapter.audio_s))
    console = Console()
    console.print(table)
    console.print(f"{plan.title}: {_hours(plan.audio_s)}, in {plan.language}", markup=False)
    if speed := last_speed(data_dir / FOLDER):
        making = f"about {_hours(plan.making_s(speed))}, at the last book's {speed:.0f} × real time"
    else:
        making = "not known before the first book"
    console.print(f"time to make it: {making}", markup=False)
    narrator = options.cast.narrator or options.voice or "the narrator"
    voices = dict.fromkeys(line.voice or narrator for line in script.lines)
    console.print(f"voices: {', '.join(voices)}", markup=False)
    for reason, chars in plan.reasons().items():
        console.print(f"not spoken, {reason}: {chars:,} characters", markup=False)


def _copy(source: Path, target: Path) -> None:
    from vivavoce.errors import DiskFull
    from vivavoce.files import replaced

    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
            return
        with replaced(target) as new:
            shutil.copyfile(source, new)
    except OSError as error:
        raise DiskFull(
            f"cannot write {str(target)!r} ({error.strerror}): the file is in {str(source)!r}"
        ) from error
