"""Serve the native API, `/v1/tts`."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from vivavoce.api.dependencies import (
    SynthesizerDep,
    ViewerDep,
    caller_of,
    can_manage,
    from_caller,
    server_of,
)
from vivavoce.api.errors import HEAD
from vivavoce.api.reference_audio import read_request
from vivavoce.api.replay import RANGES, record
from vivavoce.api.responses import respond, stream, unless_disconnected, whole
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.timed import timed_form
from vivavoce.api.schemas.answers import (
    EVENTS_TYPE,
    NATIVE_ERRORS,
    Answers,
    Explained,
    Languages,
    ModelInfos,
    NativeError,
    RequestState,
    Speakers,
    audio_answers,
)
from vivavoce.api.schemas.requests import SynthesizeBody, SynthesizeQuery
from vivavoce.api.schemas.times import TimedSpeech
from vivavoce.api.schemas.values import Name
from vivavoce.audio import MEDIA_TYPES
from vivavoce.errors import UnknownRequest
from vivavoce.text.language.names import language_name
from vivavoce.types import SpeechRequest

router = APIRouter(
    prefix="/v1/tts", tags=["native"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)

AUDIO = audio_answers(*MEDIA_TYPES.values(), error=NativeError)
_WITH_EVENTS = audio_answers(*MEDIA_TYPES.values(), EVENTS_TYPE, error=NativeError)
TIMED: Answers = {**_WITH_EVENTS, 200: {**_WITH_EVENTS[200], "model": TimedSpeech}}
PARTS: Answers = {
    **AUDIO,
    206: {**AUDIO[200], "description": "The part of the audio that `Range` names."},
    416: {"model": NativeError, "description": "The `Range` begins behind the end of the audio."},
}


@router.post("/synthesize", response_class=Response, responses=TIMED)
async def synthesize(http: Request, body: SynthesizeBody) -> Response:
    """Speak a text: one exact WAV file by default, any format and chunk by chunk when asked.

    With `timestamps` or `subtitles` the answer is one JSON object, or events with `stream`.
    """
    request = await read_request(body)
    if request.timestamps is not None:
        form = timed_form(http, request, body.subtitles, stream=bool(body.stream))
        return await respond(http, request, form)
    return await respond(http, request, stream if body.stream else whole)


@router.post("/explain")
async def explain(http: Request, synthesizer: SynthesizerDep, body: SynthesizeBody) -> Explained:
    """Tell what a request for speech would say, word by word, and say nothing."""
    request = from_caller(await read_request(body), http)
    return Explained.of(await synthesizer.explain(request), request)


@router.get("/synthesize", response_class=Response, responses=PARTS)
async def synthesize_get(http: Request, query: Annotated[SynthesizeQuery, Query()]) -> Response:
    """Speak a text for players that can only GET, also in parts (`Range`).

    A recording to clone takes a body, so POST it.
    """
    request = from_caller(query.to_request(), http)
    replays, saved = server_of(http).replays, server_of(http).synthesizer.saved
    meant, _ = await saved.resolve(request)  # what is kept of a saved voice ends with its consent
    if http.scope.get(HEAD):
        kept = replays.find(meant)
        return kept.response(http) if kept else _unspoken(request)
    provenance = server_of(http).synthesizer.provenance
    is_signed = not query.stream and provenance.signs(request.format)  # and so no two are the same
    if is_signed or _wants_part(http, stream=query.stream):
        speak = partial(respond, request=request, form=whole)
        kept = await unless_disconnected(
            http.receive, replays.get(meant, lambda: record(http, speak))
        )
    else:
        kept = replays.find(meant)
    if kept is not None:
        return kept.response(http)
    answer = await respond(http, request, stream if query.stream else whole)
    answer.headers.update(RANGES)
    return answer


def _unspoken(request: SpeechRequest) -> Response:
    """Return the headers that are known before anything is spoken."""
    response = Response(headers=RANGES, media_type=MEDIA_TYPES[request.format])
    del response.headers["Content-Length"]
    return response


def _wants_part(http: Request, *, stream: bool | None) -> bool:
    """True if the answer has to be whole before a part of it is sent."""
    # Browsers send `bytes=0-` for everything that they play, and take a stream as well.
    if stream and http.headers.get("range") == "bytes=0-":
        return False
    return "range" in http.headers or "if-range" in http.headers


@router.get("/speakers")
async def speakers(
    synthesizer: SynthesizerDep, viewer: ViewerDep, model: Name | None = None
) -> Speakers:
    """Return the speakers' names of one model, or of all without a name, with saved voices."""
    infos = await synthesizer.offered(model, viewer)
    names = [voice.id for info in infos for voice in info.voices if voice.listed]
    return Speakers(speakers=list(dict.fromkeys(names)))


@router.get("/models")
async def models(synthesizer: SynthesizerDep, model: Name | None = None) -> ModelInfos:
    """Return voices, languages and capabilities of one model, or of all without a name."""
    return ModelInfos(models=list(await synthesizer.router.candidates(model)))


@router.get("/languages")
async def languages(synthesizer: SynthesizerDep, model: Name | None = None) -> Languages:
    """Return the languages by English name, `auto` first."""
    infos = await synthesizer.router.candidates(model)
    names = [language_name(code) for info in infos for code in info.languages]
    return Languages(languages=["auto", *dict.fromkeys(names)])


@router.get("/requests/{request_id}")
async def request_state(http: Request, request_id: str) -> RequestState:
    """Return how one of the latest 1,000 requests for speech ended, on any API.

    The id is the X-Request-Id of its answer. A key sees its own requests, and a key with the scope
    `manage` sees all.
    """
    record = server_of(http).requests.find(request_id, caller_of(http), of_anyone=can_manage(http))
    if record is None:
        raise UnknownRequest(
            f"no request {request_id[:128]!r} is among the latest that came with your key: send an "
            "X-Request-Id of your own, and ask soon",
            field="request_id",
        )
    return RequestState.of(record)
