"""Decode the recording in a request's body to samples.

A recording is never fetched from a URL. The module knows no models.
"""

import asyncio
import base64
import binascii
import re
from dataclasses import replace
from typing import Final, Protocol

from vivavoce.audio import decode_recording
from vivavoce.errors import BadRequest
from vivavoce.types import Reference, SpeechRequest

PIECE_CHARS: Final = 2**17  # of base64, decoded at once: 5 ms
_DATA_URL: Final = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_URL: Final = re.compile(r"\s{0,200}+(?!data:)[a-z][a-z0-9+.-]{1,20}:", re.IGNORECASE)


class CloningBody(Protocol):
    """A body of a request that may have a recording, see `ReferenceFields`."""

    @property
    def ref_audio(self) -> str | None: ...
    @property
    def ref_text(self) -> str | None: ...
    @property
    def x_vector_only(self) -> bool | None: ...

    def to_request(self) -> SpeechRequest: ...


async def read_request(body: CloningBody) -> SpeechRequest:
    """Return the request of `body`, its recording decoded in a thread. Raises `BadRequest`."""
    request = body.to_request()
    words = (body.ref_text or "").strip() or None
    if body.ref_audio is None:
        for field, value in (("ref_text", words), ("x_vector_only", body.x_vector_only)):
            if value:
                problem = f"{field} is {str(value)[:80]!r} without a recording: send ref_audio too"
                raise BadRequest(problem, field=field)
        return request
    if body.x_vector_only is False and words is None:
        problem = "ref_text is missing, which x_vector_only: false asks for"
        raise BadRequest(f"{problem}: send what is said in ref_audio", field="ref_text")
    sent = body.ref_audio
    samples, rate_hz = await asyncio.to_thread(lambda: decode_recording(recording_bytes(sent)))
    words = None if body.x_vector_only else words
    return replace(request, reference=Reference(samples, rate_hz, words))


def recording_bytes(sent: str) -> bytes:
    """Return the bytes of base64, plain or in a `data:` URL. Line breaks are allowed."""
    if (prefix := _DATA_URL.match(sent)) is not None:
        sent = sent[prefix.end() :]
    elif _URL.match(sent):
        problem = f"ref_audio is {sent[:80]!r}, and nothing is fetched here"
        message = f"{problem}: send the recording itself, in base64"
        raise BadRequest(message, field="ref_audio")
    try:
        return _decoded(sent)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(
            f"ref_audio {sent[:40]!r}… is not base64 ({error}): send the recording's bytes in "
            "base64, plain or as data:audio/wav;base64,…",
            field="ref_audio",
        ) from error


def _decoded(sent: str) -> bytes:
    """Decode base64 in pieces, as the interpreter blocks for one. Raises `ValueError`."""
    data, rest, padded = bytearray(), "", False
    for start in range(0, len(sent), PIECE_CHARS):
        text = rest + "".join(sent[start : start + PIECE_CHARS].split())
        if padded and text:
            raise ValueError("data after its padding")
        whole = len(text) // 4 * 4
        data += base64.b64decode(text[:whole], validate=True)
        padded, rest = "=" in text[:whole], text[whole:]
    base64.b64decode(rest, validate=True)  # an incomplete group of four raises
    return bytes(data)
