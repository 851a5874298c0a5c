"""Assemble the commands, and turn each error into one line and an exit code."""

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vivavoce import __version__
from vivavoce.cli.bench import bench
from vivavoce.cli.books import book, jobs
from vivavoce.cli.doctor import doctor
from vivavoce.cli.keys import keys
from vivavoce.cli.lexicon import lexicon
from vivavoce.cli.models import models
from vivavoce.cli.options import option
from vivavoce.cli.say import say
from vivavoce.cli.serve import serve
from vivavoce.cli.trace import trace
from vivavoce.cli.ui import ui
from vivavoce.cli.verify import verify
from vivavoce.cli.voices import voices
from vivavoce.cli.wyoming import WithWyoming
from vivavoce.errors import BindError, DiskFull, ModelsMissing, SettingsError, VivavoceError

FAILED = 1
EXIT_CODES = {SettingsError: 2, BindError: 3, ModelsMissing: 4, DiskFull: 5}
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


class Commands(TyperGroup):
    """The root group, which handles the errors of our tree.

    Typer itself handles usage errors (exit code 2) and Ctrl-C (130).
    """

    # Any: Typer's context class is not public, and a command may return anything.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VivavoceError as error:
            typer.echo(f"vivavoce: {' '.join(error.message.split())}", err=True)
            raise typer.Exit(EXIT_CODES.get(type(error), FAILED)) from error
        except OSError as error:  # a command may write files anywhere
            if error.errno not in _DISK_ERRORS:
                raise
            place = error.filename or "it"
            typer.echo(f"vivavoce: cannot write {place} ({error.strerror}): make room", err=True)
            raise typer.Exit(EXIT_CODES[DiskFull]) from error


app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.command(cls=WithWyoming)(serve)
for command in (say, book, verify, doctor, trace, ui):
    app.command()(command)
app.add_typer(voices)
app.add_typer(models)
app.add_typer(keys)
app.add_typer(lexicon)
app.add_typer(jobs)
app.add_typer(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vivavoce {__version__}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, option("Print the version.", "--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A speech server and its commands: text in, speech out.

    Examples:
      vivavoce say "Hello there." -o hello.wav
      vivavoce serve
      vivavoce doctor
    """
