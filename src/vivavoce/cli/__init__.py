"""The command line: `vivavoce serve`, `say`, `voices`, `models`, `keys`, `doctor`, `trace`,
`bench`, `ui`.

Parses arguments and prints; the work is done by the layers below, which are imported only when a
command needs them.

Exit codes: 0 done · 1 the work failed · 2 the command line or the settings are wrong · 3 the
address to listen on cannot be had · 4 the models to serve are missing · 5 no room for temporary
files · 130 interrupted with Ctrl-C.
"""

from vivavoce.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exits."""
    app(prog_name="vivavoce")
