"""Keep voices and consents in folders that several processes and hosts read and write.

    <id>/voice.json       what is known of a voice, `consent.json` of a consent
    <id>/next.json        the record that is to hold under the next id, see `move`
    <id>/recording.flac   of a clone or a consent, until the consent ends
    <id>/revoked.json     when the consent was revoked
    <id>/prepared/        what models made of the recording, erased with it
    .names                lock of who gives a voice its name

- A record appears and disappears by one rename, so it is there as a whole or not at all, whenever a
  process is killed.
- A revocation is a file of its own: no other change can undo it.
- What a killed process has left has a name with a dot, and is removed a day later.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter

from vivavoce.errors import DiskFull, UnknownConsent, UnknownVoice, VivavoceError
from vivavoce.files import locked, sync_folder, write_new
from vivavoce.voices.record import CONSENT_MARK, RecordedConsent, SavedVoice, is_id, now

log = logging.getLogger(__name__)

VOICE, CONSENT, RECORDING, REVOKED = "voice.json", "consent.json", "recording.flac", "revoked.json"
NEXT: Final = "next.json"
PREPARED: Final = "prepared"  # as models name it
NAMES: Final = ".names"
FORM: Final = TypeAdapter(SavedVoice)
CONSENT_FORM: Final = TypeAdapter(RecordedConsent)
_ABANDONED_S: Final = 86_400.0
_LOOKS: Final = 20  # at a folder in which records move all the time
_SETTLED_S: Final = 2.0  # from then on a change has another time, on any file system


R = TypeVar("R", SavedVoice, RecordedConsent)


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A record that was read from its folder, which had the time `stamp`."""

    record: R
    stamp: int
    settled: bool  # a later change must show in the time


