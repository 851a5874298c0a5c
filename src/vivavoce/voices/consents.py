"""Find, keep and end the recorded consents that a caller may see."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vivavoce.errors import UnknownConsent
from vivavoce.voices.record import RecordedConsent, SavedVoice, Viewer, new_consent_id, now
from vivavoce.voices.recording import Recording
from vivavoce.voices.store import CONSENT, CONSENT_FORM, RecordFolder, Stored


class Consents:
    """The recorded consents in the folder `path`, which other processes may change at any time.

    An ended consent stays in the folder without its recording, and nobody sees it any more.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RecordFolder(path, CONSENT_FORM, CONSENT)
        self._stored: Mapping[str, Stored[RecordedConsent]] = {}
        self._read_at_s = float("-inf")

    def refresh(self) -> None:
        """Read what has changed, and erase recordings that a killed process has left."""
        begun_s = time.monotonic()
        found = self.folder.read(self._stored)
        if begun_s < self._read_at_s:  # another thread has begun later, and is done already
            return
        self._stored, self._read_at_s = found, begun_s
        for id, stored in found.items():
            if stored.record.revoked is not None and self.folder.has_recording(id):
                self.folder.erase_ended(id)

    def visible(self, viewer: Viewer) -> list[RecordedConsent]:
        """Return the consents that the viewer may use, the newest first."""
        self.refresh()
        seen = (stored.record for stored in self._stored.values())
        ordered = sorted(seen, key=lambda consent: (consent.created, consent.id), reverse=True)
        return [consent for consent in ordered if consent.visible_to(viewer)]

    def get(self, id: str, viewer: Viewer, *, field: str = "consent_id") -> RecordedConsent:
        """Return a consent. Raises `UnknownConsent` (`field`), also if it has ended."""
        self.refresh()
        stored = self._stored.get(id)
        if stored is None or not stored.record.visible_to(viewer):
            raise UnknownConsent(f"no consent {id[:80]!r} is kept here for you", field=field)
        return stored.record

    def add(
        self, name: str, language: str, recording: Recording, viewer: Viewer
    ) -> RecordedConsent:
        """Keep the recording of a consent. Raises `DiskFull`."""
        consent = RecordedConsent(new_consent_id(), name, language, now(), viewer.name)
        self.folder.save(consent, recording.flac)
        return consent

    def rename(self, id: str, name: str, viewer: Viewer) -> RecordedConsent:
        """Change the name of a consent. What voices have kept of it stays."""
        consent = replace(self.get(id, viewer), name=name)
        self.folder.update(consent)
        return consent

    def revoke(self, id: str, viewer: Viewer) -> None:
        """End a consent: its recording is erased, and the record stays."""
        self.folder.revoke(self.get(id, viewer).id)

    def applied_to(self, voice: SavedVoice) -> SavedVoice:
        """Return `voice`, revoked if the recorded consent to it is."""
        stored = None if voice.consent is None else self._stored.get(voice.consent.recorded)
        if stored is None or voice.revoked is not None:
            return voice
        return replace(voice, revoked=stored.record.revoked)
