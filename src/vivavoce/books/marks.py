"""Read what a book's files say of their making: EPUBs, zips of chapters, and subtitles.

It needs no extra: of an EPUB's package, one property is looked for.
"""

import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vivavoce.audio import comment_in
from vivavoce.errors import BadRequest

MAX_MEMBER_BYTES: Final = 512 * 2**20
MAX_MEMBERS: Final = 20_000
_AUDIO: Final = (".mp3", ".m4a", ".m4b", ".mp4", ".opus", ".ogg", ".flac", ".wav")
_TEXTS: Final = (".opf", ".m3u8")
_PROVENANCE = re.compile(r'<meta\s[^<>]*property="dcterms:provenance"[^<>]*>([^<]*)</meta>')
_NOTE = re.compile(r"^NOTE[ \n]((?:(?!.*-->).+\n?)+)", re.MULTILINE)
_CUE = re.compile(r"\A\ufeff?\s*\d+\s*\n\d\d:\d\d:\d\d,\d{3} --> ")


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside a file, or a text: what it says, and its bytes if it is audio."""

    name: str
    comments: tuple[str, ...]
    audio: bytes = b""


def parts_of(data: bytes, name: str) -> Iterator[Part] | None:
    """Return the parts of an EPUB, a zip or a subtitle file, `None` for another file.

    Raises `BadRequest` (`file`) while it yields, if a part cannot be read.
    """
    if data.startswith(b"PK"):
        return _members(data, name)
    text = data[: 2**20].decode("utf-8", "replace").replace("\r\n", "\n")
    if text.removeprefix("\ufeff").startswith("WEBVTT"):
        notes = "\n".join(found[1] for found in _NOTE.finditer(text))
        return iter([Part(name, tuple(notes.splitlines()))])
    if _CUE.match(text):
        return iter([Part(name, ())])
    return None


def _members(data: bytes, name: str) -> Iterator[Part]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise BadRequest(f"{name!r} holds more than {MAX_MEMBERS:,} files", field="file")
            for member in members:
                ending = f".{member.filename.lower().rpartition('.')[2]}"
                if ending in (*_AUDIO, *_TEXTS):
                    with archive.open(member) as file:
                        part = file.read(MAX_MEMBER_BYTES)
                    if ending in _AUDIO:
                        yield Part(member.filename, _comment(part), part)
                    elif said := _said(part.decode("utf-8", "replace"), ending):
                        yield Part(member.filename, said)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise BadRequest(f"{name!r} is not a whole zip file ({error})", field="file") from error


def _comment(audio: bytes) -> tuple[str, ...]:
    try:
        return tuple((comment_in(audio) or "").splitlines())
    except BadRequest:  # its name alone is that of audio
        return ()


def _said(text: str, ending: str) -> tuple[str, ...]:
    if ending == ".m3u8":
        return tuple(line[2:] for line in text.splitlines() if line.startswith("# "))
    found = (html.unescape(each[1]) for each in _PROVENANCE.finditer(text))
    return tuple(line for each in found for line in each.splitlines())
