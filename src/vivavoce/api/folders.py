"""Says whether the server's folders can be used: where large answers wait, where keys are kept, where models are.

It knows paths alone. Nothing is repaired, and nobody is kept from speaking: most requests need none of them.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vivavoce.permissions import why_unreadable

ROOM_BYTES: Final = 8 * 2**20  # an answer of this size may wait on disk
OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one server."""

    data: Path
    cache: Path

    def states(self) -> Mapping[str, str]:
        """For each `ok`, or what is wrong with it. Asks the disk, so call it beside the event loop."""
        return {"temporary": _temporary(), "data": _kept(self.data), "cache": _kept(self.cache)}


def temporary_folder() -> str:
    """Where temporary files go, or would if they could."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR", "")


def _temporary() -> str:
    folder = temporary_folder()
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"\0")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder!r} cannot be written ({error.strerror}): whole answers of more than {ROOM_BYTES:,} bytes fail"
    if free < ROOM_BYTES:
        return f"{folder!r} has {free:,} bytes left: whole answers of more than {ROOM_BYTES:,} bytes fail"
    return OK


def _kept(folder: Path) -> str:
    """Of a folder that `vivavoce keys` and `vivavoce models pull` write and the server only reads."""
    if not os.path.lexists(folder):
        return OK  # it is made when it is needed
    if why := why_unreadable(folder):
        return why
    if not os.access(folder, os.W_OK):
        return f"{str(folder)!r} can be read, and not written: what is in it cannot be changed from here"
    return OK
