"""Measure a vivavoce server over real sockets, as its listeners hear it. See docs/performance.md.

python benchmarks/server.py                          every scenario, a few minutes
python benchmarks/server.py --scenario tone-64
python benchmarks/server.py --model hibari --clients 4 --duration 30
python benchmarks/server.py --model tone --rate 20 --json tone.json
"""

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.scenarios import SCENARIOS, OwnLoad, Plan, Scenario, measure, own_load
from vivavoce.errors import MissingDependency, NotReady, SettingsError, VivavoceError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_stderr = Console(stderr=True)


@app.command()
def main(
    scenario: Annotated[
        Literal[
            "all",
            "tone-latency",
            "tone-64",
            "tone-cost",
            "tone-cost-paced",
            "tone-cost-isolated",
            "hibari",
            "kokoro",
            "kokoro-long",
            "kokoro-memory",
            "kokoro-drops",
            "kokoro-stalled",
        ]
        | None,
        typer.Option(help="What to measure, each with its targets.", show_default="all"),
    ] = None,
    model: Annotated[
        Literal["tone", "hibari", "kokoro"] | None,
        typer.Option(
            help="Measure a load of your own on this model, instead of the scenarios.",
            show_default="tone",
        ),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="Voice for --model; the model chooses without one.")
    ] = None,
    clients: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="A load of your own: listeners, each of whom asks again "
            "when the answer has been played.",
            show_default="8",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1000,
            help="A load of your own, instead of --clients: calls a second, at random moments.",
        ),
    ] = None,
    impatient: Annotated[
        bool,
        typer.Option(
            "--impatient", help="Listeners ask again at once: the most that the server can do."
        ),
    ] = False,
    tone_real_time_factor: Annotated[
        float, typer.Option(min=0, help="Seconds that the tone model takes for a second of audio.")
    ] = 0.0,
    duration: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds in which a load asks.")
    ] = 20.0,
    requests: Annotated[int, typer.Option(min=1, help="Most requests that a load makes.")] = 10_000,
    rounds: Annotated[
        int, typer.Option(min=1, help="How often HTTP and engine say each sentence in turn.")
    ] = 3,
    start_buffer: Annotated[
        float,
        typer.Option(
            min=0, max=10, help="Seconds of audio that a player waits for before it starts."
        ),
    ] = 0.2,
    seed: Annotated[
        int, typer.Option(help="For the random moments; the same seed asks at the same ones.")
    ] = 0,
    url: Annotated[
        str | None,
        typer.Option(
            help="Measure this running server of this machine; "
            "--tone-real-time-factor is then its own."
        ),
    ] = None,
    memory_gib: Annotated[
        float, typer.Option(min=0.5, help="Memory that the started server may use, on Linux.")
    ] = 6.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write every number to this file.")
    ] = None,
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown", help="Print Markdown, as docs/performance.md has it, instead of tables."
        ),
    ] = False,
) -> None:
    """Measure a vivavoce server over real sockets, as its listeners hear it.

    It starts a server in a process of its own and sends requests over loopback: scenarios with the
    project's targets, or a load of your own with --model. Targets are printed, met or missed. The
    exit code does not depend on them. Time to first audio is the arrival of the first audible
    sample. An underrun is a player that starts with --start-buffer seconds of audio, plays in real
    time and runs dry.

    Examples:

      python benchmarks/server.py

      python benchmarks/server.py --scenario tone-64 --markdown

      python benchmarks/server.py --model hibari --clients 4 --duration 30

      python benchmarks/server.py --model tone --rate 20 --json tone.json
    """
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # like Ctrl-C: the server is stopped on the way out
    machine = report.machine()
    plan = Plan(duration, requests, rounds, start_buffer, memory_gib, seed, url)
    try:
        if model or clients or rate:
            _refuse_both(scenario=scenario, clients=clients, rate=rate)
            factor = tone_real_time_factor
            load = OwnLoad(
                model or "tone",
                speaker,
                clients or 8,
                rate,
                impatient=impatient,
                real_time_factor=factor,
            )
            chosen = [own_load(load)]
        else:
            chosen = (
                list(SCENARIOS.values()) if scenario in (None, "all") else [SCENARIOS[scenario]]
            )
        results = asyncio.run(_measure_all(chosen, plan))
    except VivavoceError as error:
        _stderr.print(f"error: {error.message}", markup=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from error
    if markdown:
        print(report.markdown(machine, results))
    else:
        for result in results:
            Console().print(report.table(result))
    if json_file is not None:
        json_file.write_text(report.as_json(machine, results), "utf-8")


def _refuse_both(*, scenario: str | None, clients: int | None, rate: float | None) -> None:
    if scenario is not None:
        raise SettingsError(
            f"--scenario {scenario!r} brings its own load; leave out --model, --clients and --rate"
        )
    if clients is not None and rate is not None:
        raise SettingsError(
            f"--clients {clients} and --rate {rate:g} are two kinds of load; give one of them"
        )


async def _measure_all(chosen: list[Scenario], plan: Plan) -> list[report.Result]:
    """Return the results in order.

    Of several scenarios, those without an installed model are left out with a message.
    """
    results = []
    bar = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*bar, console=_stderr, transient=True) as progress:
        for scenario in chosen:
            task = progress.add_task(scenario.name, total=1.0)
            try:
                results.append(await measure(scenario, plan, partial(_advance, progress, task)))
            except (NotReady, MissingDependency) as error:
                if len(chosen) == 1:
                    raise
                _stderr.print(
                    f"{scenario.name} is left out: {error.message}", markup=False, soft_wrap=True
                )
    return results


def _advance(progress: Progress, task: TaskID, share: float) -> None:
    progress.update(task, completed=share)


if __name__ == "__main__":
    app()
