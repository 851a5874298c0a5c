"""Write a voice to one file, `NAME.vvoice`, and read it from a file that anybody may have made.

A file is a zip of `voice.json` and, of a clone, `recording.flac`. Nothing is unpacked to a disk.
"""

import io
import stat
import zipfile
import zlib
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from vivavoce.errors import BadRequest
from vivavoce.text.language.names import parse_language
from vivavoce.voices.record import SavedVoice
from vivavoce.voices.recording import MAX_FLAC_BYTES, Recording, repacked
from vivavoce.voices.store import FORM, RECORDING, VOICE

MAX_BYTES: Final = 4 * 2**20
_LIMITS: Final = {VOICE: 512 * 2**10, RECORDING: MAX_FLAC_BYTES}


def pack(voice: SavedVoice, recording: bytes | None) -> bytes:
    """Return the file of a voice. Who owns it here is left out, and the ids that it had."""
    told = replace(voice, owner="", shared=False, formerly=())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(VOICE, FORM.dump_json(told, indent=2), zipfile.ZIP_DEFLATED)
        if recording is not None:
            archive.writestr(RECORDING, recording)
    return file.getvalue()


def unpack(data: bytes) -> tuple[SavedVoice, Recording | None]:
    """Return the voice in a file, to be saved. Raises `BadRequest` (`file`)."""
    if len(data) > MAX_BYTES:
        raise _refused(f"has {len(data):,} bytes, the limit is {MAX_BYTES:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive)
        voice = FORM.validate_json(members[VOICE])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _refused(f"is not a whole zip file ({error})") from error
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
        raise _refused(f"describes no voice ({where}: {problem['msg']})") from error
    except (ValueError, OSError) as error:
        raise _refused(f"cannot be read ({error})") from error
    flac = members.get(RECORDING)
    if (voice.kind == "mixed") != (flac is None) or (voice.formula is None) != (flac is not None):
        raise _refused(f"is a {voice.kind} voice with the wrong parts")
    try:
        codes = (parse_language(name) for name in voice.languages)
        languages = tuple(code for code in codes if code is not None)
    except BadRequest as error:
        raise _refused(f"is a voice of another language ({error.message})") from error
    voice = replace(voice, languages=languages, provenance="imported", formerly=())
    if flac is None:
        return voice, None
    return voice, repacked(flac, synthetic=voice.kind == "designed")


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the contents by name, none longer than allowed."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if VOICE not in names or not set(names) <= set(_LIMITS) or len(set(names)) < len(names):
        raise _refused(f"may hold {VOICE} and {RECORDING} alone")
    found = {}
    for entry in entries:
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or entry.flag_bits & 1:
            raise _refused(f"has a {entry.filename} that is a link, a device or encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(f"has a {entry.filename} that is packed by another method than deflate")
        with archive.open(entry) as member:  # what it claims to hold is not believed
            contents = member.read(_LIMITS[entry.filename] + 1)
        if len(contents) > _LIMITS[entry.filename]:
            raise _refused(f"has a {entry.filename} of more than {_LIMITS[entry.filename]:,} bytes")
        found[entry.filename] = contents
    return found


def _refused(why: str) -> BadRequest:
    return BadRequest(
        f"the file {why}: export it again with `vivavoce voices export`", field="file"
    )
