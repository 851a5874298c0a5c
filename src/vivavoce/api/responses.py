"""Answer with speech: as a stream, one exact file, or server-sent events.

- The status is sent with the first audio, so that a model that fails first gives a 5xx.
- A later failure breaks the transfer: a client never gets a short file that looks whole.
- A client that leaves ends its speech.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from vivavoce.api.dependencies import caller_of, from_caller, server_of
from vivavoce.api.errors import FAILED, ClientDisconnected, error_body, field_name, status_of
from vivavoce.api.schemas.answers import EVENTS_TYPE, VoiceStretch
from vivavoce.api.schemas.times import MarkTime, word_times
from vivavoce.audio import MEDIA_TYPES, check_rate
from vivavoce.errors import VivavoceError
from vivavoce.names import to_header
from vivavoce.storage import SPOOL_BYTES, Spool
from vivavoce.synthesis.outlet import encoded, mark_headers, whole_file
from vivavoce.synthesis.parts import texts_of
from vivavoce.synthesis.speech import Speech
from vivavoce.text.subtitles import SubtitleFormat, subtitles
from vivavoce.types import SpeechRequest

BYTES_PER_CHAR: Final = 3_000  # of WAV at 24 kHz, approximately
# A header names at most so many pieces, each by its first characters: 5 kB at most.
UNSPOKEN_PIECES: Final = 16
UNSPOKEN_CHARS: Final = 24
FRAME_S: Final = 0.08  # a Qwen3-TTS codec frame: the unit of the audio tokens in `usage`

T = TypeVar("T")
Form = Callable[[Request, Speech, SpeechRequest], Awaitable[Response]]


async def respond(http: Request, request: SpeechRequest, form: Form) -> Response:
    """Speak `request` and answer in `form`: `stream`, `whole`, `events`, or an API's own."""
    if form is whole:
        check_spool(http, request)
    speech = await open_speech(http, request)
    try:
        return await form(http, speech, request)
    except BaseException:
        await speech.aclose()  # a generator that was never started does not
        raise


async def open_speech(http: Request, request: SpeechRequest) -> Speech:
    """Start to speak `request`, and add it to the request log."""
    if request.sample_rate_hz is not None:
        check_rate(request.format, request.sample_rate_hz)
    server, caller = server_of(http), caller_of(http)
    record = server.requests.begin(http.scope["request_id"], caller, request.format)
    opening = server.synthesizer.open(from_caller(request, http))
    try:
        speech = await unless_disconnected(http.receive, opening, unwanted=Speech.aclose)
    except BaseException:
        server.requests.drop(record)
        raise
    record.opened(speech)
    return speech


async def stream(http: Request, speech: Speech, request: SpeechRequest) -> Response:
    """Return the encoded audio as it is made."""
    chunks = encoded(speech, request.format)
    return await chunked(http, speech, chunks, MEDIA_TYPES[request.format])


async def events(
    http: Request,
    speech: Speech,
    request: SpeechRequest,
    *,
    subtitle_format: SubtitleFormat | None = None,
) -> Response:
    """Return OpenAI's server-sent events: audio in base64, then `speech.audio.done`.

    With times, an event has the words that begin in its audio, and the last one the subtitles.
    """
    chunks = _events(http, speech, request, subtitle_format)
    response = await chunked(http, speech, chunks, EVENTS_TYPE)
    response.headers["Cache-Control"] = "no-cache"
    return response


async def chunked(
    http: Request, speech: Speech, chunks: AsyncGenerator[bytes], media_type: str
) -> Response:
    """Return `chunks` as they are made, after the first of them is there."""
    first = await unless_disconnected(http.receive, _first(chunks))
    return _SpeechResponse(first, chunks, media_type, _speech_headers(http, speech))


async def event_stream(http: Request, chunks: AsyncGenerator[bytes]) -> Response:
    """Return events that hold no audio, after the first of them is there."""
    first = await unless_disconnected(http.receive, _first(chunks))
    unbuffered = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return _SpeechResponse(first, chunks, EVENTS_TYPE, unbuffered)


async def whole(http: Request, speech: Speech, request: SpeechRequest) -> Response:
    """Return one file with its exact size, in Content-Length and in a WAV header."""
    making = whole_file(speech, request.format, server_of(http).spool_limit)
    spool = await unless_disconnected(http.receive, making, unwanted=Spool.aclose)
    headers = {**_speech_headers(http, speech), "X-Finish-Reason": speech.finish_reason}
    headers["Content-Length"] = str(spool.size)
    return _SpeechResponse(b"", spool, MEDIA_TYPES[request.format], headers)


def check_spool(http: Request, request: SpeechRequest) -> None:
    """Raise `DiskFull` before a model speaks a long text in vain."""
    if request.format in ("wav", "pcm") and text_chars(request) * BYTES_PER_CHAR > SPOOL_BYTES:
        server_of(http).spool_limit.check(SPOOL_BYTES)


