"""Make a media overlay: which part of a page is read aloud when."""

from collections.abc import Sequence

from vivavoce.books.write.epub.pages import Clip


def overlay(page: str, audio: str, clips: Sequence[Clip]) -> str:
    """Return the SMIL of a page (https://www.w3.org/TR/epub-33/#sec-media-overlays)."""
    pairs = "\n".join(
        f'<par id="p-{clip.id}"><text src="{page}#{clip.id}"/>'
        f'<audio src="{audio}" clipBegin="{clock(clip.start_ms)}" '
        f'clipEnd="{clock(clip.end_ms)}"/></par>'
        for clip in clips
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<smil xmlns="http://www.w3.org/ns/SMIL" xmlns:epub="http://www.idpf.org/2007/ops" version="3.0">
<body>
<seq id="chapter" epub:textref="{page}" epub:type="chapter">
{pairs}
</seq>
</body>
</smil>
"""


def clock(milliseconds: int) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
