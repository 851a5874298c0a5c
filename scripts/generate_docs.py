"""Write the reference pages that follow from code: the settings and the command line.

`--check` writes nothing and exits with 1 if a page differs from what it would be.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import typer.main
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from vivavoce.cli import app
from vivavoce.settings import Settings
from vivavoce.settings.sources import ENV_PREFIX

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_docs.py; change the code, then run it. -->"


def configuration() -> str:
    """Return the page about settings, with a row for each."""
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return f"""{NOTE}

# Configuration

A setting is taken from the first of these that has it:

1. an option of `vivavoce serve` (see [the command line](cli.md)),
2. an environment variable, `{ENV_PREFIX}` and the setting's name in upper case,
3. the TOML file that `--config` or `{ENV_PREFIX}CONFIG` names,
4. its default.

An unknown name is an error, in the file and in the environment, and so is a value out of bounds. In
the environment lists are separated by commas, and an empty variable counts as unset.

```toml
# vivavoce.toml
port = 9000
models = ["hibari", "kokoro"]
log_level = "warning"
```

```sh
{ENV_PREFIX}PORT=9000 {ENV_PREFIX}MODELS=hibari,kokoro vivavoce serve
```

| Setting | Variable | Type | Default | |
| --- | --- | --- | --- | --- |
{chr(10).join(rows)}
"""


def _setting(name: str, field: FieldInfo) -> str:
    description = " ".join((field.description or "").split())
    variable = f"{ENV_PREFIX}{name.upper()}"
    return f"| `{name}` | `{variable}` | {_type(field)} | {_default(name, field)} | {description} |"


def _type(field: FieldInfo) -> str:
    """Return a setting's type in words, with its bounds."""
    if field.annotation is None:
        return ""
    if choices := [choice for choice in get_args(field.annotation) if isinstance(choice, str)]:
        return " or ".join(f"`{choice}`" for choice in choices)
    written = str(field.annotation)
    words = next(word for mark, word in _TYPE_WORDS if mark in written)
    bounds = [
        f"{sign} {getattr(rule, key):,}"
        for rule in field.metadata
        for key, sign in _BOUNDS
        if hasattr(rule, key)
    ]
    return ", ".join([words, *bounds])


_TYPE_WORDS = (
    ("tuple", "list"),
    (
        "Literal['auto']",
        "`auto` or an integer",
    ),  # beside another type; names alone are listed before
    ("bool", "true or false"),
    ("Path", "path"),
    ("int", "integer"),
    ("float", "number"),
    ("str", "text"),
)
_FOLDERS = {"cache_dir": "the user's cache folder", "data_dir": "the user's data folder"}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"))


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is PydanticUndefined:
        return _FOLDERS[name]  # differs by system and user
    if field.default is None:
        return "unset"
    value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`"


def command_line() -> str:
    """Return the page about the commands that are no groups, with a section for each."""
    root = typer.main.get_command(app)
    alone = [child for child in _children(root) if not _is_group(child)]
    return f"""{NOTE}

# Command line

`vivavoce models`, `keys` and `lexicon` are on [a page of their own](cli-groups.md), and
`vivavoce voices` and `vivavoce jobs` on [two](cli-voices.md) [others](cli-jobs.md).

Exit codes: `0` done, `1` the work failed, `2` the command line or the settings are wrong, `3` the
address to listen on cannot be had, `4` the models to serve are missing, `5` no room for temporary
files, `130` interrupted with Ctrl-C. Errors are one line on stderr; results go to stdout.

{_section(root, "vivavoce")}
{_sections(alone, "vivavoce")}"""


def command_groups() -> str:
    """Return the page about the groups of commands."""
    groups = [child for child in _children(typer.main.get_command(app)) if _is_group(child)]
    others = [child for child in groups if child[0] not in ("voices", "jobs")]
    return f"""{NOTE}

# Commands for models, keys and the lexicon

The other commands are on [the page about the command line](cli.md).

{_sections(others, "vivavoce")}"""


def voice_commands() -> str:
    """Return the page about the group of commands for voices."""
    return _page_of("voices", "[Voices of your own](../voices.md)")


def job_commands() -> str:
    """Return the page about the group of commands for jobs."""
    return _page_of("jobs", "[Jobs](../jobs.md)")


def _page_of(group: str, guide: str) -> str:
    commands = dict(_children(typer.main.get_command(app)))
    return f"""{NOTE}

# Commands for {group}

{guide} tells what they are for. The other commands are on
[the page about the command line](cli.md).

{_sections([(group, commands[group])], "vivavoce")}"""


def _is_group(child: tuple[str, Any]) -> bool:
    return len(list(_children(child[1]))) > 1


# Any: Typer keeps the classes of the commands that it builds private.
def _sections(children: Iterable[tuple[str, Any]], name: str) -> str:
    """Return the sections of commands and of their subcommands."""
    parts = []
    for key, child in children:
        full = f"{name} {key}"
        parts += [_section(child, full), _sections(_children(child), full)]
    return "\n".join(filter(None, parts))


def _section(command: Any, name: str) -> str:
    """Return the section of one command."""
    parts = [f"## `{name}`", "", _help(command.help or ""), ""]
    if options := [row for parameter in command.params if (row := _parameter(parameter))]:
        parts += ["| | | Default |", "| --- | --- | --- |", *options, ""]
    return "\n".join(parts)


def _children(command: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(command, "commands", {}).items()


def _help(text: str) -> str:
    """Return a command's help with its examples as a code block."""
    before, mark, examples = text.partition("Examples:")
    if not mark:
        return before.strip()
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    return "\n".join([before.strip(), "", "```sh", *lines, "```"])


def _parameter(parameter: Any) -> str | None:
    """Return the table row of an option or argument, or None if hidden."""
    if getattr(parameter, "hidden", False) or parameter.name in (
        "install_completion",
        "show_completion",
    ):
        return None
    names = ", ".join(f"`{name}`" for name in parameter.opts if name.startswith("-"))
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    default = "" if shown is None or isinstance(shown, bool) else str(shown)
    names = names or f"`{parameter.name.upper()}`"
    return f"| {names} | {getattr(parameter, 'help', '') or ''} | {default} |"


PAGES = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "cli-groups.md": command_groups,
    "cli-voices.md": voice_commands,
    "cli-jobs.md": job_commands,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them. Return the exit code."""
    stale = []
    for name, write in PAGES.items():
        path, text = REFERENCE / name, write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(
            f"{', '.join(stale)} differ from the code: run scripts/generate_docs.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
