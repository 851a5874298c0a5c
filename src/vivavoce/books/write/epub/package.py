"""Make the documents that describe an EPUB: its package, its navigation, its container."""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from vivavoce.books.book import Narration, Picture
from vivavoce.books.write.epub.overlay import clock
from vivavoce.books.write.epub.pages import ACTIVE, PLAYING, is_right_to_left, languages, xml
from vivavoce.books.write.tags import COVER_NAMES, comment_of, cover_of, line

PACKAGE: Final = "EPUB/package.opf"
CONTAINER: Final = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="{PACKAGE}" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}  # core media types
_SUMMARY: Final = "All of the text is here. Spoken parts are highlighted while they are read aloud."


@dataclass(frozen=True, slots=True)
class Item:
    """A chapter in the package. `spoken_ms` is 0 if it has no audio."""

    name: str  # of its files, without their ends
    title: str
    spoken_ms: int
    audio: str  # mp3 or m4a


def package(narration: Narration, items: Sequence[Item], made: datetime) -> str:
    """Return the package document."""
    book = narration.book
    direction = ' page-progression-direction="rtl"' if is_right_to_left(book.language) else ""
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"'
            f' xml:lang="{_language(book.language)}">',
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">',
            *_metadata(narration, items, made),
            "</metadata>",
            "<manifest>",
            '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
            '<item id="style" href="style.css" media-type="text/css"/>',
            *_cover(book.cover),
            *(each for item in items for each in _manifest(item)),
            "</manifest>",
            f"<spine{direction}>",
            *(f'<itemref idref="{item.name}"/>' for item in items),
            "</spine>",
            "</package>",
            "",
        ]
    )


def navigation(narration: Narration, items: Sequence[Item]) -> str:
    """Return the table of contents."""
    book = narration.book
    entries = "\n".join(
        f'<li><a href="{item.name}.xhtml" dir="auto">{xml(item.title)}</a></li>' for item in items
    )
    title = xml(_title(narration))
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"\
{languages(book.language)}>
<head>
<meta charset="UTF-8"/>
<title>{title}</title>
<link rel="stylesheet" type="text/css" href="style.css"/>
</head>
<body>
<nav epub:type="toc" role="doc-toc" aria-labelledby="title">
<h1 id="title">{title}</h1>
<ol>
{entries}
</ol>
</nav>
</body>
</html>
"""


def _metadata(narration: Narration, items: Sequence[Item], made: datetime) -> Iterator[str]:
    book = narration.book
    yield f'<dc:identifier id="id">{_identifier(narration)}</dc:identifier>'
    yield f"<dc:title>{xml(_title(narration))}</dc:title>"
    yield f"<dc:language>{_language(book.language)}</dc:language>"
    for number, author in enumerate(filter(None, map(line, book.authors))):
        yield f'<dc:creator id="author{number}">{xml(author)}</dc:creator>'
        yield _refined("role", "aut", f"author{number}", ' scheme="marc:relators"')
    if narrator := line(narration.narrator):
        yield f'<dc:contributor id="narrator">{xml(narrator)}</dc:contributor>'
        yield _refined("role", "nrt", "narrator", ' scheme="marc:relators"')
        yield _meta("media:narrator", narrator)
    yield _meta("dcterms:modified", made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    if comment := comment_of(narration.marks):
        yield _meta("dcterms:provenance", comment)
    if cover_of(book.cover) is not None:
        yield '<meta name="cover" content="cover"/>'  # as EPUB 2 has it
    yield _meta("media:active-class", ACTIVE)
    yield _meta("media:playback-active-class", PLAYING)
    yield _meta("media:duration", clock(sum(item.spoken_ms for item in items)))
    for item in items:
        if item.spoken_ms:
            yield _refined("media:duration", clock(item.spoken_ms), f"{item.name}-overlay")
    yield from (_meta("schema:accessMode", mode) for mode in ("textual", "auditory"))
    yield from (
        _meta("schema:accessModeSufficient", mode) for mode in ("textual,auditory", "textual")
    )
    for feature in (
        "synchronizedAudioText", "tableOfContents", "readingOrder", "structuralNavigation",
        "displayTransformability",
    ):  # fmt: skip
        yield _meta("schema:accessibilityFeature", feature)
    yield _meta("schema:accessibilityHazard", "none")
    yield _meta("schema:accessibilitySummary", _SUMMARY)


def _manifest(item: Item) -> Iterator[str]:
    name, overlay = item.name, ""
    if item.spoken_ms:
        overlay = f' media-overlay="{name}-overlay"'
        yield f'<item id="{name}-overlay" href="{name}.smil" media-type="application/smil+xml"/>'
        yield (
            f'<item id="{name}-audio" href="{name}.{item.audio}" '
            f'media-type="{_AUDIO_TYPES[item.audio]}"/>'
        )
    yield f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"{overlay}/>'


def _cover(cover: Picture | None) -> Iterator[str]:
    if (found := cover_of(cover)) is not None:
        yield (
            f'<item id="cover" href="{COVER_NAMES[found.media_type]}" '
            f'media-type="{found.media_type}" properties="cover-image"/>'
        )


def _meta(name: str, value: str) -> str:
    return f'<meta property="{name}">{xml(value)}</meta>'


def _refined(name: str, value: str, id: str, more: str = "") -> str:
    return f'<meta refines="#{id}" property="{name}"{more}>{xml(value)}</meta>'


def _title(narration: Narration) -> str:
    return line(narration.book.title) or "?"


def _language(language: str | None) -> str:
    return language if languages(language) and language else "und"


def _identifier(narration: Narration) -> str:
    """Return a name that is the same for the same text in the same voice."""
    known = hashlib.sha256(repr((narration.book, narration.narrator)).encode("utf-8", "replace"))
    return uuid.uuid5(uuid.NAMESPACE_OID, known.hexdigest()).urn
