"""Write the files of an EPUB into its zip, in the order that readers need."""

from functools import partial
from pathlib import Path
from typing import Final

from vivavoce.books.book import Narration
from vivavoce.books.write.archive import Archive
from vivavoce.books.write.chapters import portion
from vivavoce.books.write.epub.overlay import overlay
from vivavoce.books.write.epub.package import (
    CONTAINER,
    PACKAGE,
    Item,
    navigation,
    package,
)
from vivavoce.books.write.epub.pages import STYLE, clips, page
from vivavoce.books.write.mux import FORMS, write_audio
from vivavoce.books.write.options import WriteOptions, made_of
from vivavoce.books.write.sound import sound_for
from vivavoce.books.write.tags import COVER_NAMES, cover_of, titles, track_tags

_FOLDER: Final = "EPUB"


def write_epub(narration: Narration, path: Path, options: WriteOptions) -> None:
    """Write the book to `path`: a page for each chapter, with its audio and its overlay."""
    whole = sum(chapter.samples for chapter in narration.chapters)
    items, done = list[Item](), 0
    made = made_of(narration.book, options)
    with Archive(path, made) as archive:
        archive.add("mimetype", b"application/epub+zip", packed=False)
        archive.add("META-INF/container.xml", CONTAINER.encode("utf-8"))
        for number, title in enumerate(titles(narration.book), 1):
            own = portion(options, done, narration.chapters[number - 1].samples, whole)
            items.append(_write_chapter(archive, narration, number, title, own))
            done += narration.chapters[number - 1].samples
        for name, text in {
            "style.css": STYLE,
            "nav.xhtml": navigation(narration, items),
        }.items():
            archive.add(f"{_FOLDER}/{name}", text.encode("utf-8"))
        if (cover := cover_of(narration.book.cover)) is not None:
            archive.add(f"{_FOLDER}/{COVER_NAMES[cover.media_type]}", cover.data, packed=False)
        archive.add(PACKAGE, package(narration, items, made).encode("utf-8"))


def _write_chapter(
    archive: Archive, narration: Narration, number: int, title: str, options: WriteOptions
) -> Item:
    chapter, name = narration.chapters[number - 1], f"chapter{number:03}"
    container, codec = FORMS[options.epub_audio]
    text = page(chapter, title, narration.book.language, options.epub_unit)
    archive.add(f"{_FOLDER}/{name}.xhtml", text.encode("utf-8"))
    spoken = clips(chapter, options.epub_unit, chapter.samples * 1000 // narration.rate_hz)
    if not spoken:
        return Item(name, title, 0, options.epub_audio)
    audio = f"{name}.{options.epub_audio}"
    smil = overlay(f"{name}.xhtml", audio, spoken)
    archive.add(f"{_FOLDER}/{name}.smil", smil.encode("utf-8"))
    sound = sound_for([chapter], narration.rate_hz, codec)
    tags = track_tags(narration, title, f"{number}/{len(narration.chapters)}")
    archive.add_file(
        f"{_FOLDER}/{audio}",
        partial(write_audio, form=(container, codec), sound=sound, tags=tags, options=options),
    )
    return Item(name, title, spoken[-1].end_ms, options.epub_audio)
