"""Define `vivavoce jobs`, which shows and steers the jobs of this machine or of a server."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from vivavoce.cli.in_process import open_pool
from vivavoce.cli.options import Config, Json, Server, ServerKey

if TYPE_CHECKING:
    from vivavoce.client.jobs import JobEntry
    from vivavoce.jobs import Action, Job, Jobs
    from vivavoce.provenance import Provenance
    from vivavoce.settings import Settings
    from vivavoce.voices.record import Viewer

T = TypeVar("T")

jobs = typer.Typer(name="jobs", no_args_is_help=True, help="Show and steer jobs of books.")

Id = Annotated[str, typer.Argument(help="A job's id, from `vivavoce jobs list`.")]


@asynccontextmanager
async def open_jobs(
    settings: "Settings", provenance: "Provenance | None" = None
) -> AsyncGenerator["Jobs"]:
    """Yield the jobs of this machine, with the models of `settings` to run them.

    `provenance` signs their files; without it they have comments alone.
    """
    from vivavoce.cli.sources import synthesizer_of
    from vivavoce.jobs import FOLDER, JobLimits, Jobs

    # The disk's owner is who calls, so that no limit of a key applies.
    limits = JobLimits(
        settings.max_book_bytes, settings.max_book_chars, 10**9, 2**63, writers=os.cpu_count() or 1
    )
    async with open_pool(settings) as pool:
        synthesizer = synthesizer_of(pool, settings)
        synthesizer.provenance = provenance or synthesizer.provenance
        opened = Jobs(settings.data_dir / FOLDER, synthesizer, limits)
        try:
            yield opened
        finally:
            await opened.aclose()


@jobs.callback()
def root() -> None:
    """Show and steer jobs of books.

    They are in `data_dir`, so run this command as the server's user and with
    its settings, or name the server. What waits is run by a server, or by the
    same `vivavoce book` as before.
    """


@jobs.command("list")
def list_jobs(
    as_json: Json = False, server: Server = None, key: ServerKey = None, config: Config = None
) -> None:
    """List the jobs, the newest first.

    Examples:
      vivavoce jobs list
      vivavoce jobs list --server http://dgx:8000 --json
    """
    found: list[Job | JobEntry]
    if server:
        from vivavoce.client import Client

        with Client(server, api_key=key) as client:
            found = list(client.jobs.list())
    else:
        found = list(_locally(config, lambda jobs, viewer: jobs.all(viewer)))
    if as_json:
        typer.echo(json.dumps([asdict(job) for job in found], indent=2, default=str))
    elif found:
        _print(found)
    else:
        typer.echo("no jobs: make one with `vivavoce book FILE`")


@jobs.command("show")
def show(
    id: Id, as_json: Json = False, server: Server = None, key: ServerKey = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Show a job, its chapters, and the sentences that could not be spoken.

    Examples:
      vivavoce jobs show job_0a1b2c3d4e5f6071
    """
    if server:
        from vivavoce.client import Client

        with Client(server, api_key=key) as client:
            facts: dict[str, Any] = {
                "job": asdict(client.jobs.get(id)),
                "chapters": [asdict(chapter) for chapter in client.jobs.chapters(id)],
                **client.jobs.skipped(id),
            }
    else:
        facts = _locally(config, lambda jobs, viewer: _facts(jobs, id, viewer))
    if as_json:
        typer.echo(json.dumps(facts, indent=2, default=str))
        return
    job = facts["job"]
    made = f"{job['sentences_made']:,} of {job['sentences']:,} sentences"
    typer.echo(f"{job['title']} ({job['source']}): {job['state']}, {made}")
    if job["problem"]:
        typer.echo(job["problem"])
    for chapter in facts["chapters"]:
        ready = "ready" if chapter["ready"] else "waits"
        typer.echo(f"{chapter['number']:>4}  {ready}  {chapter['title']}")
    for part in facts["failed"]:
        typer.echo(f"not spoken in chapter {part['chapter']}: {part['text']!r} ({part['reason']})")


async def _facts(jobs: "Jobs", id: str, viewer: "Viewer") -> dict[str, Any]:
    report = await jobs.report(id, viewer)
    return {
        "job": asdict(await jobs.get(id, viewer)),
        "chapters": [asdict(chapter) for chapter in report.chapters],
        "skipped": [asdict(part) for part in report.skipped],
        "failed": [asdict(part) for part in report.failed],
        "outliers": [asdict(part) for part in report.outliers],
    }


def _steer(name: "Action", help: str) -> None:
    """Add the command for an action."""

    def command(
        id: Id, server: Server = None, key: ServerKey = None, config: Config = None
    ) -> None:
        if server:
            from vivavoce.client import Client

            with Client(server, api_key=key) as client:
                state = getattr(client.jobs, name)(id).state
        else:
            state = _locally(config, lambda jobs, viewer: jobs.act(id, name, viewer)).state
        typer.echo(f"{id} is {state}")

    command.__doc__ = f"{help}\n\n    Examples:\n      vivavoce jobs {name} job_0a1b2c3d4e5f6071\n"
    jobs.command(name)(command)


_steer("pause", "Stop a job. What is being spoken now is spoken again later.")
_steer("resume", "Go on with a job that pauses.")
_steer("cancel", "End a job. What it has made is kept.")
_steer("retry", "Try what failed once more, or go on with a job that was cancelled.")


@jobs.command("remove")
def remove(id: Id, server: Server = None, key: ServerKey = None, config: Config = None) -> None:
    """Remove a job that does not run, with its files.

    Examples:
      vivavoce jobs remove job_0a1b2c3d4e5f6071
    """
    if server:
        from vivavoce.client import Client

        with Client(server, api_key=key) as client:
            client.jobs.remove(id)
    else:
        _locally(config, lambda jobs, viewer: jobs.remove(id, viewer))
    typer.echo(f"removed {id}")


def _locally(config: Path | None, ask: "Callable[[Jobs, Viewer], Awaitable[T]]") -> T:
    """Return what `ask` finds out of the jobs of this machine."""
    from vivavoce.settings import Settings
    from vivavoce.voices.record import Viewer

    async def asked() -> T:
        async with open_jobs(Settings.read(config)) as jobs:
            return await ask(jobs, Viewer(manages=True))

    return asyncio.run(asked())


def _print(found: "list[Job | JobEntry]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Job", "State", "Title", "Sentences", "Problem")
    for job in found:
        made = f"{job.sentences_made:,}/{job.sentences:,}"
        table.add_row(job.id, job.state, Text(job.title), made, Text(job.problem))
    Console().print(table)