class RecordFolder(Generic[R]):
    """The records in the folder `path`, each of the form `form` in a file called `file`."""

    def __init__(self, path: Path, form: TypeAdapter[R], file: str) -> None:
        self.path = path
        self._form: TypeAdapter[R] = form
        self._file = file
        self._told = dict[str, str]()  # problems in the log, by id

    def read(self, known: Mapping[str, Stored[R]]) -> dict[str, Stored[R]]:
        """Return the records by id. Those of `known` that have not changed are not read again.

        A record that gets another id meanwhile is in neither place, so it looks until nothing has
        moved.
        """
        found = dict[str, Stored[R]]()
        try:
            entries = self._entries()
            for _ in range(_LOOKS):
                found = {**known, **found}
                found, gone = self._look(entries, found)
                ids, entries = entries.keys(), self._entries()
                if not gone and entries.keys() == ids:
                    break
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            log.error("the records stay as they were: %s", error)
            return dict(known)
        return found

    def _look(
        self, entries: Mapping[str, "os.DirEntry[str]"], known: Mapping[str, Stored[R]]
    ) -> tuple[dict[str, Stored[R]], bool]:
        """Return the records of `entries` by id, and True if one has gone meanwhile."""
        found, gone = dict[str, Stored[R]](), False
        for entry in entries.values():
            before = known.get(entry.name)
            try:
                stamp = entry.stat().st_mtime_ns
                if before is not None and before.settled and before.stamp == stamp:
                    found[entry.name] = before
                    continue
                settled = time.time() - stamp / 1e9 > _SETTLED_S
                found[entry.name] = Stored(self._load(entry.name), stamp, settled)
            except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
                gone = True
            except (OSError, ValueError, VivavoceError) as error:  # a record stays as it was
                self._tell(entry.name, f"{entry.name} cannot be read: {error}")
                if before is not None:
                    found[entry.name] = before
        return found, gone

    def save(self, record: R, recording: bytes | None = None) -> bool:
        """Store a record as a whole. False if there is one with its id. Raises `DiskFull`."""
        self._remove_abandoned()
        new = self.path / f".new-{uuid4().hex}"
        try:
            new.mkdir(mode=0o700, parents=True)
            if recording is not None:
                write_new(new / RECORDING, recording)
            write_new(new / self._file, self._written(record))
            sync_folder(new)
            if (self.path / record.id).exists():
                return False
            try:
                new.rename(self.path / record.id)
            except OSError:
                if not (self.path / record.id).exists():  # else another process was first
                    raise
                return False
            sync_folder(self.path)
        except OSError as error:
            raise DiskFull(
                f"cannot write {str(new)!r} ({error.strerror}): make room there. Nothing is saved"
            ) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return True

    def update(self, record: R) -> None:
        """Replace a record. Raises `UnknownVoice` or `UnknownConsent`, and `DiskFull`."""
        self._replace(record.id, self._file, self._written(record))

    def move(self, id: str, record: R) -> None:
        """Replace the record `id` by one with another id, and keep its recording.

        One rename does it, so a reader finds the old one or the new one. What models made of the
        recording goes. Raises `UnknownVoice`, and `DiskFull`.
        """
        if (self.path / id / NEXT).exists():  # a process was killed, and it may be needed
            self.update(self._load(id))
        self._replace(id, NEXT, self._written(record))
        folder = self.path / record.id
        self._rename(id, folder, "rename")
        with suppress(OSError):  # `_load` finds the record in `next.json` as well
            (folder / NEXT).replace(folder / self._file)
            sync_folder(folder)
        shutil.rmtree(folder / PREPARED, ignore_errors=True)

    def revoke(self, id: str) -> None:
        """Record that the consent is revoked, and erase the recording. Raises `DiskFull`."""
        ended = json.dumps({"at": now()}).encode()
        try:
            self._replace(id, REVOKED, ended)
        except DiskFull:
            self.erase(id)  # which makes room
            self._replace(id, REVOKED, ended)
        self.erase(id)

    def erase(self, id: str) -> None:
        """Erase the recording and what was made of it, and keep the record. Raises `DiskFull`."""
        folder = self.path / id
        try:
            with suppress(FileNotFoundError):
                (folder / RECORDING).unlink()
                sync_folder(folder)
            if (folder / PREPARED).exists():  # last: a model that writes looks for the recording
                shutil.rmtree(folder / PREPARED, ignore_errors=True)
                sync_folder(folder)
        except OSError as error:
            raise DiskFull(
                f"cannot erase {str(folder / RECORDING)!r} ({error.strerror}), whose consent has "
                "ended: erase it yourself"
            ) from error

    def erase_ended(self, id: str) -> None:
        """Erase as `erase` does. A failure is told in the log, once, and tried again."""
        try:
            self.erase(id)
        except DiskFull as error:
            self._tell(id, error.message)

    def remove(self, id: str) -> None:
        """Remove a record. Raises `UnknownVoice` or `UnknownConsent`, and `DiskFull`."""
        gone = self.path / f".gone-{uuid4().hex}"
        self._rename(id, gone, "remove")
        shutil.rmtree(gone, ignore_errors=True)

    def recording(self, id: str) -> bytes:
        """Return the recording. Raises `UnknownVoice` or `UnknownConsent` if it is gone."""
        try:
            return self.recording_path(id).read_bytes()
        except OSError as error:
            raise _unknown(id) from error

    def recording_size(self, id: str) -> int:
        """Return the bytes of the recording, 0 if there is none."""
        try:
            return self.recording_path(id).stat().st_size
        except OSError:
            return 0

    def has_recording(self, id: str) -> bool:
        return self.recording_path(id).exists()

    def recording_path(self, id: str) -> Path:
        return self.path / id / RECORDING

    @contextmanager
    def names_held(self) -> Iterator[None]:
        """Keep all other processes from giving names. Raises `DiskFull`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with ExitStack() as held:
                held.enter_context(locked(self.path / NAMES))
                names = held.pop_all()
        except OSError as error:
            raise DiskFull(
                f"cannot write in {str(self.path)!r} ({error.strerror}): make room there, or "
                "choose another data_dir. No voice is saved"
            ) from error
        with names:
            yield

    def _tell(self, id: str, problem: str) -> None:
        if self._told.get(id) != problem:
            log.error("%s", problem)
        self._told[id] = problem

    def _written(self, record: R) -> bytes:
        return self._form.dump_json(replace(record, revoked=None), indent=2)

    def _load(self, id: str) -> R:
        folder = self.path / id
        moved: bytes | None = None
        with suppress(FileNotFoundError):  # read first, as `move` makes the other file of it
            moved = (folder / NEXT).read_bytes()
        record = self._form.validate_json((folder / self._file).read_bytes())
        if record.id != id and moved is not None:
            record = self._form.validate_json(moved)
        if record.id != id:
            raise ValueError(f"{id} holds {record.id}")
        try:
            revoked = json.loads((folder / REVOKED).read_bytes())["at"]
        except FileNotFoundError:
            return record
        except (ValueError, KeyError, TypeError):  # there, and so it counts
            revoked = now()
        return replace(record, revoked=str(revoked))

    def _replace(self, id: str, name: str, contents: bytes) -> None:
        new = self.path / id / f".{name}.{uuid4().hex}"
        try:
            write_new(new, contents)
            new.replace(self.path / id / name)
            sync_folder(self.path / id)
        except FileNotFoundError as error:
            raise _unknown(id) from error
        except OSError as error:
            raise DiskFull(
                f"cannot write {str(new)!r} ({error.strerror}): make room there"
            ) from error
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _rename(self, id: str, folder: Path, what: str) -> None:
        """Rename the folder of a record. `what` says in an error what that is for."""
        try:
            (self.path / id).rename(folder)
        except FileNotFoundError as error:
            raise _unknown(id) from error
        except OSError as error:
            raise DiskFull(
                f"cannot {what} {str(self.path / id)!r} ({error.strerror}): make it writable"
            ) from error
        sync_folder(self.path)

    def _entries(self) -> dict[str, "os.DirEntry[str]"]:
        with os.scandir(self.path) as entries:
            return {entry.name: entry for entry in entries if is_id(entry.name)}

    def _remove_abandoned(self) -> None:
        for folder in (*self.path.glob(".new-*"), *self.path.glob(".gone-*")):
            with suppress(OSError):  # removed by another process
                if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(folder, ignore_errors=True)


def _unknown(id: str) -> UnknownVoice | UnknownConsent:
    if id.startswith(CONSENT_MARK):
        return UnknownConsent(f"no consent {id!r} is kept here", field="consent_id")
    return UnknownVoice(f"no voice {id!r} is saved here", field="voice_id")
