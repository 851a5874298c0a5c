"""Keep the previews of designed voices for a while, until one of them is saved."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from vivavoce.errors import UnknownVoice
from vivavoce.types import AudioFormat
from vivavoce.voices.library import draft
from vivavoce.voices.record import SavedVoice, Viewer
from vivavoce.voices.recording import Recording

KEEP_S: Final = 3_600.0
MAX_OWN: Final = 16  # of one caller
MAX_ALL: Final = 64  # of 1.5 MB at most


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
    """The latest previews of each caller, in memory, each for `KEEP_S`."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._kept = dict[str, tuple[float, str, Preview]]()  # the oldest first, with their owners

    def add(self, preview: Preview, viewer: Viewer) -> None:
        """Keep a preview of the viewer's, instead of the oldest one if there are too many."""
        self._expire()
        own = [id for id, (_, owner, _) in self._kept.items() if owner == viewer.name]
        if len(own) >= MAX_OWN:
            del self._kept[own[0]]
        elif len(self._kept) >= MAX_ALL:
            del self._kept[next(iter(self._kept))]
        self._kept[preview.id] = self._clock_s(), viewer.name, preview

    def get(self, id: str, viewer: Viewer) -> Preview:
        """Return a preview of the viewer's. Raises `UnknownVoice` (`preview`)."""
        self._expire()
        found = self._kept.get(id)
        if found is None or found[1] != viewer.name:
            raise UnknownVoice(
                f"no preview {id[:80]!r} is kept here for you: they are kept for an hour, the "
                f"latest {MAX_OWN}, by the server that made them; design the voice again",
                field="preview",
            )
        return found[2]

    def _expire(self) -> None:
        before_s = self._clock_s() - KEEP_S
        for id in [id for id, (made_s, _, _) in self._kept.items() if made_s < before_s]:
            del self._kept[id]