def text_chars(request: SpeechRequest) -> int:
    return sum(map(len, texts_of(request)))


def _speech_headers(http: Request, speech: Speech) -> dict[str, str]:
    """Return the headers that describe the speech."""
    values = {"X-Model": speech.model, "X-Voice": speech.voice, "X-Language": speech.language}
    values["X-Sample-Rate"] = str(speech.sample_rate_hz)
    if speech.ignored:
        values["X-Ignored"] = ", ".join(field_name(http, field) for field in speech.ignored)
    headers = {header: to_header(value) for header, value in values.items()}
    if speech.unspoken:
        headers["X-Unspoken"] = _shortened(speech.unspoken)
    return headers | mark_headers(speech)


def _shortened(pieces: Sequence[str]) -> str:
    """Return the percent-encoded beginnings of the first pieces, and the number of the others."""
    shown = [quote(piece[:UNSPOKEN_CHARS], safe="") for piece in pieces[:UNSPOKEN_PIECES]]
    more = len(pieces) - len(shown)
    return ", ".join([*shown, f"+{more}"] if more else shown)


async def _first(chunks: AsyncGenerator[bytes]) -> bytes:
    return await anext(chunks)


async def _events(
    http: Request, speech: Speech, request: SpeechRequest, subtitle_format: SubtitleFormat | None
) -> AsyncGenerator[bytes]:
    started, told = False, 0
    try:
        async with aclosing(encoded(speech, request.format)) as chunks:
            async for chunk in chunks:
                audio = base64.b64encode(chunk).decode("ascii")
                delta = {"type": "speech.audio.delta", "audio": audio}
                if request.timestamps is not None:
                    words = speech.words[told:]
                    told += len(words)
                    yield _event({**delta, "words": word_times(words, request.timestamps)})
                else:
                    yield _event(delta)
                started = True
    except VivavoceError as error:
        if not started:  # nothing has been sent, so the status can report the error
            raise
        http.scope[FAILED] = True
        body = error_body(http.scope, status_of(error), code=error.code, message=error.message)
        yield _event({"type": "error", **json.loads(body)})
        return
    yield _event({**_done(speech, request), **await _times(speech, request, subtitle_format)})


def _done(speech: Speech, request: SpeechRequest) -> dict[str, object]:
    text_tokens = text_chars(request)
    audio_tokens = round(speech.spoken_samples / speech.sample_rate_hz / FRAME_S)
    usage = {"input_tokens": text_tokens, "output_tokens": audio_tokens}
    usage["total_tokens"] = text_tokens + audio_tokens
    return {"type": "speech.audio.done", "usage": usage, "finish_reason": speech.finish_reason}


async def _times(
    speech: Speech, request: SpeechRequest, subtitle_format: SubtitleFormat | None
) -> dict[str, object]:
    """Return what the last event says about the times, if they were asked for."""
    if request.timestamps is None:
        return {}
    facts: dict[str, object] = {
        "timing": speech.timing,
        "duration_s": round(speech.spoken_samples / speech.sample_rate_hz, 4),
        "voice_segments": [VoiceStretch.of(one).model_dump() for one in speech.voice_segments],
        "marks": [MarkTime.of(mark).model_dump() for mark in speech.marks],
    }
    if subtitle_format is not None:
        make = partial(subtitles, tuple(speech.words), texts_of(request), subtitle_format)
        facts["subtitles"] = await asyncio.to_thread(make)
    return facts


def _event(data: Mapping[str, object]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode("ascii")


class _SpeechResponse(StreamingResponse):
    """Send `first`, then `rest`, which is closed at the end or when the client leaves."""

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes] | Spool,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(rest, media_type=media_type, headers=headers)
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_disconnected(receive, self._send(send))
        except ClientDisconnected:
            pass  # there is nothing to do but close `rest`
        finally:
            await self._rest.aclose()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        body = {"type": "http.response.body", "more_body": True}
        await send({**body, "body": self._first})
        async for chunk in self._rest:
            await send({**body, "body": chunk})
        await send({**body, "body": b"", "more_body": False})


async def unless_disconnected(
    receive: Receive,
    work: Coroutine[Any, Any, T],
    *,
    unwanted: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """Return the result of `work`, or cancel it when the client leaves.

    `unwanted` is called with a result that came too late. Raises `ClientDisconnected`.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_leaves(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnected
    except BaseException:
        working.cancel()
        await asyncio.wait((working,))
        if unwanted is not None and not working.cancelled() and working.exception() is None:
            await unwanted(working.result())
        raise
    finally:
        leaving.cancel()
        await asyncio.wait((leaving,))
    return working.result()


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
