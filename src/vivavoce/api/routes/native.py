"""The native surface: `/v1/tts`."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from vivavoce.api.dependencies import SynthesizerDep, caller_of, can_manage, server_of
from vivavoce.api.errors import HEAD
from vivavoce.api.reference_audio import read_request
from vivavoce.api.responses import _unless_disconnected, stream_speech, whole_speech
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.replay import RANGES, record
from vivavoce.api.schemas import (
    NATIVE_ERRORS,
    Languages,
    ModelInfos,
    Name,
    NativeError,
    RequestState,
    Speakers,
    SynthesizeBody,
    SynthesizeQuery,
    audio_answers,
)
from vivavoce.audio import MEDIA_TYPES
from vivavoce.errors import UnknownRequest
from vivavoce.synthesis.speech import Synthesizer
from vivavoce.text.languages import language_name
from vivavoce.types import SpeechRequest

router = APIRouter(
    prefix="/v1/tts", tags=["native"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)

AUDIO = audio_answers(*MEDIA_TYPES.values(), error=NativeError)
PARTS: dict[int | str, dict[str, Any]] = {
    **AUDIO,
    206: {
        "content": AUDIO[200]["content"],
        "description": "The part of the audio that `Range` names.",
    },
    416: {"model": NativeError, "description": "The `Range` begins behind the end of the audio."},
}


@router.post("/synthesize", response_class=Response, responses=AUDIO)
async def synthesize(
    request: Request, body: SynthesizeBody, synthesizer: SynthesizerDep
) -> Response:
    """Speak a text: one exact WAV file by default, any format and chunk by chunk when asked."""
    return await _answer(request, await read_request(body), synthesizer, stream=body.stream)


@router.get("/synthesize", response_class=Response, responses=PARTS)
async def synthesize_get(
    request: Request, query: Annotated[SynthesizeQuery, Query()], synthesizer: SynthesizerDep
) -> Response:
    """Return the same for players that can only GET, also in parts (`Range`); a recording takes a body."""
    wanted = replace(query.to_request(), caller=caller_of(request))
    replays = server_of(request).replays
    if request.scope.get(HEAD):
        kept = replays.find(wanted)
        return kept.response(request) if kept else _unspoken(wanted)
    if _wants_part(request, stream=query.stream):
        speak = partial(whole_speech, synthesizer=synthesizer, wanted=wanted)
        kept = await _unless_disconnected(
            request.receive, replays.get(wanted, lambda: record(request, speak))
        )
    else:
        kept = replays.find(wanted)
    if kept is not None:
        return kept.response(request)
    answer = await _answer(request, wanted, synthesizer, stream=query.stream)
    answer.headers.update(RANGES)
    return answer


def _unspoken(wanted: SpeechRequest) -> Response:
    """Return the headers that are known before anything is spoken."""
    response = Response(headers=RANGES, media_type=MEDIA_TYPES[wanted.format])
    del response.headers["Content-Length"]
    return response


def _wants_part(request: Request, *, stream: bool | None) -> bool:
    """True if the answer has to be whole before some of it is sent."""
    if stream and request.headers.get("range") == "bytes=0-":
        return False  # browsers ask so for all that they play, and take a stream as well
    return "range" in request.headers or "if-range" in request.headers


async def _answer(
    request: Request, wanted: SpeechRequest, synthesizer: Synthesizer, *, stream: bool | None
) -> Response:
    speak = stream_speech if stream else whole_speech
    return await speak(request, synthesizer, wanted)


@router.get("/speakers")
async def speakers(synthesizer: SynthesizerDep, model: Name | None = None) -> Speakers:
    """Return the speakers' names: of one model, or of all that may answer when none is named."""
    infos = await synthesizer.router.candidates(model)
    names = [voice.id for info in infos for voice in info.voices if voice.listed]
    return Speakers(speakers=list(dict.fromkeys(names)))


@router.get("/models")
async def models(synthesizer: SynthesizerDep, model: Name | None = None) -> ModelInfos:
    """Return all that is known of one model, or of all that may answer when none is named: voices, languages, abilities."""
    return ModelInfos(models=list(await synthesizer.router.candidates(model)))


@router.get("/languages")
async def languages(synthesizer: SynthesizerDep, model: Name | None = None) -> Languages:
    """Return the languages by English name, `auto` first."""
    infos = await synthesizer.router.candidates(model)
    names = [language_name(code) for info in infos for code in info.languages]
    return Languages(languages=["auto", *dict.fromkeys(names)])


@router.get("/requests/{request_id}")
async def request_state(request: Request, request_id: str) -> RequestState:
    """How one of the latest 1,000 requests for speech ended, on whatever API: its id is the
    answer's X-Request-Id.

    A key sees its own requests; one with the scope `manage` sees all.
    """
    record = server_of(request).requests.find(
        request_id, caller_of(request), of_anyone=can_manage(request)
    )
    if record is None:
        raise UnknownRequest(
            f"no request {request_id[:128]!r} is among the latest that came with your key: send an X-Request-Id of "
            "your own, and ask soon",
            field="request_id",
        )
    return RequestState.of(record)
