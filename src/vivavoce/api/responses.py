"""Send speech over HTTP: as it is made, or as one file of exact size; and stops as soon as the
client is gone.

The first audio is awaited before the status goes out, so that a model's failure is an honest 5xx.
After that a failure breaks the transfer: the client sees an incomplete answer, never a short file
that looks whole.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from vivavoce.api.dependencies import caller_of, server_of
from vivavoce.api.errors import FAILED, ClientDisconnected, asked_as, error_body, status_of
from vivavoce.api.schemas import EVENTS_TYPE
from vivavoce.audio import MEDIA_TYPES, check_rate, flac_with_length, open_encoder, wav_header
from vivavoce.errors import VivavoceError
from vivavoce.names import to_header
from vivavoce.storage import SPOOL_BYTES, Spool
from vivavoce.synthesis.speech import Speech, Synthesizer
from vivavoce.types import AudioFormat, SpeechRequest

BYTES_PER_CHAR = 3_000  # of wav at 24 kHz, about
UNSPOKEN_PIECES, UNSPOKEN_CHARS = 16, 24  # named in a header, each by its beginning: 5 kB at most
FRAME_S = 0.08  # a Qwen3-TTS codec frame: the unit of the audio tokens in `usage`

T = TypeVar("T")


async def stream_speech(
    request: Request, synthesizer: Synthesizer, wanted: SpeechRequest
) -> Response:
    """Return the audio as it is made, in the format of `wanted`."""
    return await stream_chunks(request, synthesizer, wanted, _encoded, MEDIA_TYPES[wanted.format])


async def stream_chunks(
    request: Request,
    synthesizer: Synthesizer,
    wanted: SpeechRequest,
    encode: Callable[[Speech, AudioFormat], AsyncGenerator[bytes]],
    media_type: str,
) -> Response:
    """Return the speech in a surface's own form: what `encode` makes of it, which closes it in the end."""
    speech = await _opened(request, synthesizer, wanted)
    async with _closing_unless_sent(speech):
        chunks = encode(speech, wanted.format)
        first = await _unless_disconnected(request.receive, _first(chunks))
        return _Streamed(first, chunks, media_type, _facts(speech, request))


async def whole_speech(
    request: Request, synthesizer: Synthesizer, wanted: SpeechRequest
) -> Response:
    """Return the audio as one file, with its exact size in Content-Length and, for WAV, in its header."""
    limit = server_of(request).spool_limit
    if wanted.format in ("wav", "pcm") and len(wanted.text) * BYTES_PER_CHAR > SPOOL_BYTES:
        limit.check(SPOOL_BYTES)  # before a model speaks in vain
    speech = await _opened(request, synthesizer, wanted)
    speech.streamed = False
    spool = Spool(limit)
    try:
        async with _closing_unless_sent(speech):
            await _unless_disconnected(request.receive, _spool(speech, wanted.format, spool))
    except BaseException:
        await spool.aclose()
        raise
    spool.rewind()
    start = _exact_start(wanted.format, spool, speech)
    length = str(len(start) + spool.unread)
    headers = {
        **_facts(speech, request),
        "X-Finish-Reason": speech.finish_reason,
        "Content-Length": length,
    }
    return _Streamed(start, spool, MEDIA_TYPES[wanted.format], headers)


def _exact_start(audio_format: AudioFormat, spool: Spool, speech: Speech) -> bytes:
    """Return the file's first bytes with the length in them, for the formats that have a place for it."""
    if audio_format == "wav":
        return wav_header(speech.sample_rate_hz, spool.size)
    if audio_format == "flac":
        return flac_with_length(spool.read(), speech.spoken_samples)
    return b""


async def stream_events(
    request: Request, synthesizer: Synthesizer, wanted: SpeechRequest
) -> Response:
    """Return the audio as OpenAI's server-sent events: deltas in base64, then `speech.audio.done` with the usage."""
    speech = await _opened(request, synthesizer, wanted)
    async with _closing_unless_sent(speech):
        events = _events(speech, wanted, request)
        first = await _unless_disconnected(request.receive, _first(events))
        return _Streamed(
            first, events, EVENTS_TYPE, {**_facts(speech, request), "Cache-Control": "no-cache"}
        )


