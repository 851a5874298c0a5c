"""Write a narration as files of one kind, each of them whole or not at all."""

from pathlib import Path

import av.error

from vivavoce.books.book import Narration
from vivavoce.books.write.captions import captions
from vivavoce.books.write.chapters import write_folder, write_zip
from vivavoce.books.write.epub import write_epub
from vivavoce.books.write.mux import FORMS, write_audio
from vivavoce.books.write.options import DEFAULTS, BookFormat, WriteOptions
from vivavoce.books.write.sound import sound_for
from vivavoce.books.write.tags import book_tags
from vivavoce.errors import BadRequest, DiskFull
from vivavoce.files import replaced


def write_book(
    narration: Narration, format: BookFormat, target: Path, options: WriteOptions = DEFAULTS
) -> None:
    """Write `narration` to `target`. A file there is replaced at the end, or left as it is.

    In a folder, each file is. It may take minutes, and blocks. The bytes follow from the narration
    and the options, but for a manifest's.

    Raises `BadRequest` if nothing was spoken, `DiskFull`, and `VivavoceError` if the audio of a
    chapter is damaged.
    """
    if not any(chapter.samples for chapter in narration.chapters):
        raise BadRequest(
            f"the book {narration.book.title!r} has no chapter that was spoken: "
            "make one before the files",
            field="book",
        )
    try:
        if format == "folder":
            write_folder(narration, target, options)
        else:
            with replaced(target) as path:
                _write_file(narration, format, path, options)
    except (av.error.FFmpegError, OSError) as error:
        raise DiskFull(
            f"cannot write {str(target)!r} ({error.strerror}): make room there, or choose "
            "another place"
        ) from error
    if options.progress is not None:
        options.progress(1.0)


def _write_file(
    narration: Narration, format: BookFormat, path: Path, options: WriteOptions
) -> None:
    match format:
        case "m4b" | "mp3" | "opus" | "flac":
            form = FORMS["m4b-opus" if options.opus and format == "m4b" else format]
            sound = sound_for(narration.chapters, narration.rate_hz, form[1])
            write_audio(path, form, sound, book_tags(narration, sound), options)
        case "epub":
            write_epub(narration, path, options)
        case "zip":
            write_zip(narration, path, options)
        case "srt" | "vtt":
            path.write_bytes(captions(narration, format))
        case "folder":
            raise AssertionError("a folder is no file")
