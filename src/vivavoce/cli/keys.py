"""Define `vivavoce keys`, which manages the API keys of the server on this machine."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import Config, Json, option

if TYPE_CHECKING:
    from vivavoce.keys import Key, KeyFile

keys = typer.Typer(name="keys", no_args_is_help=True, help="Create, list and revoke API keys.")


@keys.callback()
def root() -> None:
    """Create, list and revoke API keys.

    The server requires a key as soon as the first one exists, without a
    restart. Keys are in `data_dir`, so run this command as the server's user
    and with its settings.
    """


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the key, like the device that will use it.")],
    scopes: Annotated[
        str, option("Permissions, comma-separated: `speak`, and `manage` to change the server.")
    ] = "speak",
    requests_per_minute: Annotated[
        int | None, option("Limit of requests a minute.", default="no limit", min=1)
    ] = None,
    max_concurrent: Annotated[
        int | None, option("Limit of concurrent requests.", default="no limit", min=1)
    ] = None,
    config: Config = None,
) -> None:
    """Create a key and print it. It cannot be shown again.

    Examples:
      vivavoce keys create quest
      vivavoce keys create guests --requests-per-minute 30 --max-concurrent 2
      KEY=$(vivavoce keys create admin --scopes speak,manage)
    """
    from vivavoce.keys import parse_scopes

    file = _file(config)
    limits = {"requests_per_minute": requests_per_minute, "max_concurrent": max_concurrent}
    typer.echo(file.create(name, parse_scopes(scopes), **limits))
    kept = f"keep it: {file.path} has only its hash. Clients send 'Authorization: Bearer KEY'"
    typer.echo(kept, err=True)


@keys.command("list")
def list_keys(as_json: Json = False, config: Config = None) -> None:
    """List the keys by name, with their permissions and limits.

    Examples:
      vivavoce keys list
      vivavoce keys list --json
    """
    file = _file(config)
    found = file.read()
    if as_json:
        shown = [
            {name: value for name, value in asdict(key).items() if name != "sha256"}
            for key in found or ()
        ]
        typer.echo(json.dumps(shown, indent=2))
    elif found:
        _print(found)
    elif found is None:
        typer.echo(
            "no keys, and the server asks for none: create one with `vivavoce keys create NAME`"
        )
    else:
        typer.echo(_closed(file))


@keys.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="The key's name, from `vivavoce keys list`.")],
    config: Config = None,
) -> None:
    """Revoke a key. Its running requests are finished.

    Examples:
      vivavoce keys revoke quest
    """
    file = _file(config)
    file.revoke(name)
    typer.echo(f"revoked {name}")
    if not file.read():
        typer.echo(_closed(file), err=True)


def _closed(file: "KeyFile") -> str:
    return (
        f"no keys are left, and the server still asks for one; "
        f"to open it, remove {file.path} and restart it"
    )


def _file(config: "Config") -> "KeyFile":
    from vivavoce.keys import FILE_NAME, KeyFile
    from vivavoce.settings import Settings

    return KeyFile(Settings.read(config).data_dir / FILE_NAME)


def _print(found: "tuple[Key, ...]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "scopes", "a minute", "at once", "created", box=box.SIMPLE_HEAD)
    for key in found:
        limits = (key.requests_per_minute, key.max_concurrent)
        shown = (str(limit or "no limit") for limit in limits)
        table.add_row(key.name, ", ".join(key.scopes), *shown, key.created)
    Console().print(table)
