"""Write a file for each chapter and a playlist, in a folder or in a zip."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from vivavoce.books.book import Narration
from vivavoce.books.write.archive import Archive
from vivavoce.books.write.mux import FORMS, write_audio
from vivavoce.books.write.options import WriteOptions, made_of
from vivavoce.books.write.sound import sound_for
from vivavoce.books.write.tags import COVER_NAMES, comment_of, cover_of, line, titles, track_tags
from vivavoce.files import replaced

PLAYLIST: Final = "playlist.m3u8"
_NOT_IN_NAMES: Final = re.compile(r'[<>:"/\\|?*.\u200e\u200f\u202a-\u202e\u2066-\u2069]+')
_NAME_BYTES: Final = 120

Writer = Callable[[Path], None]


def write_folder(narration: Narration, folder: Path, options: WriteOptions) -> None:
    """Write the files to `folder`, where others of the same names are replaced."""
    folder.mkdir(exist_ok=True)
    for name, write in _files(narration, options):
        with replaced(folder / name) as path:
            write(path)


def write_zip(narration: Narration, path: Path, options: WriteOptions) -> None:
    """Write the files into the zip `path`."""
    with Archive(path, made_of(narration.book, options)) as archive:
        for name, write in _files(narration, options):
            archive.add_file(name, write)


def portion(options: WriteOptions, done: int, size: int, whole: int) -> WriteOptions:
    """Return `options` for one of several files, whose progress is a part of the whole."""
    told = options.progress
    if told is None:
        return options
    return replace(options, progress=lambda share: told((done + share * size) / whole))


def _files(narration: Narration, options: WriteOptions) -> Iterator[tuple[str, Writer]]:
    """Yield the name of each file, and what writes it."""
    form = FORMS[options.chapter_format]
    every = zip(narration.chapters, titles(narration.book), strict=True)
    spoken = [(chapter, title) for chapter, title in every if chapter.samples]
    whole, done = sum(chapter.samples for chapter, _ in spoken), 0
    playlist = ["#EXTM3U", "#EXTENC:UTF-8", f"#PLAYLIST:{line(narration.book.title)}"]
    playlist += [f"# {comment}" for comment in comment_of(narration.marks).splitlines()]
    for number, (chapter, title) in enumerate(spoken, 1):
        name = f"{number:0{max(2, len(str(len(spoken))))}} {safe_name(title)}"
        name = f"{name.strip()}.{options.chapter_format}"
        sound = sound_for([chapter], narration.rate_hz, form[1])
        tags = track_tags(narration, title, f"{number}/{len(spoken)}")
        own = portion(options, done, chapter.samples, whole)
        yield name, partial(write_audio, form=form, sound=sound, tags=tags, options=own)
        done += chapter.samples
        playlist += [f"#EXTINF:{round(chapter.samples / narration.rate_hz)},{title}", name]
    if (cover := cover_of(narration.book.cover)) is not None:
        yield COVER_NAMES[cover.media_type], lambda path: _write(path, cover.data)
    yield PLAYLIST, lambda path: _write(path, "\n".join([*playlist, ""]).encode("utf-8"))


def safe_name(title: str) -> str:
    """Return `title` as a part of a file's name on every system, or nothing."""
    name = (
        _NOT_IN_NAMES.sub(" ", line(title)).encode("utf-8")[:_NAME_BYTES].decode("utf-8", "ignore")
    )
    return " ".join(name.split())


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
