"""Compare measurements with their targets, and show both as a table, Markdown or JSON.

It measures nothing.
"""

import json
import math
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.table import Table

from benchmarks.load import LoadRun
from benchmarks.player import percentile, play
from benchmarks.process import Usage

_PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Target:
    """A target: a value on the right side of `limit`. It is shown, never enforced."""

    limit: float
    at_most: bool = True

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Measure:
    """One number. `unit` is ms, s, ×, MiB and so on, or empty for a count."""

    name: str
    value: float
    unit: str = ""
    target: Target | None = None

    @property
    def shown(self) -> str:
        return _shown(self.value, self.unit)

    @property
    def aim(self) -> str:
        return (
            ""
            if self.target is None
            else f"{'≤' if self.target.at_most else '≥'} {_shown(self.target.limit, self.unit)}"
        )

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.target.met(self.value) else "missed"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one scenario: a description in a sentence, and its measures."""

    name: str
    what: str
    measures: tuple[Measure, ...]


def load_measures(
    run: LoadRun, *, start_buffer_s: float, targets: Mapping[str, Target] | None = None
) -> list[Measure]:
    """Return the measures of a load. The keys of `targets` are names of measures."""
    good = [answer for answer in run.answers if answer.good]
    audible = [answer for answer in good if not math.isnan(answer.first_audible_s)]
    gaps_s = [
        gap_s
        for answer in good
        for gap_s in play(answer.arrivals, answer.ended_s, start_buffer_s=start_buffer_s).gaps_s
    ]
    failures = Counter(answer.status for answer in run.answers if not answer.good)
    measures = [
        Measure("requests", len(run.answers)),
        *_percentiles(
            "time to first byte", [answer.first_byte_s - answer.asked_s for answer in good]
        ),
        *_percentiles(
            "time to first audio", [answer.first_audible_s - answer.asked_s for answer in audible]
        ),
        Measure("underruns", len(gaps_s)),
        Measure("silence by underruns", 1000 * math.fsum(gaps_s), "ms"),
        Measure(
            "throughput", math.fsum(answer.audio_s for answer in good) / run.wall_s, "audio s/s"
        ),
        Measure("failed requests", failures.total()),
        *(Measure(f"status {status}", count) for status, count in sorted(failures.items())),
        Measure("load generator late, p99", 1000 * percentile(run.lags_s, 99), "ms"),
    ]
    aims = targets or {}
    return [Measure(each.name, each.value, each.unit, aims.get(each.name)) for each in measures]


def _percentiles(name: str, values_s: Sequence[float]) -> list[Measure]:
    return [
        Measure(f"{name}, p{percent}", 1000 * percentile(values_s, percent), "ms")
        for percent in _PERCENTS
    ]


def usage_measures(before: Usage | None, after: Usage | None, wall_s: float) -> list[Measure]:
    """Return the server's use of CPU and memory, or nothing if it is unknown."""
    if before is None or after is None:
        return []
    return [
        Measure("server processor use", (after.cpu_s - before.cpu_s) / wall_s, "cores"),
        Measure("server peak memory", after.peak_mib, "MiB"),
    ]


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"
    digits = 0 if not unit or unit == "MiB" or value >= 1000 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()


def machine() -> dict[str, str]:
    """Return a description of the machine: CPU, cores, system, versions and current load."""
    busy = {"load average before": f"{os.getloadavg()[0]:.1f}"} if hasattr(os, "getloadavg") else {}
    return {
        "processor": _processor(),
        "cores": str(_available_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in ("vivavoce", "onnxruntime", "numpy")},
        **busy,
    }


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def table(result: Result) -> Table:
    """Return a table for the terminal."""
    shown = Table(title=f"{result.name}: {result.what}", title_justify="left", title_style="bold")
    shown.add_column("measure")
    shown.add_column("result", justify="right")
    shown.add_column("target", justify="right")
    shown.add_column("")
    colours = {"met": "green", "missed": "red"}
    for each in result.measures:
        shown.add_row(
            each.name, each.shown, each.aim, each.verdict, style=colours.get(each.verdict, "")
        )
    return shown


def markdown(machine: Mapping[str, str], results: Sequence[Result]) -> str:
    """Return the results for the docs page: the machine, then a table for each scenario."""
    lines = [f"Measured on: {', '.join(f'{name} {value}' for name, value in machine.items())}."]
    for result in results:
        lines += [
            "",
            f"### {result.name}",
            "",
            f"{result.what}",
            "",
            "| | Result | Target | |",
            "| --- | ---: | ---: | --- |",
        ]
        lines += [
            f"| {each.name} | {each.shown} | {each.aim} | {each.verdict} |"
            for each in result.measures
        ]
    return "\n".join(lines)


def as_json(machine: Mapping[str, str], results: Sequence[Result]) -> str:
    """Return all measurements as JSON. A missing number is null."""
    scenarios = [
        {
            "name": result.name,
            "what": result.what,
            "measures": [
                {
                    "name": each.name,
                    "value": None if math.isnan(each.value) else each.value,
                    "unit": each.unit,
                    "target": each.aim or None,
                    "met": None if each.target is None else each.target.met(each.value),
                }
                for each in result.measures
            ],
        }
        for result in results
    ]
    return (
        json.dumps({"machine": machine, "scenarios": scenarios}, indent=2, ensure_ascii=False)
        + "\n"
    )
