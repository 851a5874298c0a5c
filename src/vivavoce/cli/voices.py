"""Define `vivavoce voices`, which lists the voices here or on a server."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import Config, Json, Server, option

if TYPE_CHECKING:
    from vivavoce.client import VoiceEntry


def voices(
    model: Annotated[str | None, option("Only the voices of this model.")] = None,
    language: Annotated[
        str | None, option("Only voices for this language: a name or an ISO code.")
    ] = None,
    as_json: Json = False,
    server: Server = None,
    config: Config = None,
) -> None:
    """List the voices, to use with --speaker.

    Examples:
      vivavoce voices
      vivavoce voices --model kokoro --language japanese
      vivavoce voices --server http://dgx.local:8000 --json
    """
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
