"""Define `vivavoce verify`, which tells what an audio file says of its making."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.errors import BadRequest, MissingDependency

NOTHING = 1  # exit code


def verify(
    file: Annotated[Path, typer.Argument(help="Audio file.", metavar="FILE")],
) -> None:
    """Tell what a file says of its making: its comment, and its C2PA manifest.

    The exit code is 1 if it says nothing, or if its manifest does not fit its bytes. A file that
    says nothing may be synthetic all the same.

    Examples:
      vivavoce verify hello.mp3
    """
    from vivavoce.audio import comment_in
    from vivavoce.provenance.manifest import Manifest, read_manifest

    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {str(file)!r} ({error.strerror})", field="file") from error
    comment = comment_in(data)
    manifest: Manifest | None = None
    hint = ""
    try:
        manifest = read_manifest(data)
    except MissingDependency as error:
        hint = error.message
    for line in (comment or "").splitlines():
        _say("comment", line)
    if manifest is not None:
        _say("C2PA manifest", f"{manifest.state}, by {manifest.generator or 'unknown'}")
        _say("  signed by", manifest.issuer)
        for action in manifest.actions:
            _say("  action", action)
    if hint:
        typer.echo(f"C2PA manifest: not looked for ({hint})")
    if manifest is None and not comment:
        typer.echo(f"{str(file)!r} says nothing of its making", err=True)
    invalid = manifest is not None and manifest.state.startswith("Invalid")
    if invalid or (manifest is None and not comment):
        raise typer.Exit(NOTHING)


def _say(what: str, said: str) -> None:
    """Print what a file says, in one line: it may hold anything, commands for a terminal too."""
    typer.echo(f"{what}: {''.join(char if char.isprintable() else '?' for char in said)}")
