"""Define `vivavoce verify`, which tells what a file says of its making."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.errors import BadRequest, MissingDependency

if TYPE_CHECKING:
    from vivavoce.books.marks import Part
    from vivavoce.provenance.manifest import Manifest

NOTHING = 1  # exit code


def verify(
    file: Annotated[Path, typer.Argument(help="Audio, EPUB, zip or subtitles.", metavar="FILE")],
) -> None:
    """Tell what a file says of its making: its comment, and its C2PA manifest.

    Of an EPUB and a zip, all audio files inside are read too. The exit code is 1
    if the file or one inside says nothing, or if a manifest does not fit its
    bytes. A file that says nothing may be synthetic all the same.

    Examples:
      vivavoce verify hello.mp3
      vivavoce verify novel.epub
    """
    from vivavoce.audio import comment_in
    from vivavoce.books.marks import parts_of

    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {str(file)!r} ({error.strerror})", field="file") from error
    reader = _Reader()
    parts = parts_of(data, str(file))
    if parts is None:
        is_good = reader.show(tuple((comment_in(data) or "").splitlines()), data)
    else:
        is_good = reader.show_all(parts)
    if reader.hint:
        typer.echo(f"C2PA manifest: not looked for ({reader.hint})")
    if not reader.says_anything:
        typer.echo(f"{str(file)!r} says nothing of its making", err=True)
    if not (is_good and reader.says_anything):
        raise typer.Exit(NOTHING)


class _Reader:
    """Prints what files say. `hint` tells why manifests were not looked for."""

    def __init__(self) -> None:
        self.hint = ""
        self.says_anything = False

    def show(self, comments: tuple[str, ...], audio: bytes) -> bool:
        """Print what one file says. Return whether its manifest, if it has one, fits."""
        manifest = self._manifest(audio)
        for what, said in _lines(comments, manifest):
            _say(what, said)
        for action in () if manifest is None else manifest.actions:
            _say("  action", action)
        self.says_anything = bool(comments or manifest)
        return manifest is None or not manifest.state.startswith("Invalid")

    def show_all(self, parts: "Iterable[Part]") -> bool:
        """Print what files inside a file say. Return whether each audio file says it well."""
        said: Counter[tuple[str, str]] = Counter()
        silent: list[str] = []
        is_good = True
        for part in parts:
            manifest = self._manifest(part.audio) if part.audio else None
            lines = list(_lines(part.comments, manifest))
            if part.audio:
                said.update(lines)
                silent += [] if lines else [part.name]
                is_good &= manifest is None or not manifest.state.startswith("Invalid")
            else:
                for line in lines:
                    _say(*line)
            self.says_anything |= bool(lines)
        for (what, words), count in said.items():
            _say(f"{count} audio file{'s' * (count > 1)}: {what.strip()}", words)
        if silent and self.says_anything:
            _say(f"{len(silent)} audio files say nothing of their making, such as", silent[0])
        return is_good and not silent

    def _manifest(self, audio: bytes) -> "Manifest | None":
        from vivavoce.provenance.manifest import read_manifest

        try:
            return read_manifest(audio)
        except MissingDependency as error:
            self.hint = error.message
            return None


def _lines(comments: tuple[str, ...], manifest: "Manifest | None") -> Iterator[tuple[str, str]]:
    for comment in comments:
        yield "comment", comment
    if manifest is not None:
        yield "C2PA manifest", f"{manifest.state}, by {manifest.generator or 'unknown'}"
        yield "  signed by", manifest.issuer


def _say(what: str, said: str) -> None:
    """Print what a file says, in one line: it may hold anything, commands for a terminal too."""
    typer.echo(f"{what}: {''.join(char if char.isprintable() else '?' for char in said)}")
