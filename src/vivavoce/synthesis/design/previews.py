"""Keep the previews of designed voices in a folder for a while, until one of them is saved.

A file `<owner>-<id>` has what is known of a preview as one line of JSON, then its recording and its
audio. Every process that shares the folder finds it.
"""

import hashlib
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from vivavoce.errors import BadRequest, DiskFull, UnknownVoice
from vivavoce.files import write_new
from vivavoce.types import AudioFormat
from vivavoce.voices.library import draft
from vivavoce.voices.record import SavedVoice, Viewer
from vivavoce.voices.recording import Recording, repacked

FOLDER: Final = "previews"
KEEP_S: Final = 3_600.0
MAX_OWN: Final = 16  # of one key, 3 MB at most each
_ID: Final = re.compile(r"[0-9a-f]{24}")
# Damaged, or written by another version, whose facts have other names.
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, BadRequest)
_FACTS: Final = ("description", "language", "seed", "words", "format", "synthetic")


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A voice that was made from `description`, and what it says."""

    id: str
    description: str
    language: str  # ISO 639-1
    seed: int
    words: str | None  # None if the speech was cut
    recording: Recording
    audio: bytes  # a whole file, marked as synthetic
    format: AudioFormat
    synthetic: str  # what the header of that name says, empty if marks are off

    def drafted(self, name: str, **facts: Any) -> tuple[SavedVoice, Recording]:
        """Return the voice to be saved as `name`, and its recording. Any: its other fields."""
        told = {"description": self.description, "provenance": "described", **facts}
        return draft(name, "designed", words=self.words, **told), self.recording


class Previews:
    """The latest previews of each key, in the folder `path`, each for `KEEP_S`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, preview: Preview, viewer: Viewer) -> None:
        """Keep a preview of the viewer's instead of the oldest one. Raises `DiskFull`."""
        self.expire()
        facts: dict[str, object] = {name: getattr(preview, name) for name in _FACTS}
        facts["recording_bytes"] = len(preview.recording.flac)
        contents = json.dumps(facts).encode() + b"\n" + preview.recording.flac + preview.audio
        new = self.path / f".new-{uuid4().hex}"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(new, contents)
            new.replace(self._path_of(preview.id, viewer))
        except OSError as error:
            raise DiskFull(
                f"cannot keep a preview in {str(self.path)!r} ({error.strerror}): make room there"
            ) from error
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        for path in self._files(f"{_mark(viewer)}-*")[:-MAX_OWN]:
            with suppress(OSError):  # another process was first, or it is no file
                path.unlink()

    def get(self, id: str, viewer: Viewer) -> Preview:
        """Return a preview of the viewer's. Raises `UnknownVoice` (`preview`)."""
        self.expire()
        try:
            if not _ID.fullmatch(id):
                raise FileNotFoundError
            told, _, data = self._path_of(id, viewer).read_bytes().partition(b"\n")
            facts = json.loads(told)
            size = facts.pop("recording_bytes")
            recording = repacked(data[:size], synthetic=True)
            return Preview(id, recording=recording, audio=data[size:], **facts)
        except _UNREADABLE as error:
            raise UnknownVoice(
                f"no preview {id[:80]!r} is kept here for you: they are kept for an hour, the "
                f"latest {MAX_OWN} of a key; design the voice again",
                field="preview",
            ) from error

    def expire(self) -> None:
        """Erase the previews that are older than `KEEP_S`, and what killed processes have left."""
        for path in self._files("*"):
            with suppress(OSError):  # another process was first
                if path.stat().st_mtime < time.time() - KEEP_S:
                    path.unlink()

    def _path_of(self, id: str, viewer: Viewer) -> Path:
        return self.path / f"{_mark(viewer)}-{id}"

    def _files(self, pattern: str) -> list[Path]:
        """Return the files of that name, the oldest first."""
        found = list[tuple[int, Path]]()
        for path in self.path.glob(pattern):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]


def _mark(viewer: Viewer) -> str:
    return hashlib.sha256(viewer.name.encode()).hexdigest()[:16]
