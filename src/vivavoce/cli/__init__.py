"""Run the command line: `vivavoce serve`, `say`, `voices`, `models`, `keys`, `doctor`, `ui` …

It parses arguments and prints. The layers below do the work, and are imported only when a command
needs them.

Exit codes:

- 0: done
- 1: the work failed
- 2: wrong command line or settings
- 3: the server cannot listen on its address
- 4: the models to serve are missing
- 5: no disk space for temporary files
- 130: interrupted with Ctrl-C
"""

from vivavoce.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="vivavoce")
