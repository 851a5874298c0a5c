"""Define the options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file with settings.",
        show_default="the file that VIVAVOCE_CONFIG names",
    ),
]
Server: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", help="Use a running server, like http://localhost:8000, instead."
    ),
]
ServerKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="TTS_API_KEY",
        help="API key for --server. TTS_API_KEY in the environment keeps it off the screen.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
