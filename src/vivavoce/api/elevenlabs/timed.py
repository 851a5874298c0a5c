"""Answer with speech and the times of its characters, as an object or a line for each chunk."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from vivavoce.api.elevenlabs.alignment import CharLine
from vivavoce.api.responses import chunked
from vivavoce.api.routes.timed import audio_object
from vivavoce.synthesis.outlet import encoded
from vivavoce.synthesis.speech import Speech
from vivavoce.types import SpeechRequest

AUDIO: Final = "audio_base64"
LINES_TYPE: Final = "application/x-ndjson"


async def timed_object(http: Request, speech: Speech, request: SpeechRequest) -> Response:
    """Return one JSON object with the whole audio."""
    facts = partial(_all_times, speech, request)
    return await audio_object(http, speech, request, AUDIO, facts)


async def timed_lines(http: Request, speech: Speech, request: SpeechRequest) -> Response:
    """Return a JSON object for each chunk of audio, with the characters that begin in it."""
    return await chunked(http, speech, _lines(speech, request), LINES_TYPE)


def _all_times(speech: Speech, request: SpeechRequest) -> Mapping[str, object]:
    return _Times(request.text).of_new(speech)


async def _lines(speech: Speech, request: SpeechRequest) -> AsyncGenerator[bytes]:
    times = _Times(request.text)
    async with aclosing(encoded(speech, request.format)) as chunks:
        async for chunk in chunks:
            audio = base64.b64encode(chunk).decode("ascii")
            line = json.dumps({AUDIO: audio, **times.of_new(speech)})
            yield line.encode("ascii") + b"\n"


class _Times:
    """The times of the characters of `text`, word after word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._told = 0  # words
        self._written, self._said = CharLine(), CharLine(spoken=True)

    def of_new(self, speech: Speech) -> Mapping[str, object]:
        """Return the two alignments of the words that are new since the last call."""
        words = speech.words[self._told :]
        self._told += len(words)
        return {
            "alignment": self._written.add(words, self._text).in_seconds(),
            "normalized_alignment": self._said.add(words, self._text).in_seconds(),
        }
