"""Define the options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer


def option(help: str, *names: str, default: str | bool = True, **more: Any) -> Any:
    """Return an option of a command, which shows `default`. Any: what Typer takes and makes."""
    return typer.Option(*names, help=help, show_default=default, **more)


Config: TypeAlias = Annotated[
    Path | None,
    option("TOML file with settings.", "--config", default="the file that VIVAVOCE_CONFIG names"),
]
Server: TypeAlias = Annotated[
    str | None,
    option("Use a running server, like http://localhost:8000, instead.", "--server", metavar="URL"),
]
_KEY = "API key for --server. TTS_API_KEY in the environment keeps it off the screen."
ServerKey: TypeAlias = Annotated[str | None, option(_KEY, "--key", envvar="TTS_API_KEY")]
Json: TypeAlias = Annotated[bool, option("Print JSON for programs.", "--json")]
