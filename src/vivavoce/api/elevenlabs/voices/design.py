"""Serve the endpoints that design a voice: previews, and a voice of one of them."""

import asyncio
import base64

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from vivavoce.api.dependencies import ServerDep, ViewerDep
from vivavoce.api.elevenlabs.bodies import VoiceId
from vivavoce.api.elevenlabs.formats import DEFAULT
from vivavoce.api.elevenlabs.lists import Card, own_card
from vivavoce.api.elevenlabs.speech import AUDIO, ERRORS, OutputFormat
from vivavoce.api.elevenlabs.voices.bodies import ChosenPreview, DesignedVoice
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.voices.native import (
    designed,
    marks_of,
    previews_answer,
    taken_names,
)
from vivavoce.api.schemas.answers import Answers
from vivavoce.audio import MEDIA_TYPES
from vivavoce.synthesis.design import Preview

router = APIRouter(
    prefix="/v1/text-to-voice", tags=["elevenlabs"], responses=ERRORS, route_class=BoundedRoute
)


class DesignPreview(BaseModel):
    """A preview of a designed voice."""

    audio_base_64: str
    generated_voice_id: str
    media_type: str
    duration_secs: float
    language: str
    seed: int

    @classmethod
    def of(cls, preview: Preview) -> "DesignPreview":
        return cls(
            audio_base_64=base64.b64encode(preview.audio).decode("ascii"),
            generated_voice_id=preview.id,
            media_type=MEDIA_TYPES[preview.format],
            duration_secs=round(preview.recording.seconds, 3),
            language=preview.language,
            seed=preview.seed,
        )


class DesignPreviews(BaseModel):
    """Previews that say the same text."""

    previews: list[DesignPreview]
    text: str


PREVIEWS: Answers = {200: {"model": DesignPreviews, "description": "The previews."}}


@router.post("/create-previews", response_class=Response, responses=PREVIEWS)
@router.post("/design", response_class=Response, responses=PREVIEWS)
async def design(
    http: Request, body: DesignedVoice, output_format: OutputFormat = DEFAULT
) -> Response:
    """Speak three previews of a voice that is described."""
    wish = body.to_wish(output_format)
    previews = await designed(http, wish)
    told = [await asyncio.to_thread(DesignPreview.of, preview) for preview in previews]
    answer = await previews_answer(DesignPreviews(previews=told, text=wish.said), previews)
    if body.reference_audio_base64:
        answer.headers["X-Ignored"] = "reference_audio_base64"
    return answer


@router.get("/{generated_voice_id}/stream", response_class=Response, responses=AUDIO)
async def preview(server: ServerDep, viewer: ViewerDep, generated_voice_id: VoiceId) -> Response:
    """Return a preview that was made."""
    found = await asyncio.to_thread(server.previews.get, generated_voice_id, viewer)
    return Response(found.audio, media_type=MEDIA_TYPES[found.format], headers=marks_of([found]))


@router.post("")
async def create(server: ServerDep, viewer: ViewerDep, body: ChosenPreview) -> Card:
    """Save the voice of a preview."""
    preview = await asyncio.to_thread(server.previews.get, body.generated_voice_id, viewer)
    taken = await taken_names(server)
    facts = body.facts(body.voice_name)
    if body.voice_description:
        facts["description"] = body.voice_description
    voice, recording = preview.drafted(**facts)
    saved = await asyncio.to_thread(server.voices.add, voice, viewer, recording, taken)
    return await own_card(server.synthesizer, viewer, saved)
