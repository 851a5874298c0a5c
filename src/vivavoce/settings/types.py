"""Define the types of settings: names, folders, checkpoints of Qwen3-TTS, remote models."""

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from vivavoce.names import is_name

# owner/name, and a revision
RANDOM = "random:"  # a checkpoint of random weights, by its size
WYOMING = "tcp://0.0.0.0:10200"  # with the port of the protocol's own servers
_SIZES = ("tiny", "0.6b", "1.7b")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", re.ASCII)


def split_commas(value: object) -> object:
    """Return a string like `a, b` as a list, and other values unchanged."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def as_checkpoint(value: object) -> Path | str:
    """Return a folder as a `Path`, a hub id or random weights ("random:1.7b") as a string.

    `owner/name` is a folder if a folder of that name exists. Raises `ValueError` for a value that
    is neither a string nor a path.
    """
    if isinstance(value, Path):
        return value.expanduser()
    if not isinstance(value, str):
        raise ValueError("it should be a folder, or a hub id like OWNER/NAME")
    if value.startswith(RANDOM):
        if value.removeprefix(RANDOM) not in _SIZES:
            sizes = ", ".join(RANDOM + size for size in _SIZES)
            raise ValueError(f"random weights are one of {sizes}")
        return value
    folder = Path(value).expanduser()
    return value if _HUB_ID.fullmatch(value) and not folder.is_dir() else folder


def with_name(checkpoint: Path | str) -> Path | str:
    """Return `checkpoint` if requests can name it. Raises `ValueError`."""
    if not is_name(name := checkpoint_name(checkpoint)):
        raise ValueError(
            f"{name!r} cannot be the name of a model: rename the folder, without control characters"
        )
    return checkpoint


def as_remote(value: str) -> str:
    """Return `value` if it is a `MODEL=URL`. Raises `ValueError`."""
    model, found, url = value.partition("=")
    if not (is_name(model) and found and re.fullmatch(r"https?://[^/@\s]+(/\S*)?", url)):
        raise ValueError(f"{value!r} should be MODEL=URL, like qwen3-tts=http://10.0.0.2:8000")
    return value


def as_tcp(value: str) -> str:
    """Return `value` if it is a `tcp://HOST:PORT`. Raises `ValueError`."""
    tcp_address(value)
    return value


def tcp_address(url: str) -> tuple[str, int]:
    """Return host and port of a `tcp://HOST:PORT`. Raises `ValueError`."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None and not parts.path:
            return parts.hostname, parts.port
    except ValueError:  # its port is no number, or too large
        pass
    raise ValueError(f"{url!r} should be tcp://HOST:PORT, like {WYOMING}")


def is_path(model: object) -> bool:
    """True if `model` is a checkpoint, and not a name."""
    if isinstance(model, Path):
        return True
    return isinstance(model, str) and (
        model.startswith(RANDOM)
        or "/" in model
        or os.sep in model
        or Path(model, "config.json").is_file()
    )


def checkpoint_name(checkpoint: Path | str) -> str:
    """Return a checkpoint's model name: the last part of it, in lower case."""
    if isinstance(checkpoint, Path):
        return checkpoint.expanduser().resolve().name.lower()
    return checkpoint.partition("@")[0].rpartition("/")[2].lower()


def user_cache_dir() -> Path:
    """Return the folder for this user's downloads."""
    return platformdirs.user_cache_path("vivavoce", appauthor=False)


def user_data_dir() -> Path:
    """Return the folder for this user's keys."""
    return platformdirs.user_data_path("vivavoce", appauthor=False)


# NoDecode: in the environment a list is `a,b`, not JSON.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
RemoteModels = Annotated[
    tuple[Annotated[str, AfterValidator(as_remote)], ...], NoDecode, BeforeValidator(split_commas)
]
Tcp = Annotated[str, AfterValidator(as_tcp)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Limit = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
# A Path is the folder of a checkpoint, a string its id on the model hub.
Checkpoint = Annotated[Path | str, BeforeValidator(as_checkpoint), AfterValidator(with_name)]
Checkpoints = Annotated[tuple[Checkpoint, ...], NoDecode, BeforeValidator(split_commas)]
