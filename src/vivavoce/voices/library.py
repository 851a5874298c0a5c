"""Find, make and change the saved voices that a caller may see."""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vivavoce.errors import BadRequest, ConsentEnded, Forbidden, UnknownVoice, Unsupported
from vivavoce.types import Reference, Samples
from vivavoce.voices.archive import pack
from vivavoce.voices.consents import Consents
from vivavoce.voices.record import (
    MAX_FORMER,
    Consent,
    FormerConsent,
    Kind,
    SavedVoice,
    Viewer,
    check_name,
    now,
    today,
    voice_id,
)
from vivavoce.voices.recording import RATE_HZ, Recording, kept_samples, pcm_of
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
        self._named: Mapping[str, Sequence[SavedVoice]] = {}  # by name and by ids, in lower case
        self._now: Mapping[str, str] = {}  # a former id → that of today
        self._read_at_s, self._read_on = float("-inf"), today()
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._lent = dict[str, Path]()  # recordings that models were given, by id

    @property
    def is_stale(self) -> bool:
        """True if the folder should be read again, by `refresh`: at midnight consents end."""
        return time.monotonic() - self._read_at_s > READ_EVERY_S or today() != self._read_on

    def refresh(self) -> None:
        """Read what has changed, and erase the recordings whose consent has ended."""
        begun_s, day = time.monotonic(), today()  # a consent that is renewed later counts
        self.consents.refresh()
        voices = {
            id: replace(stored, record=self.consents.applied_to(stored.record))
            for id, stored in self.folder.read(self._voices).items()
        }
        if begun_s < self._read_at_s:  # another thread has begun later, and is done already
            return
        named = defaultdict[str, list[SavedVoice]](list)
        former = dict[str, str]()
        for id, stored in voices.items():
            named[id].append(stored.record)
            named[stored.record.name.lower()].append(stored.record)
            for old in set(stored.record.formerly) - voices.keys():
                named[old].append(stored.record)
                former[old] = id
            if stored.record.ended(day):
                self._references.pop(id, None)
                self.folder.erase_ended(id)
        for id in list(self._references):
            if id not in voices:
                self._references.pop(id, None)
        self._voices, self._named, self._now = voices, dict(named), former
        self._read_at_s, self._read_on = begun_s, day

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
        """Return the voice of that name or id, also a former one, in any case, or None."""
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
            flac = self.folder.recording(voice.id)
        except UnknownVoice:
            return self.reference(self._present(voice))
        samples = _samples_of(voice, flac)
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
        if draft.consent is not None and draft.provenance != "imported":
            _check_expiry(draft.consent)
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
            self._check_free(voice)
            flac = recording.flac if recording else None
            is_new = voice.id not in self._now and self.folder.save(voice, flac)
            self.refresh()
        return voice if is_new else self._same(voice)

    def change(
        self, name: str, viewer: Viewer, taken: frozenset[str], /, **values: object
    ) -> SavedVoice:
        """Change the name, words, description, labels or sharing of a voice, and return it.

        With other words it has another id, and is found by the former one as well.
        """
        self.get(name, viewer, to_change=True)  # else nothing is written
        with self.folder.names_held():
            voice = self.get(name, viewer, to_change=True)
            changed: SavedVoice = replace(voice, **values)  # type: ignore[arg-type]  # of its fields
            if changed.words != voice.words:
                changed = self._with_other_id(changed, voice.id)
            if changed.name != voice.name:
                check_name(changed.name, taken)
            if changed.shared and not voice.shared:
                self._may_share(True, viewer)
            if not changed.shared and not voice.owner:
                raise BadRequest(
                    "a voice without an owner is for all: remove it instead", field="shared"
                )
            if changed.name != voice.name or (changed.shared and not voice.shared):
                self._check_free(changed, but=voice.id)
            if changed.id == voice.id:
                self.folder.update(changed)
            else:
                self.folder.move(voice.id, changed)
            self.refresh()
        return changed

    def renew(self, name: str, viewer: Viewer, consent: Consent) -> SavedVoice:
        """Replace the record of consent to a voice. Raises `ConsentEnded` if it is over.

        The former records are kept, and the voice still ends with a recorded consent that it had.
        """
        _check_expiry(consent)
        self.usable(self.get(name, viewer, to_change=True))
        with self.folder.names_held():
            voice = self.usable(self.get(name, viewer, to_change=True))
            former = voice.former_consents
            if voice.consent is not None:
                former = (*former, FormerConsent(voice.consent, now()))[-MAX_FORMER:]
                consent = replace(consent, recorded=voice.consent.recorded)
            renewed = replace(voice, consent=consent, former_consents=former)
            self.folder.update(renewed)
            self.refresh()
        return renewed

    def remove(self, name: str, viewer: Viewer) -> SavedVoice:
        """Remove a voice with its record."""
        voice = self.get(name, viewer, to_change=True)
        try:
            self.folder.remove(voice.id)
        except UnknownVoice:
            self.folder.remove(self._present(voice).id)
        self._references.pop(voice.id, None)
        self.refresh()
        return voice

    def revoke(self, name: str, viewer: Viewer) -> SavedVoice:
        """End the consent to a voice: its recording is erased, and the record stays."""
        voice = self.get(name, viewer, to_change=True)
        if voice.revoked is None:
            try:
                self.folder.revoke(voice.id)
            except UnknownVoice:
                self.folder.revoke(self._present(voice).id)
        self._references.pop(voice.id, None)
        return self.get(voice.id, viewer)

    def revoke_consent(self, id: str, viewer: Viewer) -> None:
        """End a recorded consent, and so that to all voices made with it."""
        self.consents.revoke(id, viewer)
        self.refresh()

    def export(self, name: str, viewer: Viewer) -> bytes:
        """Return a voice of the viewer's as a file. Raises `ConsentEnded`, and `UnknownVoice`."""
        voice = self.usable(self.get(name, viewer, to_change=True))
        if voice.formula is not None:
            return pack(voice, None)
        voice, flac = self._recorded(voice)
        _samples_of(voice, flac)  # else the file is no voice
        return pack(voice, flac)

    def _recorded(self, voice: SavedVoice) -> tuple[SavedVoice, bytes]:
        """Return a voice as it is now, and its recording. Raises as `_present` does."""
        try:
            return voice, self.folder.recording(voice.id)
        except UnknownVoice:
            present = self._present(voice)
            return present, self.folder.recording(present.id)

    def _present(self, voice: SavedVoice) -> SavedVoice:
        """Return a voice whose folder has gone under the id that it has now.

        Raises `ConsentEnded` if its consent ended a moment ago, and `UnknownVoice`.
        """
        self.refresh()
        stored = self._voices.get(self._now.get(voice.id, voice.id))
        if stored is not None and self.usable(stored.record).id != voice.id:
            return stored.record
        problem = f"voice {voice.name!r} is gone, or its recording: restore it, or remove the voice"
        raise UnknownVoice(problem, field="voice_id")

    def _with_other_id(self, voice: SavedVoice, before: str) -> SavedVoice:
        """Return a recording whose words have changed under its new id."""
        if voice.formula is not None:
            raise Unsupported(f"voice {voice.name!r} is a mix, which has no words", field="words")
        self.usable(voice)
        _, flac = self._recorded(replace(voice, id=before))
        samples = _samples_of(voice, flac)
        id = voice_id(pcm_of(samples), voice.words, voice.owner)
        if id in self._voices or self._now.get(id, before) != before:
            raise BadRequest(
                "this recording with these words is saved already: use that voice, or remove it",
                field="words",
            )
        formerly = (*(old for old in voice.formerly if old != id), before)[-MAX_FORMER:]
        return replace(voice, id=id, formerly=formerly)

    def _may_share(self, shared: bool, viewer: Viewer) -> bool:
        if shared and viewer.name and not viewer.manages:
            raise Forbidden("only a key with the scope 'manage' shares a voice: leave shared out")
        return shared

    def _check_free(self, voice: SavedVoice, but: str = "") -> None:
        """Refuse a name that means another voice to the owner of `voice`, whoever asks."""
        self.refresh()
        same = {voice.id, self._now.get(voice.id), but}
        others = self._named.get(voice.name.lower(), ())
        owner = Viewer(voice.owner)
        if any(other.id not in same and other.visible_to(owner) for other in others):
            problem = f"name {voice.name!r} has a voice already: choose another, or remove that one"
            raise BadRequest(problem, field="name")

    def _same(self, voice: SavedVoice) -> SavedVoice:
        """Return the saved voice that sounds as `voice` does."""
        stored = self._voices.get(self._now.get(voice.id, voice.id))
        if stored is None:
            raise UnknownVoice(
                f"voice {voice.name!r} was removed meanwhile: try again", field="name"
            )
        self.usable(stored.record)
        if stored.record.name.lower() != voice.name.lower():
            problem = f"this voice is saved as {stored.record.name!r}: use it, or rename it"
            raise BadRequest(problem, field="name")
        return stored.record


def _samples_of(voice: SavedVoice, flac: bytes) -> Samples:
    try:
        return kept_samples(flac)
    except BadRequest as error:
        raise UnknownVoice(
            f"voice {voice.name!r} has a damaged recording in data_dir: restore it, or remove "
            "the voice",
            field="voice_id",
        ) from error


def _check_expiry(consent: Consent) -> None:
    if consent.is_over(today()):
        raise BadRequest(
            f"consent.expires {str(consent.expires)!r} is over: send the last day of the consent, "
            f"from {today()} (UTC) on, or none",
            field="consent.expires",
        )


def _ordered(voices: Iterable[SavedVoice], viewer: Viewer) -> list[SavedVoice]:
    seen = [voice for voice in voices if voice.visible_to(viewer)]
    return sorted(seen, key=lambda v: (v.owner != viewer.name, not v.shared, v.created, v.id))


def draft(name: str, kind: Kind, *, consent: Consent | None = None, **facts: Any) -> SavedVoice:
    """Return the description of a voice that is to be saved. Any: its other fields."""
    provenance = "formula" if kind == "mixed" else "recorded"
    return SavedVoice("", name, kind, consent=consent, **{"provenance": provenance, **facts})
