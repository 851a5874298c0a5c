"""Write a narration as files of one kind, each of them whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import av.error

from vivavoce.books.book import Narration
from vivavoce.books.write.encode import CodecName
from vivavoce.books.write.mux import Container, write_audio
from vivavoce.books.write.options import DEFAULTS, BookFormat, WriteOptions
from vivavoce.books.write.sound import Sound
from vivavoce.books.write.tags import book_tags
from vivavoce.errors import BadRequest, DiskFull
from vivavoce.files import replaced

_FORMS: Final[Mapping[str, tuple[Container, CodecName]]] = {
    "m4b": ("mp4", "aac"),
    "m4a": ("mp4", "aac"),
    "mp3": ("mp3", "mp3"),
    "opus": ("ogg", "opus"),
    "flac": ("flac", "flac"),
}


def write_book(
    narration: Narration, format: BookFormat, target: Path, options: WriteOptions = DEFAULTS
) -> None:
    """Write `narration` to `target`. A file there is replaced at the end, or left as it is.

    In a folder, each file is. It may take minutes, and blocks. Raises `BadRequest` if nothing was
    spoken, `DiskFull`, and `VivavoceError` if the audio of a chapter is damaged.
    """
    if not any(chapter.samples for chapter in narration.chapters):
        raise BadRequest(
            f"the book {narration.book.title!r} has no chapter that was spoken: "
            "make one before the files",
            field="book",
        )
    try:
        with replaced(target) as path:
            form = _FORMS[format]
            sound = Sound(narration.chapters, narration.rate_hz, narration.rate_hz)
            write_audio(path, form, sound, book_tags(narration, sound), options)
    except (av.error.FFmpegError, OSError) as error:
        raise DiskFull(
            f"cannot write {str(target)!r} ({error.strerror}): make room there, or choose "
            "another place"
        ) from error
