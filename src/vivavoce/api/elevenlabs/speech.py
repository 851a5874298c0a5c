"""Serve ElevenLabs' endpoints for speech over HTTP."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, WithJsonSchema
from starlette.responses import Response

from vivavoce.api.elevenlabs.bodies import (
    DialogueBody,
    DictionaryFields,
    TextBody,
    VoiceId,
)
from vivavoce.api.elevenlabs.formats import DEFAULT, NAMES
from vivavoce.api.elevenlabs.timed import LINES_TYPE, timed_lines, timed_object
from vivavoce.api.responses import Form, respond, stream, whole
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.timed import check_object
from vivavoce.api.schemas.answers import Answers, audio_answers
from vivavoce.api.schemas.values import Name
from vivavoce.audio import MEDIA_TYPES
from vivavoce.types import SpeechRequest


class ErrorDetail(BaseModel):
    status: str
    message: str


class ElevenLabsError(BaseModel):
    """An error of this API."""

    detail: ErrorDetail


class CharacterTimes(BaseModel):
    """Characters, and when each is heard, in seconds from the start of the audio."""

    characters: list[str]
    character_start_times_seconds: list[float]
    character_end_times_seconds: list[float]


class TimedAudio(BaseModel):
    """Speech with the times of its characters: as written, and as said."""

    audio_base64: str
    alignment: CharacterTimes | None
    normalized_alignment: CharacterTimes | None


ERRORS: Answers = {status: {"model": ElevenLabsError} for status in ("4XX", "5XX")}
AUDIO = audio_answers(*MEDIA_TYPES.values(), error=ElevenLabsError)
TIMED: Answers = {200: {"model": TimedAudio, "description": "The audio and its times."}}
# Each line is a `TimedAudio`, which OpenAPI cannot say.
LINES: Answers = {200: {"content": {LINES_TYPE: {}}, "description": "The same, in lines."}}

router = APIRouter(tags=["elevenlabs"], responses=ERRORS, route_class=BoundedRoute)

OutputFormat = Annotated[
    Name,
    Query(description="The format and its sample rate; the bit rate is ignored."),
    WithJsonSchema({"type": "string", "enum": [*NAMES, ""]}),
]


@router.post("/v1/text-to-speech/{voice_id}", response_class=Response, responses=AUDIO)
async def convert(
    http: Request, voice_id: VoiceId, body: TextBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak a text, as one file."""
    return await _answer(http, body.to_request(voice_id, output_format), body, whole)


@router.post("/v1/text-to-speech/{voice_id}/stream", response_class=Response, responses=AUDIO)
async def convert_as_stream(
    http: Request, voice_id: VoiceId, body: TextBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak a text as it is made."""
    return await _answer(http, body.to_request(voice_id, output_format), body, stream)


@router.post(
    "/v1/text-to-speech/{voice_id}/with-timestamps", response_class=Response, responses=TIMED
)
async def convert_with_timestamps(
    http: Request, voice_id: VoiceId, body: TextBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak a text, and tell when each of its characters is heard."""
    request = replace(body.to_request(voice_id, output_format), timestamps="char")
    check_object(http, request, "stream it")
    return await _answer(http, request, body, timed_object)


@router.post(
    "/v1/text-to-speech/{voice_id}/stream/with-timestamps",
    response_class=Response,
    responses=LINES,
)
async def stream_with_timestamps(
    http: Request, voice_id: VoiceId, body: TextBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak a text as it is made: a line of JSON for each chunk, with the times of characters."""
    request = replace(body.to_request(voice_id, output_format), timestamps="char")
    return await _answer(http, request, body, timed_lines)


@router.post("/v1/text-to-dialogue", response_class=Response, responses=AUDIO)
async def dialogue(
    http: Request, body: DialogueBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak the lines of several voices, as one file."""
    return await _answer(http, body.to_request(output_format), body, whole)


@router.post("/v1/text-to-dialogue/stream", response_class=Response, responses=AUDIO)
async def dialogue_as_stream(
    http: Request, body: DialogueBody, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak the lines of several voices as they are made."""
    return await _answer(http, body.to_request(output_format), body, stream)


async def _answer(
    http: Request, request: SpeechRequest, fields: DictionaryFields, form: Form
) -> Response:
    answer = await respond(http, request, form)
    if fields.unknown:
        known = answer.headers.get("X-Ignored")
        answer.headers["X-Ignored"] = ", ".join([*([known] if known else []), *fields.unknown])
    return answer
