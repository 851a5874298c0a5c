"""Define `vivavoce voices`, which lists voices here or on a server, and the group of its name."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli import library
from vivavoce.cli.options import Config, Json, Server, option

if TYPE_CHECKING:
    from vivavoce.client import VoiceEntry

voices = typer.Typer(name="voices")
voices.command("mix")(library.mix)
voices.command("add")(library.add)
voices.command("design")(library.design)
voices.command("list")(library.list_saved)
voices.command("show")(library.show)
voices.command("edit")(library.edit)
voices.command("consent")(library.consent)
voices.command("remove")(library.remove)
voices.command("revoke")(library.revoke)
voices.command("export")(library.export)
voices.command("import")(library.import_voice)


@voices.callback(invoke_without_command=True)
def list_voices(
    context: typer.Context,
    model: Annotated[str | None, option("Only the voices of this model.")] = None,
    language: Annotated[
        str | None, option("Only voices for this language: a name or an ISO code.")
    ] = None,
    as_json: Json = False,
    server: Server = None,
    config: Config = None,
) -> None:
    """List the voices, or keep voices of your own.

    Saved voices are in `data_dir`, so run these commands as the server's user
    and with its settings, or with `--server`. A running server uses a change at
    once.

    Examples:
      vivavoce voices
      vivavoce voices --model kokoro --language japanese
      vivavoce voices --server http://dgx.local:8000 --json
    """
    if context.invoked_subcommand is not None:
        return
    if server:
        from vivavoce.client import Client

        with Client(server) as client:
            found = client.voices(model)
    else:
        from vivavoce.cli import in_process
        from vivavoce.settings import Settings

        found = in_process.voices(Settings.read(config), model)
    if language:
        from vivavoce.text.language.names import parse_language

        code = parse_language(language)
        found = tuple(voice for voice in found if code is None or code in voice.languages)
    if as_json:
        typer.echo(json.dumps([asdict(voice) for voice in found], indent=2))
    else:
        _print(found)


def _print(found: "Sequence[VoiceEntry]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("voice", "model", "languages", "gender", box=box.SIMPLE_HEAD)
    for voice in found:
        table.add_row(voice.id, voice.model, ", ".join(voice.languages), voice.gender)
    none = "No voice fits: leave out --language or --model to see all."
    Console().print(table if found else none)
