"""Run endurance trials against a vivavoce server and report the results. See docs/reliability.md.

python benchmarks/soak.py                      everything, most of an hour
python benchmarks/soak.py --trial disconnects
python benchmarks/soak.py --trial abuse        all trials whose names begin with abuse-
python benchmarks/soak.py --scale 0.1 --markdown
"""

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.endurance import TRIALS, survive
from vivavoce.errors import VivavoceError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_stderr = Console(stderr=True)


@app.command()
def main(
    trial: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(TRIALS)}; may be repeated.")
    ] = None,
    scale: Annotated[
        float, typer.Option(min=0.0, max=10.0, help="Share of the whole length.")
    ] = 1.0,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, as docs/reliability.md has it.")
    ] = False,
) -> None:
    """Test a server's endurance: load, disconnects, signals, faults and bad requests.

    Every trial starts servers of its own on loopback. Targets are printed, met or missed. The exit
    code is 1 if a target is missed that does not measure speed.
    """
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # like Ctrl-C: servers are stopped on the way out
    names = [name for given in trial or list(TRIALS) for name in chosen(given)]
    try:
        results = asyncio.run(_all(names, scale))
    except VivavoceError as error:
        _stderr.print(f"error: {error.message}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if markdown:
        print(report.markdown(report.machine(), results))
    else:
        for result in results:
            Console().print(report.table(result))
    raise typer.Exit(
        any(
            one.verdict == "missed" and not one.unit
            for result in results
            for one in result.measures
        )
    )


def chosen(given: str) -> list[str]:
    """Return the trial of that name, or all with that prefix and a hyphen."""
    names = [name for name in TRIALS if name.startswith(f"{given}-")]
    if given in TRIALS:
        return [given]
    if not names:
        raise typer.BadParameter(f"--trial {given!r} is none of {', '.join(TRIALS)}")
    return names


async def _all(names: list[str], scale: float) -> list[report.Result]:
    results = []
    bar = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*bar, console=_stderr, transient=True) as progress:
        for name in names:
            task = progress.add_task(name, total=1.0)
            results.append(await survive(name, scale, partial(_advance, progress, task)))
    return results


def _advance(progress: Progress, task: TaskID, share: float) -> None:
    progress.update(task, completed=share)


if __name__ == "__main__":
    app()
