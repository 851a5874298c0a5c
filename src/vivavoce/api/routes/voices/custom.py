"""Serve OpenAI's custom voices and vLLM-Omni's uploaded ones, and the list of all voices."""

import asyncio
from dataclasses import asdict, replace

from fastapi import APIRouter, Request

from vivavoce.api.dependencies import Server, ServerDep, ViewerDep
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.voices.native import designed, taken_names
from vivavoce.api.schemas.answers import OPENAI_ERRORS, VoiceCard, VoiceList
from vivavoce.api.schemas.custom_voices import (
    CreatedVoice,
    CustomVoice,
    DeletedVoice,
    MadeFrom,
    NewCustomVoice,
    UploadedVoice,
    form_of,
)
from vivavoce.api.schemas.values import Name
from vivavoce.errors import BadRequest
from vivavoce.models.kokoro.voices import native_of, parse_mix
from vivavoce.synthesis.design import Preview, Wish
from vivavoce.synthesis.routing.voices import aliased_voices, distinct_names
from vivavoce.types import EngineInfo, Voice
from vivavoce.voices.library import draft
from vivavoce.voices.record import CONSENT_MARK, Consent, SavedVoice, Viewer, check_name
from vivavoce.voices.recording import Recording, take_recording

router = APIRouter(
    prefix="/v1/audio/voices", tags=["openai"], responses=OPENAI_ERRORS, route_class=BoundedRoute
)

_WAYS: tuple[MadeFrom, ...] = ("audio_sample", "prompt", "formula")


@router.get("")
async def voices(server: ServerDep, viewer: ViewerDep, model: Name | None = None) -> VoiceList:
    """Return the voices of one model or of all, saved ones too, then OpenAI's names as aliases."""
    infos = await server.synthesizer.offered(model, viewer)
    saved = [voice for voice in server.voices.visible(viewer) if not voice.ended()]
    uploaded = await asyncio.to_thread(_uploaded, server, viewer, saved)
    own = [(info, voice) for info in infos for voice in info.voices]
    cards = [
        _voice_card(info, voice, name)
        for (info, voice), name in zip(own, distinct_names(own), strict=True)
    ]
    aliases = []
    for alias, (info, voice) in aliased_voices(infos).items():
        also = replace(voice, id=alias, listed=False, description=f"Another name of {voice.id!r}.")
        aliases.append(_voice_card(info, also, f"{alias.capitalize()} (OpenAI)", voice.id))
    return VoiceList(
        voices=[*cards, *aliases],
        data=[CustomVoice.of(voice) for voice in saved],
        first_id=saved[0].id if saved else None,
        last_id=saved[-1].id if saved else None,
        uploaded_voices=uploaded,
    )


@router.post("", openapi_extra=form_of(NewCustomVoice), response_model_exclude_none=True)
async def create(
    http: Request, server: ServerDep, viewer: ViewerDep, body: NewCustomVoice
) -> CreatedVoice:
    """Save the voice of a recording, of a description or of a formula, by a form or JSON."""
    taken, way = await taken_names(server), _way(body)
    check_name(body.name, taken)
    consent = await asyncio.to_thread(_consent, server, viewer, body.consent)
    preview = None
    if way == "prompt":
        wish = Wish(body.prompt or "", body.script_hint or None, count=1, seed=body.seed)
        (preview,) = await designed(http, wish)

    def made() -> CreatedVoice:
        if way == "audio_sample" and consent is None and server.voices.require_consent:
            problem = "consent is missing: send the id of one from POST /v1/audio/voice_consents"
            raise BadRequest(problem, field="consent")
        voice, recording = _drafted(body, preview, consent)
        saved = server.voices.add(voice, viewer, recording, taken)
        return CreatedVoice.of(
            saved,
            voice=next(iter(_uploaded(server, viewer, [saved])), None),
            warnings=list(recording.warnings) if recording else [],
        )

    return await asyncio.to_thread(made)


@router.get("/{voice_id}", response_model_exclude_none=True)
async def voice(server: ServerDep, viewer: ViewerDep, voice_id: str) -> CustomVoice:
    """Return one saved voice, by its id or name."""
    return CustomVoice.of(await asyncio.to_thread(server.voices.get, voice_id, viewer))


@router.delete("/{voice_id}")
async def remove(server: ServerDep, viewer: ViewerDep, voice_id: str) -> DeletedVoice:
    """Remove a saved voice, by its id or name, with its recording. A recorded consent stays."""
    gone = await asyncio.to_thread(server.voices.remove, voice_id, viewer)
    await server.synthesizer.saved.take_back()
    return DeletedVoice(id=gone.id, message=f"Voice {gone.name!r} is deleted.")


def _way(body: NewCustomVoice) -> MadeFrom:
    """Return the one field that is to become the voice. Raises `BadRequest`."""
    given = [name for name in _WAYS if getattr(body, name) not in (None, "")]
    first: MadeFrom = next(iter(given), "audio_sample")
    wanted = first if body.type is None else body.type
    if wanted not in given:
        raise BadRequest(f"the field {wanted!r} is missing; send it", field=wanted)
    if len(given) > 1:
        problem = f"{' and '.join(given)} are there, and one of them is the voice: send one"
        raise BadRequest(problem, field=next(name for name in given if name != wanted))
    return wanted


def _drafted(
    body: NewCustomVoice, preview: Preview | None, consent: Consent | None
) -> tuple[SavedVoice, Recording | None]:
    """Return the voice that is to be saved. It decodes a recording, so call it in a thread."""
    if preview is not None:
        return preview.drafted(body.name, consent=consent, shared=bool(body.shared))
    facts = {"description": body.speaker_description or "", "shared": bool(body.shared)}
    if body.formula:
        formula = parse_mix(body.formula)
        languages, gender = native_of(formula)
        of_mix = {"languages": languages, "gender": gender, "formula": str(formula)}
        return draft(body.name, "mixed", consent=consent, **of_mix, **facts), None
    recording = take_recording(body.audio_sample or b"")
    words = (body.ref_text or "").strip() or None
    return draft(body.name, "cloned", consent=consent, words=words, **facts), recording


def _consent(server: Server, viewer: Viewer, sent: str | None) -> Consent | None:
    """Return the consent of that id, or a record of what the client calls it."""
    named = (sent or "").strip()
    if named.startswith(CONSENT_MARK):
        return server.voices.consents.get(named, viewer, field="consent").to_consent()
    words = f"Kept elsewhere by the client, which names it {named!r}."
    return Consent(named, words) if named else None


def _uploaded(server: Server, viewer: Viewer, voices: list[SavedVoice]) -> list[UploadedVoice]:
    """Return the recordings among the voices. It looks at files, so call it in a thread."""
    size_of = server.voices.folder.recording_size
    return [UploadedVoice.of(v, viewer, size_of(v.id)) for v in voices if v.kind == "cloned"]


def _voice_card(
    info: EngineInfo, voice: Voice, name: str, alias_of: str | None = None
) -> VoiceCard:
    own = asdict(voice) | {"name": name, "languages": list(voice.languages)}
    return VoiceCard(**own, model=info.name, alias_of=alias_of)
