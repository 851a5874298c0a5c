"""Serve the endpoints that clone, change and remove a voice."""

import asyncio
import json
from typing import Annotated, Final

from fastapi import APIRouter, Header
from pydantic import BaseModel, ValidationError

from vivavoce.api.dependencies import Server, ServerDep, ViewerDep
from vivavoce.api.elevenlabs.bodies import VoiceId
from vivavoce.api.elevenlabs.speech import ERRORS
from vivavoce.api.elevenlabs.voices.bodies import AddedVoice, EditedVoice
from vivavoce.api.errors import describe
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.voices.native import taken_names
from vivavoce.api.schemas.custom_voices import form_of
from vivavoce.api.schemas.voices import ConsentBody
from vivavoce.errors import BadRequest, Unsupported
from vivavoce.names import from_header
from vivavoce.voices.library import draft
from vivavoce.voices.record import CONSENT_MARK, Consent, Viewer, check_name
from vivavoce.voices.recording import take_recordings

router = APIRouter(
    prefix="/v1/voices", tags=["elevenlabs"], responses=ERRORS, route_class=BoundedRoute
)

ConsentHeader = Annotated[str, Header(description="The consent, for clients without the field.")]
_HOW: Final = (
    "send it as the field consent (in the SDK for Python request_options={'additional_body_"
    "parameters': {'consent': THEIR_WORDS}}), as the label consent, or in the header X-Consent, or "
    "set require_consent = false"
)


class Added(BaseModel):
    """A voice that was saved."""

    voice_id: str
    requires_verification: bool = False
    warnings: list[str]


class Done(BaseModel):
    status: str = "ok"


class Edited(Done):
    """A voice that was changed. With other words it has another id, and keeps the former one."""

    voice_id: str


@router.post("/add", openapi_extra=form_of(AddedVoice))
async def add(
    server: ServerDep, viewer: ViewerDep, body: AddedVoice, x_consent: ConsentHeader = ""
) -> Added:
    """Save the voice of recordings, sent as a form."""
    taken = await taken_names(server)
    agreed = body.agreed or from_header(x_consent).strip()

    def made() -> Added:
        facts = body.facts(body.name)
        name = check_name(facts.pop("name"), taken)
        consent = _consent(agreed, body.name, server, viewer)
        recording = take_recordings(body.files)
        words = (body.ref_text or "").strip() or None
        voice = draft(name, "cloned", consent=consent, words=words, **facts)
        saved = server.voices.add(voice, viewer, recording, taken)
        return Added(voice_id=saved.id, warnings=list(recording.warnings))

    return await asyncio.to_thread(made)


@router.post("/{voice_id}/edit", openapi_extra=form_of(EditedVoice))
async def edit(
    server: ServerDep, viewer: ViewerDep, voice_id: VoiceId, body: EditedVoice
) -> Edited:
    """Change the name, the description, the labels or the words of a saved voice."""
    if body.files:
        raise Unsupported(
            "files cannot be added, since a voice keeps its recording: add another voice",
            field="files",
        )
    taken = await taken_names(server)

    def changed() -> Edited:
        before = server.voices.get(voice_id, viewer, to_change=True).labels
        facts = body.facts(body.name, before)
        return Edited(voice_id=server.voices.change(voice_id, viewer, taken, **facts).id)

    edited = await asyncio.to_thread(changed)
    await server.synthesizer.saved.take_back()
    return edited


@router.delete("/{voice_id}")
async def remove(server: ServerDep, viewer: ViewerDep, voice_id: VoiceId) -> Done:
    """Remove a saved voice with its recording and its record of consent."""
    await asyncio.to_thread(server.voices.remove, voice_id, viewer)
    await server.synthesizer.saved.take_back()
    return Done()


def _consent(agreed: str, name: str, server: Server, viewer: Viewer) -> Consent | None:
    """Return the record of consent in what was sent. Raises `BadRequest`."""
    if agreed.startswith(CONSENT_MARK):
        return server.voices.consents.get(agreed, viewer, field="consent").to_consent()
    if agreed:
        try:
            told = json.loads(agreed) if agreed.startswith("{") else {"by": name, "words": agreed}
            return ConsentBody.model_validate(told).to_consent()
        except ValidationError as error:
            problem = describe(error.errors()[0])[1]
        except (ValueError, RecursionError) as error:
            problem = f"it is no JSON ({error})"
        raise BadRequest(f"consent cannot be kept: {problem}", field="consent")
    if server.voices.require_consent:
        raise BadRequest(f"consent is missing, to whose voice this is: {_HOW}", field="consent")
    return None
