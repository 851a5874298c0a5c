"""Write speech into a file or a pipe, or play it.

A file appears under its name when it is complete.
"""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vivavoce.errors import BadRequest, MissingDependency, VivavoceError

# As `types.AudioFormat`, which would import numpy.
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac", "m4a")
PIPE = Path("-")

_SUFFIXES = {f".{name}": name for name in FORMATS} | {".ogg": "opus", ".raw": "pcm", ".wave": "wav"}
_FFPLAY = ("-nodisp", "-autoexit", "-loglevel", "error")
_PLAYERS = {"ffplay": _FFPLAY, "aplay": ("-q",), "paplay": (), "afplay": ()}


def format_of(path: Path) -> str | None:
    """Return the audio format for a file's suffix, or `None`."""
    return _SUFFIXES.get(path.suffix.lower())


def is_seekable(path: Path) -> bool:
    """True if `path` is a regular file or does not exist, and so seekable."""
    return path != PIPE and (path.is_file() or not path.exists())


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Yield the file to write.

    A regular file gets its name at the end of the block. After an error it is removed.
    """
    if path == PIPE:
        yield sys.stdout.buffer
        return
    target = path.with_name(f"{path.name}.part") if is_seekable(path) else path
    try:
        file = target.open("w+b" if is_seekable(path) else "wb")
    except OSError as error:
        problem = f"cannot write {str(path)!r} ({error.strerror}): choose another file"
        raise BadRequest(problem, field="output") from error
    try:
        with file:
            yield file
        if target != path:
            target.replace(path)
    finally:
        if target != path:
            target.unlink(missing_ok=True)


async def write_speech(
    chunks: AsyncIterable[bytes], file: BinaryIO, *, wav_rate_hz: int | None, comment: str = ""
) -> None:
    """Write each chunk at once.

    With `wav_rate_hz` the chunks are 16-bit mono PCM, and the seekable `file` becomes a WAV file of
    exact size with `comment`.
    """
    if wav_rate_hz is None:
        async for chunk in chunks:
            file.write(chunk)
            file.flush()  # a player at the other end of a pipe plays it now
        return

    from vivavoce.synthesis.outlet import wav_parts

    size = 0
    file.write(wav_parts(wav_rate_hz, size, comment)[0])
    async for chunk in chunks:
        size += file.write(chunk)
    start, end = wav_parts(wav_rate_hz, size, comment)
    file.write(end)
    file.seek(0)
    file.write(start)


def find_player() -> list[str]:
    """Return the command, without the file, that plays a WAV file.

    Raises `MissingDependency` if there is none.
    """
    for name, options in _PLAYERS.items():
        if found := shutil.which(name):
            return [found, *options]
    raise MissingDependency(
        f"nothing here can play audio (looked for {', '.join(_PLAYERS)}): "
        "write a file with -o hello.wav"
    )


def play(player: list[str], path: Path) -> None:
    """Play a WAV file to its end."""
    result = subprocess.run([*player, str(path)], stdout=subprocess.DEVNULL, check=False)
    if result.returncode:
        raise VivavoceError(
            f"{player[0]!r} failed with exit code {result.returncode}: write a file with -o instead"
        )