async def _opened(request: Request, synthesizer: Synthesizer, wanted: SpeechRequest) -> Speech:
    if wanted.sample_rate_hz is not None:
        check_rate(wanted.format, wanted.sample_rate_hz)
    caller, requests = caller_of(request), server_of(request).requests
    record = requests.begin(request.scope["request_id"], caller, wanted.format)
    opening = synthesizer.open(replace(wanted, caller=caller))
    try:
        speech = await _unless_disconnected(request.receive, opening, unwanted=Speech.aclose)
    except BaseException:
        requests.drop(record)
        raise
    record.opened(speech)
    return speech


@asynccontextmanager
async def _closing_unless_sent(speech: Speech) -> AsyncGenerator[None]:
    """Close `speech` if its answer does not come about: what would do so as it is sent may never have begun."""
    try:
        yield
    except BaseException:
        await speech.aclose()
        raise


def _facts(speech: Speech, request: Request) -> dict[str, str]:
    """What the answer says of itself in its headers."""
    facts = {
        "X-Model": speech.model,
        "X-Voice": speech.voice,
        "X-Language": speech.language,
        "X-Sample-Rate": str(speech.sample_rate_hz),
    }
    if speech.ignored:
        facts["X-Ignored"] = ", ".join(asked_as(request, field) for field in speech.ignored)
    headers = {header: to_header(value) for header, value in facts.items()}
    if speech.unspoken:
        headers["X-Unspoken"] = _named(speech.unspoken)
    return headers


def _named(pieces: Sequence[str]) -> str:
    """Return the beginnings of pieces of text, percent-encoded, and how many more there are: a header must stay short."""
    named = [quote(piece[:UNSPOKEN_CHARS], safe="") for piece in pieces[:UNSPOKEN_PIECES]]
    more = len(pieces) - len(named)
    return ", ".join([*named, f"+{more}"] if more else named)


async def _encoded(speech: Speech, audio_format: AudioFormat) -> AsyncGenerator[bytes]:
    """Yield the encoded audio in non-empty chunks; the first one holds audio, not a header alone."""
    encoder = open_encoder(audio_format, speech.sample_rate_hz, speech.fingerprint)
    try:
        pending, heard = b"", False
        async with aclosing(speech.samples()) as samples:
            async for part in samples:
                heard = heard or part.size > 0
                pending += encoder.write(part)
                if heard and pending:
                    yield pending
                    pending = b""
        yield pending + encoder.finish()
    finally:
        encoder.close()
        await speech.aclose()


async def _first(chunks: AsyncGenerator[bytes]) -> bytes:
    return await anext(chunks)


async def _spool(speech: Speech, audio_format: AudioFormat, spool: Spool) -> None:
    """Put the whole answer there. Raises `DiskFull` if it does not fit."""
    async with aclosing(
        _encoded(speech, "pcm" if audio_format == "wav" else audio_format)
    ) as chunks:
        async for chunk in chunks:
            spool.write(chunk)


async def _events(speech: Speech, wanted: SpeechRequest, request: Request) -> AsyncGenerator[bytes]:
    started = False
    try:
        async with aclosing(_encoded(speech, wanted.format)) as chunks:
            async for chunk in chunks:
                yield _event(
                    {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode("ascii")}
                )
                started = True
    except VivavoceError as error:
        if not started:  # nothing has been sent: the status can still tell
            raise
        request.scope[FAILED] = True
        yield _error_event(error, request.scope)
        return
    text_tokens, audio_tokens = (
        len(wanted.text),
        round(speech.spoken_samples / speech.sample_rate_hz / FRAME_S),
    )
    usage = {
        "input_tokens": text_tokens,
        "output_tokens": audio_tokens,
        "total_tokens": text_tokens + audio_tokens,
    }
    yield _event(
        {"type": "speech.audio.done", "usage": usage, "finish_reason": speech.finish_reason}
    )


def _event(data: Mapping[str, object]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode("ascii")


def _error_event(error: VivavoceError, scope: Scope) -> bytes:
    body = error_body(scope, status_of(error), code=error.code, message=error.message)
    return _event({"type": "error", **json.loads(body)})


class _Streamed(StreamingResponse):
    """Sends `first`, then the rest as it comes; closes the rest as soon as the client leaves."""

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
            await _unless_disconnected(receive, self._send(send))
        except ClientDisconnected:
            pass  # nobody listens any more; closing the rest below is all there is to do
        finally:
            await self._rest.aclose()

    async def _send(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for chunk in self._rest:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _unless_disconnected(
    receive: Receive,
    work: Coroutine[Any, Any, T],
    *,
    unwanted: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """Return the result of `work`, which is cancelled as soon as the client is gone;
    `ClientDisconnected` then.

    `unwanted` gets a result that came too late to be returned.
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
