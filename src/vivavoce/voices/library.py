"""Find, make and change the saved voices that a caller may see."""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vivavoce.errors import BadRequest, ConsentEnded, Forbidden, UnknownVoice
from vivavoce.types import Reference
from vivavoce.voices.archive import pack
from vivavoce.voices.consents import Consents
from vivavoce.voices.record import Consent, Kind, SavedVoice, Viewer, check_name, now, voice_id
from vivavoce.voices.recording import RATE_HZ, Recording, kept_samples
from vivavoce.voices.store import FORM, VOICE, RecordFolder, Stored

FOLDER, CONSENTS_FOLDER = "voices", "consents"
READ_EVERY_S: Final = 0.5  # so that a change on another host shows within a second
_KEPT: Final = 8  # recordings in memory, of up to 3 MB each


class VoiceLibrary:
    """The voices in the folder `path`, which other processes may change at any time.

    With `require_consent` a recording is added only with a record of its consent.
    """

    def __init__(self, path: Path, *, require_consent: bool = True) -> None:
        self.folder = RecordFolder(path, FORM, VOICE)
        self.consents = Consents(path.with_name(CONSENTS_FOLDER))
        self.require_consent = require_consent
        self._voices: Mapping[str, Stored[SavedVoice]] = {}
        self._named: Mapping[str, Sequence[SavedVoice]] = {}  # by name and by id, in lower case
        self._read_at_s = float("-inf")
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._lent = dict[str, Path]()  # recordings that models were given, by id

    @property
    def is_stale(self) -> bool:
        """True if the folder should be read again, by `refresh`."""
        return time.monotonic() - self._read_at_s > READ_EVERY_S

    def refresh(self) -> None:
        """Read what has changed, and erase the recordings whose consent has ended."""
        begun_s = time.monotonic()
        self.consents.refresh()
        voices = {
            id: replace(stored, record=self.consents.applied_to(stored.record))
            for id, stored in self.folder.read(self._voices).items()
        }
        if begun_s < self._read_at_s:  # another thread has begun later, and is done already
            return
        named = defaultdict[str, list[SavedVoice]](list)
        for id, stored in voices.items():
            named[id].append(stored.record)
            named[stored.record.name.lower()].append(stored.record)
            if stored.record.ended():
                self._references.pop(id, None)
                self.folder.erase_ended(id)
        self._voices, self._named, self._read_at_s = voices, dict(named), begun_s

    def take_back(self) -> list[Path]:
        """Return the recordings that models were given and may not use any more, once each."""
        ended = [
            id
            for id in list(self._lent)
            if (stored := self._voices.get(id)) is None or stored.record.ended()
        ]
        return [self._lent.pop(id) for id in ended]

    def visible(self, viewer: Viewer) -> list[SavedVoice]:
        """Return the voices that the viewer may use, their own first, then by age."""
        voices = (stored.record for stored in self._voices.values())
        return _ordered(voices, viewer)

    def find(self, name: str, viewer: Viewer) -> SavedVoice | None:
        """Return the voice of that name or id, in any case, or None."""
        return next(iter(_ordered(self._named.get(name.strip().lower(), ()), viewer)), None)

    def get(self, name: str, viewer: Viewer, *, to_change: bool = False) -> SavedVoice:
        """Return a voice. Raises `UnknownVoice`, and `Forbidden` if it is another's to change."""
        self.refresh()
        voice = self.find(name, viewer)
        if voice is None:
            raise UnknownVoice(f"no voice {name[:80]!r} is saved here for you", field="voice_id")
        if to_change and not voice.changeable_by(viewer):
            raise Forbidden(
                f"voice {voice.name!r} is shared, and not yours to change: ask its owner, or use a "
                "key with the scope 'manage'"
            )
        return voice

    def usable(self, voice: SavedVoice) -> SavedVoice:
        """Return `voice`. Raises `ConsentEnded` if it may not be used any more."""
        if (why := voice.ended()) is not None:
            raise ConsentEnded(f"voice {voice.name!r} may not be used: {why}; choose another")
        return voice

    def reference(self, voice: SavedVoice) -> Reference:
        """Return the recording of a usable voice, as models take it. It reads a file."""
        self.usable(voice)
        if (known := self._references.get(voice.id)) is not None:
            return known
        try:
            samples = kept_samples(self._recording(voice))
        except BadRequest as error:
            raise UnknownVoice(
                f"voice {voice.name!r} has a damaged recording in data_dir: restore it, or remove "
                "the voice",
                field="voice_id",
            ) from error
        file = self._lent[voice.id] = self.folder.recording_path(voice.id)
        reference = Reference(samples, RATE_HZ, voice.words or None, file)
        self._references[voice.id] = reference
        while len(self._references) > _KEPT:
            self._references.popitem(last=False)
        return reference

    def add(
        self, draft: SavedVoice, viewer: Viewer, recording: Recording | None = None,
        taken: frozenset[str] = frozenset(),
    ) -> SavedVoice:  # fmt: skip
        """Save the voice that `draft` describes, and return it. The same voice is saved once.

        Raises `BadRequest` for a name that is not free or a missing consent, and `ConsentEnded`.
        """
        check_name(draft.name, taken)
        if draft.kind == "cloned" and draft.consent is None and self.require_consent:
            raise BadRequest(
                "consent is missing: say who speaks and what they agreed to (by, words), or set "
                "require_consent = false",
                field="consent",
            )
        sound = recording.pcm if recording else f"mix:{draft.formula}".encode()
        voice = replace(
            draft,
            id=voice_id(sound, draft.words, viewer.name),
            owner=viewer.name,
            shared=self._may_share(draft.shared, viewer) or not viewer.name,
            created=draft.created or now(),
        )
        self.usable(voice)
        with self.folder.names_held():
            self._check_free(voice, viewer)
            is_new = self.folder.save(voice, recording.flac if recording else None)
            self.refresh()
        return voice if is_new else self._same(voice)

    def change(
        self, name: str, viewer: Viewer, taken: frozenset[str], /, **values: object
    ) -> SavedVoice:
        """Change the name, description, labels or sharing of a voice, and return it."""
        voice = self.get(name, viewer, to_change=True)
        changed: SavedVoice = replace(voice, **values)  # type: ignore[arg-type]  # of its fields
        if changed.name != voice.name:
            check_name(changed.name, taken)
        if changed.shared and not voice.shared:
            self._may_share(True, viewer)
        if not changed.shared and not voice.owner:
            raise BadRequest(
                "a voice without an owner is for all: remove it instead", field="shared"
            )
        with self.folder.names_held():
            if changed.name != voice.name:
                self._check_free(changed, viewer)
            self.folder.update(changed)
            self.refresh()
        return changed

    def remove(self, name: str, viewer: Viewer) -> SavedVoice:
        """Remove a voice with its record."""
        voice = self.get(name, viewer, to_change=True)
        self.folder.remove(voice.id)
        self._references.pop(voice.id, None)
        self.refresh()
        return voice

    def revoke(self, name: str, viewer: Viewer) -> SavedVoice:
        """End the consent to a voice: its recording is erased, and the record stays."""
        voice = self.get(name, viewer, to_change=True)
        if voice.revoked is None:
            self.folder.revoke(voice.id)
        self._references.pop(voice.id, None)
        return self.get(voice.id, viewer)

    def revoke_consent(self, id: str, viewer: Viewer) -> None:
        """End a recorded consent, and so that to all voices made with it."""
        self.consents.revoke(id, viewer)
        self.refresh()

    def export(self, name: str, viewer: Viewer) -> bytes:
        """Return a voice of the viewer's as a file. Raises `ConsentEnded`."""
        voice = self.usable(self.get(name, viewer, to_change=True))
        recording = self._recording(voice) if voice.formula is None else None
        return pack(voice, recording)

    def _recording(self, voice: SavedVoice) -> bytes:
        """Return the recording. Raises `ConsentEnded` if the consent ended a moment ago."""
        try:
            return self.folder.recording(voice.id)
        except UnknownVoice:
            self.refresh()
            if (stored := self._voices.get(voice.id)) is not None:
                self.usable(stored.record)
            raise

    def _may_share(self, shared: bool, viewer: Viewer) -> bool:
        if shared and viewer.name and not viewer.manages:
            raise Forbidden("only a key with the scope 'manage' shares a voice: leave shared out")
        return shared

    def _check_free(self, voice: SavedVoice, viewer: Viewer) -> None:
        self.refresh()
        other = self.find(voice.name, replace(viewer, manages=False))
        if other is not None and other.id != voice.id:
            problem = f"name {voice.name!r} has a voice already: choose another, or remove that one"
            raise BadRequest(problem, field="name")

    def _same(self, voice: SavedVoice) -> SavedVoice:
        """Return the saved voice that sounds as `voice` does."""
        stored = self._voices.get(voice.id)
        if stored is None:
            raise UnknownVoice(
                f"voice {voice.name!r} was removed meanwhile: try again", field="name"
            )
        self.usable(stored.record)
        if stored.record.name.lower() != voice.name.lower():
            problem = f"this voice is saved as {stored.record.name!r}: use it, or rename it"
            raise BadRequest(problem, field="name")
        return stored.record


def _ordered(voices: Iterable[SavedVoice], viewer: Viewer) -> list[SavedVoice]:
    seen = [voice for voice in voices if voice.visible_to(viewer)]
    return sorted(seen, key=lambda v: (v.owner != viewer.name, not v.shared, v.created, v.id))


def draft(name: str, kind: Kind, *, consent: Consent | None = None, **facts: Any) -> SavedVoice:
    """Return the description of a voice that is to be saved. Any: its other fields."""
    provenance = "formula" if kind == "mixed" else "recorded"
    return SavedVoice("", name, kind, consent=consent, **{"provenance": provenance, **facts})
