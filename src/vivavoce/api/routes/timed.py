"""Answer with speech and the times of its words: one JSON object, or server-sent events.

The audio of an object waits in a spool and is sent in pieces, so it is never whole in memory.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from vivavoce.api.dependencies import server_of
from vivavoce.api.responses import (
    Form,
    check_spool,
    chunked,
    events,
    text_chars,
)
from vivavoce.api.schemas.answers import EVENTS_TYPE, VoiceStretch
from vivavoce.api.schemas.times import MarkTime, TimedSpeech, WordTime
from vivavoce.errors import BadRequest, Unsupported
from vivavoce.synthesis.outlet import whole_file
from vivavoce.synthesis.parts import texts_of
from vivavoce.synthesis.speech import Speech
from vivavoce.text.subtitles import SubtitleFormat, subtitles
from vivavoce.types import SpeechRequest

JSON_TYPE: Final = "application/json"
# Of a text whose audio fits into one JSON object: some 25 minutes of speech.
MAX_OBJECT_CHARS: Final = 20_000


def timed_form(
    http: Request, request: SpeechRequest, form: SubtitleFormat | None, *, stream: bool
) -> Form:
    """Return the form that the client takes, by its header `Accept` and then by `stream`.

    Raises `Unsupported` if it takes neither, and `BadRequest` for a text too long for an object.
    """
    accept = http.headers.get("accept", "*/*")
    taken = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    by_type = {JSON_TYPE: _object_form, EVENTS_TYPE: _events_form}
    for media_type in sorted(by_type, reverse=stream):
        if taken & {media_type, f"{media_type.partition('/')[0]}/*", "*/*"}:
            return by_type[media_type](http, request, form)
    raise Unsupported(
        f"Accept is {accept[:80]!r}, and times come beside the audio: send {JSON_TYPE}, or "
        f"{EVENTS_TYPE} for a stream",
        field="Accept",
    )


def _events_form(http: Request, request: SpeechRequest, form: SubtitleFormat | None) -> Form:
    return partial(events, subtitle_format=form)


def _object_form(http: Request, request: SpeechRequest, form: SubtitleFormat | None) -> Form:
    check_object(http, request, f"send Accept: {EVENTS_TYPE}")
    return partial(_timed, subtitle_format=form)


def check_object(http: Request, request: SpeechRequest, otherwise: str) -> None:
    """Raise `BadRequest`, which advises `otherwise`, for a text too long for an object.

    Raises `DiskFull` too, before a model speaks in vain.
    """
    if (chars := text_chars(request)) > MAX_OBJECT_CHARS:
        raise BadRequest(
            f"text has {chars:,} characters, and the audio of at most {MAX_OBJECT_CHARS:,} fits "
            f"into one JSON object: {otherwise}, or the text in parts",
            field="inputs" if request.inputs else "text",
        )
    check_spool(http, request)


async def _timed(
    http: Request, speech: Speech, request: SpeechRequest, *, subtitle_format: SubtitleFormat | None
) -> Response:
    """Return one JSON object, a `TimedSpeech`."""
    facts = partial(_facts, speech, request, subtitle_format)
    return await audio_object(http, speech, request, "audio", facts)


async def audio_object(
    http: Request,
    speech: Speech,
    request: SpeechRequest,
    name: str,
    facts: Callable[[], Mapping[str, object]],
) -> Response:
    """Return a JSON object: the whole audio in base64 as field `name`, then `facts`."""
    return await chunked(http, speech, _object(http, speech, request, name, facts), JSON_TYPE)


async def _object(
    http: Request,
    speech: Speech,
    request: SpeechRequest,
    name: str,
    facts: Callable[[], Mapping[str, object]],
) -> AsyncGenerator[bytes]:
    """Yield the object in pieces, the first of them when the audio is complete."""
    spool = await whole_file(speech, request.format, server_of(http).spool_limit)
    try:
        # ASCII: a text may hold a lone surrogate.
        rest = await asyncio.to_thread(lambda: json.dumps(facts()).encode("ascii")[1:])
        yield f'{{"{name}": "'.encode("ascii")
        held = b""
        async for part in spool:
            held += part
            whole = len(held) // 3 * 3  # base64 codes three bytes at a time
            yield base64.b64encode(held[:whole])
            held = held[whole:]
        yield base64.b64encode(held) + b'", ' + rest
    finally:
        await spool.aclose()


def _facts(
    speech: Speech, request: SpeechRequest, subtitle_format: SubtitleFormat | None
) -> Mapping[str, object]:
    """Return the fields of the object without its audio."""
    words = tuple(speech.words)
    answer = TimedSpeech(
        audio="",
        format=request.format,
        sample_rate=speech.sample_rate_hz,
        duration_s=round(speech.spoken_samples / speech.sample_rate_hz, 4),
        model=speech.model,
        voice=speech.voice,
        language=speech.language,
        timing=speech.timing,
        words=[WordTime.of(word, request.timestamps or "word") for word in words],
        voice_segments=[VoiceStretch.of(stretch) for stretch in speech.voice_segments],
        marks=[MarkTime.of(mark) for mark in speech.marks],
        subtitles=subtitles(words, texts_of(request), subtitle_format) if subtitle_format else None,
        finish_reason=speech.finish_reason,
        ignored=list(speech.ignored),
        unspoken=list(speech.unspoken),
    )
    return answer.model_dump(exclude={"audio"}, exclude_none=True)
