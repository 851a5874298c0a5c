"""Read settings from a TOML file and the environment, and check their names."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from vivavoce.errors import SettingsError

ENV_PREFIX = "VIVAVOCE_"
RENAMED = {  # old name → name
    "model": "default_model", "load": "load_models", "grace_s": "shutdown_timeout_s",
    "model_process": "isolate_models", "max_waiting": "max_queued_requests",
    "max_waiting_s": "max_queued_audio_s",
}  # fmt: skip
CONFIG_VARIABLE = "VIVAVOCE_CONFIG"  # names the TOML file when --config does not


def config_from_environment() -> Path | None:
    """Return the TOML file that the environment names, or `None`."""
    name = os.environ.get(CONFIG_VARIABLE)
    return Path(name) if name else None


def read_file(path: Path) -> dict[str, object]:
    """Return the keys of a TOML file. Raises `SettingsError` if it cannot be read, or is none."""
    try:
        with path.expanduser().open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(
            f"cannot read the settings file {str(path)!r}: {error.strerror}; "
            f"check --config and {CONFIG_VARIABLE}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = f"the settings file {str(path)!r} is not valid TOML: {error}"
        raise SettingsError(problem) from error


def check_environment(fields: Iterable[str]) -> None:
    """Raise `SettingsError` for a variable with our prefix that sets none of `fields`."""
    known = [CONFIG_VARIABLE, *(f"{ENV_PREFIX}{field.upper()}" for field in fields)]
    # Names of environment variables match in any case, as on Windows.
    ours = {name.upper(): "" for name in os.environ if name.upper().startswith(ENV_PREFIX)}
    check_names(ours, known, where="environment: ")


def check_names(given: Mapping[str, object], known: Iterable[str], *, where: str) -> None:
    """Raise `SettingsError` with the new or closest name for a name that is not `known`."""
    names = list(known)
    for name in given:
        if name in names:
            continue
        if (now := _renamed(name)) in names:
            raise SettingsError(f"{where}the setting {name!r} is called {now!r} now")
        hint = "remove it, or see `vivavoce serve --help` for the names"
        for close in difflib.get_close_matches(name, names, n=1):
            hint = f"did you mean {close!r}?"
        raise SettingsError(f"{where}unknown setting {name!r}: {hint}")


def _renamed(name: str) -> str | None:
    """Return the new name of the setting or variable `name`, if it was renamed."""
    if name.startswith(ENV_PREFIX):
        now = RENAMED.get(name.removeprefix(ENV_PREFIX).lower())
        return now and f"{ENV_PREFIX}{now.upper()}"
    return RENAMED.get(name)


def explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """Return one line with every wrong setting, its value, its source and the allowed values."""
    lines = []
    for problem in error.errors(include_url=False):
        reason = problem["msg"].removeprefix("Value error, ")
        reason = reason.replace("Input should be", "it should be")
        if not problem["loc"]:  # a rule over several settings, whose message names them
            lines.append(reason)
            continue
        name = str(problem["loc"][0])
        where = f" {origin[name]}" if name in origin else ""
        lines.append(f"setting {name!r}{where} has the value {problem['input']!r}: {reason}")
    return "; ".join(lines)
