"""Serve OpenAI's voice consents: recordings in which people agree to the use of their voice."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from vivavoce.api.dependencies import ServerDep, ViewerDep
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import OPENAI_ERRORS
from vivavoce.api.schemas.custom_voices import (
    ChangedConsent,
    DeletedConsent,
    NewConsent,
    VoiceConsent,
    VoiceConsents,
    form_of,
)
from vivavoce.errors import UnknownConsent
from vivavoce.voices.recording import take_recording

router = APIRouter(
    prefix="/v1/audio/voice_consents",
    tags=["openai"],
    responses=OPENAI_ERRORS,
    route_class=BoundedRoute,
)

Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("")
async def consents(
    server: ServerDep, viewer: ViewerDep, after: str | None = None, limit: Limit = 20
) -> VoiceConsents:
    """Return the recorded consents of the key, the newest first, from behind `after` on."""
    found = await asyncio.to_thread(server.voices.consents.visible, viewer)
    if after is not None:
        ids = [consent.id for consent in found]
        if after not in ids:
            raise UnknownConsent(f"no consent {after[:80]!r} is kept here for you", field="after")
        found = found[ids.index(after) + 1 :]
    page = [VoiceConsent.of(consent) for consent in found[:limit]]
    return VoiceConsents(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > limit,
    )


@router.post("", openapi_extra=form_of(NewConsent))
async def create(server: ServerDep, viewer: ViewerDep, body: NewConsent) -> VoiceConsent:
    """Keep the recording of a consent, sent as a form. Nothing here checks what is said in it."""

    def made() -> VoiceConsent:
        recording = take_recording(body.recording)
        kept = server.voices.consents.add(body.name, body.language, recording, viewer)
        return VoiceConsent.of(kept)

    return await asyncio.to_thread(made)


@router.get("/{consent_id}")
async def consent(server: ServerDep, viewer: ViewerDep, consent_id: str) -> VoiceConsent:
    """Return one recorded consent."""
    found = await asyncio.to_thread(server.voices.consents.get, consent_id, viewer)
    return VoiceConsent.of(found)


@router.post("/{consent_id}")
@router.patch("/{consent_id}")
async def rename(
    server: ServerDep, viewer: ViewerDep, consent_id: str, body: ChangedConsent
) -> VoiceConsent:
    """Change the name of a recorded consent."""
    library = server.voices.consents
    renamed = await asyncio.to_thread(library.rename, consent_id, body.name, viewer)
    return VoiceConsent.of(renamed)


@router.delete("/{consent_id}")
async def remove(server: ServerDep, viewer: ViewerDep, consent_id: str) -> DeletedConsent:
    """End a consent. Voices made with it are refused, and all its recordings erased."""
    await asyncio.to_thread(server.voices.revoke_consent, consent_id, viewer)
    await server.synthesizer.saved.take_back()
    return DeletedConsent(id=consent_id)
