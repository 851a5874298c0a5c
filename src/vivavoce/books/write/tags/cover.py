"""Tell whether a cover is a picture that players can show."""

import io
from typing import Final

import av
import av.error

from vivavoce.books.book import Picture

COVER_NAMES: Final = {"image/jpeg": "cover.jpg", "image/png": "cover.png"}
_DEMUXERS: Final = {"image/jpeg": "jpeg_pipe", "image/png": "png_pipe"}


def cover_of(cover: Picture | None) -> Picture | None:
    """Return the cover if it is what its type says. Another would break players."""
    return None if cover is None or size_of(cover) is None else cover


def size_of(cover: Picture) -> tuple[int, int] | None:
    """Return the columns and rows of a picture, or `None` if it is none of its type."""
    options = {"protocol_whitelist": ""}
    try:
        with av.open(
            io.BytesIO(cover.data), format=_DEMUXERS[cover.media_type], options=options
        ) as it:
            stream = it.streams.video[0]
            return (stream.width, stream.height) if stream.width and stream.height else None
    except (av.error.FFmpegError, ValueError, IndexError):
        return None
