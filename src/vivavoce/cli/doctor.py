"""Define `vivavoce doctor`, which checks packages and tries each model."""

import asyncio
import json
import os
import platform
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vivavoce import __version__
from vivavoce.cli import output
from vivavoce.cli.in_process import open_pool
from vivavoce.cli.options import Config, Json
from vivavoce.errors import MissingDependency, VivavoceError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from vivavoce.serving.pool import Pool
    from vivavoce.settings import Settings

_SENTENCE = "This is a test of one sentence, spoken from beginning to end."
_NONE_SPEAKS = "No model speaks here yet: see the lines marked 'no'."
_INSTRUCT = "A calm voice."  # required by some models


@dataclass(frozen=True, slots=True)
class System:
    """The machine and its software."""

    vivavoce: str
    python: str
    platform: str
    processor: str
    cores: int
    memory_gib: float | None  # None: unknown on this system
    player: str | None  # the program that `say` uses


@dataclass(frozen=True, slots=True)
class Package:
    """One package that vivavoce uses."""

    name: str
    version: str | None  # None: not installed
    extra: str | None  # the extra that needs it; None: the base install
    wrong: str  # the problem; empty: none
    install: str  # the command to install it


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """One model, and its speed with a short sentence."""

    name: str
    speaks: bool
    detail: str
    real_time_factor: float | None = None
    advice: str = ""  # a setting that would make a slow model fast enough


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All results of the command. `speaks` is true if at least one model does."""

    speaks: bool
    machine: System
    packages: tuple[Package, ...]
    models: tuple[ModelCheck, ...]


def doctor(as_json: Json = False, config: Config = None) -> None:
    """Check the installation, and try each model.

    Exit code 0 if at least one model speaks, 1 otherwise.

    Examples:
      vivavoce doctor
      vivavoce doctor --json
    """
    from vivavoce.settings import Settings

    models = asyncio.run(_check_models(Settings.read(config)))
    speaks = any(model.speaks for model in models)
    diagnosis = Diagnosis(speaks, _machine(), _packages(), models)
    if as_json:
        typer.echo(json.dumps(asdict(diagnosis), indent=2))
    else:
        _print(diagnosis)
    if not speaks:
        raise typer.Exit(1)


def _machine() -> System:
    from vivavoce.models.hardware import available_cores, processor_name

    try:
        player: str | None = Path(output.find_player()[0]).stem
    except MissingDependency:
        player = None
    python, system, cores = platform.python_version(), platform.platform(), available_cores()
    processor = processor_name()
    return System(__version__, python, system, processor, cores, _memory_gib(), player)


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows has none, other systems lack the names
        return None


def _packages() -> tuple[Package, ...]:
    """Return the packages that vivavoce declares, those of the base install first."""
    from packaging.requirements import Requirement

    declared = [Requirement(line) for line in metadata.requires("vivavoce") or ()]
    extras = metadata.metadata("vivavoce").get_all("Provides-Extra") or []
    found: dict[str, Package] = {}
    for extra in (None, *extras):
        for requirement in declared:
            marker = requirement.marker
            wanted = marker is None or marker.evaluate({"extra": extra or ""})
            if wanted and requirement.name != "vivavoce":
                found.setdefault(requirement.name, _package(requirement, extra))
    return tuple(found.values())


def _package(requirement: "Requirement", extra: str | None) -> Package:
    needed = f"vivavoce[{extra}]" if extra else f"{requirement.name}{requirement.specifier}"
    try:
        version: str | None = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        version = None
    wrong = "" if version else "not installed"
    if version and not requirement.specifier.contains(version, prereleases=True):
        wrong = f"{version} is installed, {requirement.specifier} is needed"
    return Package(requirement.name, version, extra, wrong, f"pip install '{needed}'")


async def _check_models(settings: "Settings") -> tuple[ModelCheck, ...]:
    async with open_pool(settings) as pool:
        return tuple([await _check_model(pool, name, settings.qwen_weights) for name in pool.names])


async def _check_model(pool: "Pool", name: str, weights: str) -> ModelCheck:
    """Load a model and let it speak one sentence. `weights` is the setting of Qwen3-TTS."""
    from vivavoce.models.qwen3_tts.advice import int8_advice
    from vivavoce.synthesis.synthesizer import Synthesizer
    from vivavoce.types import SpeechRequest

    try:
        async with pool.lease(name) as engine:  # loads it before the clock starts
            info = engine.info
        started, samples = time.perf_counter(), 0
        request = SpeechRequest(text=_SENTENCE, model=name, language="en", instruct=_INSTRUCT)
        async with (
            aclosing(await Synthesizer(pool).open(request)) as speech,
            aclosing(speech.samples()) as parts,
        ):
            async for part in parts:
                samples += part.size
    except VivavoceError as problem:
        return ModelCheck(name, speaks=False, detail=problem.message)
    audio_s = samples / speech.sample_rate_hz
    known = f"{_count(len(info.voices), 'voice')} in {_count(len(info.languages), 'language')}"
    detail = ", ".join(part for part in (known, info.licence) if part)
    factor = (time.perf_counter() - started) / audio_s
    advice = int8_advice(info.description, factor) if weights == "auto" else ""
    return ModelCheck(name, True, detail, round(factor, 3), advice)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _print(diagnosis: Diagnosis) -> None:
    """Print the diagnosis for people."""
    machine = diagnosis.machine
    memory = "unknown memory" if machine.memory_gib is None else f"{machine.memory_gib:g} GiB"
    player = machine.player or "nothing (say needs -o FILE)"
    lines = [
        f"vivavoce {machine.vivavoce}, Python {machine.python}, {machine.platform}",
        f"{machine.processor}, {machine.cores} cores, {memory}, plays with {player}",
        "",
        "Models",
        *(_model_line(model) for model in diagnosis.models),
        "",
        "Packages",
        *(_package_line(package) for package in diagnosis.packages),
        "",
        "This machine can speak." if diagnosis.speaks else _NONE_SPEAKS,
    ]
    typer.echo("\n".join(lines))


def _model_line(model: ModelCheck) -> str:
    if not model.speaks:
        return f"  no  {model.name}: {model.detail}"
    line = f"  ok  {model.name}: real-time factor {model.real_time_factor}, {model.detail}"
    return f"{line}\n      {model.advice}" if model.advice else line


def _package_line(package: Package) -> str:
    if not package.wrong:
        return f"  ok  {package.name} {package.version}"
    mark = "no " if package.extra is None else "-- "
    return f"  {mark} {package.name}: {package.wrong}; {package.install}"
