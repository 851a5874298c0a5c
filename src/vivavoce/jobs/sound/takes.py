"""Keep the audio of sentences in files named by their content, each with what is known of it.

- A file is whole or not there, whenever the process is killed. After a power cut one that the
  database has not heard of may be damaged, which is seen when it is read.
- Its facts are inside, so that one that the database has not heard of is not spoken again.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from vivavoce.audio.containers import flac_length, flac_note, flac_with_note
from vivavoce.audio.decode import decode_flac
from vivavoce.errors import BadRequest
from vivavoce.files import sync_file, sync_folder, write_new
from vivavoce.types import Samples

KIND: Final = b"vivo"  # of the block with the facts
_HEAD_BYTES: Final = 2**20  # holds the facts of a thousand words


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the audio of a sentence. `words` are spans in its text, and seconds."""

    rate_hz: int
    words: tuple[tuple[int, int, float, float], ...]
    cut: str  # why the audio ended early, or nothing
    unspoken: tuple[str, ...]
    pace: float  # letters a second
    pitch_hz: float


class Takes:
    """The takes in `folder`, for all jobs. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.flac"

    def write(self, key: str, flac: bytes, facts: Facts, spare: Path) -> int:
        """Write a take, first in the folder `spare`. Return its size in bytes.

        A kill cannot undo it, a power cut can until `sync`. Raises `OSError`.
        """
        data = flac_with_note(flac, KIND, json.dumps(asdict(facts)).encode())
        path, new = self.path(key), spare / key
        new.unlink(missing_ok=True)
        write_new(new, data, synced=False)
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._folder)
        new.replace(path)
        return len(data)

    def sync(self, key: str) -> None:
        """Make a take outlast a power cut. One that cannot is removed. Raises `OSError`."""
        try:
            sync_file(self.path(key))
        except FileNotFoundError:  # removed with another job that had it too
            pass
        except OSError:
            self.remove([key])
            raise

    def facts(self, key: str) -> tuple[Facts, int, int] | None:
        """Return what is known of a take, its samples and its bytes, or None if there is none."""
        path = self.path(key)
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        note = flac_note(head, KIND)
        if note is None:
            return None
        fields = json.loads(note)
        fields["words"] = tuple(map(tuple, fields["words"]))
        fields["unspoken"] = tuple(fields["unspoken"])
        return Facts(**fields), flac_length(head), size

    def samples(self, key: str) -> Samples:
        """Return the audio of a take. Raises `BadRequest` if it is damaged or gone."""
        try:
            return decode_flac(self.path(key).read_bytes())
        except FileNotFoundError as error:
            raise BadRequest(f"take {key!r} is gone", field="file") from error

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.path(key).unlink(missing_ok=True)
            with suppress(OSError):  # others are in it
                self.path(key).parent.rmdir()
