"""Serve the saved voices, `/v1/tts/voices`. A key sees its own and shared ones."""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from vivavoce.api.dependencies import Server, ServerDep, ViewerDep, server_of, viewer_of
from vivavoce.api.reference_audio import recording_bytes
from vivavoce.api.responses import respond, unless_disconnected, whole
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import NATIVE_ERRORS, Answers, NativeError, audio_answers
from vivavoce.api.schemas.voices import (
    ChangedVoice,
    ConsentBody,
    DesignBody,
    NewVoice,
    PreviewBody,
    PreviewInfo,
    PreviewInfos,
    RecordingBody,
    RecordingInfo,
    VoiceFile,
    VoiceInfo,
    VoiceInfos,
)
from vivavoce.audio import MEDIA_TYPES
from vivavoce.errors import BadRequest
from vivavoce.models.kokoro.voices import native_of, parse_mix
from vivavoce.provenance.mark import HEADER
from vivavoce.registry import TAKEN_NAMES
from vivavoce.synthesis.design import Preview, Wish, make_previews
from vivavoce.voices.archive import unpack
from vivavoce.voices.library import draft
from vivavoce.voices.record import SavedVoice
from vivavoce.voices.recording import Recording, take_recording

router = APIRouter(
    prefix="/v1/tts/voices", tags=["native"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)

FILE_TYPE = "application/zip"
AUDIO = audio_answers(*MEDIA_TYPES.values(), error=NativeError)
PREVIEWS: Answers = {200: {"model": PreviewInfos, "description": "The previews."}}
FILE: Answers = {
    200: {
        "content": {FILE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "description": "The file.",
    }
}


@router.get("")
async def voices(server: ServerDep, viewer: ViewerDep) -> VoiceInfos:
    """Return the saved voices that the key may use, its own first."""
    await asyncio.to_thread(server.voices.refresh)
    return VoiceInfos(
        voices=[VoiceInfo.of(voice, viewer) for voice in server.voices.visible(viewer)],
        requires_consent=server.voices.require_consent,
        missing=await server.synthesizer.saved.missing(),
    )


@router.post("", status_code=201)
async def create(server: ServerDep, viewer: ViewerDep, body: NewVoice) -> VoiceInfo:
    """Save a mix, the voice of a recording, or a preview. The same voice is saved once."""
    taken = await taken_names(server)

    def made() -> VoiceInfo:
        preview = None if body.preview is None else server.previews.get(body.preview, viewer)
        voice, recording = _drafted(body, preview)
        saved = server.voices.add(voice, viewer, recording, taken)
        return VoiceInfo.of(saved, viewer, recording.warnings if recording else ())

    return await asyncio.to_thread(made)


@router.post("/check")
async def check(body: RecordingBody) -> RecordingInfo:
    """Tell what a recording lacks, before it is saved."""
    recording = await asyncio.to_thread(lambda: take_recording(recording_bytes(body.ref_audio)))
    duration_s = round(recording.seconds, 3)
    return RecordingInfo(duration_s=duration_s, warnings=list(recording.warnings))


@router.post("/design", response_class=Response, responses=PREVIEWS)
async def design(http: Request, server: ServerDep, viewer: ViewerDep, body: DesignBody) -> Response:
    """Speak previews of a voice that is described. `POST /v1/tts/voices` saves one of them."""
    wish = body.to_wish()
    previews = await designed(http, wish)
    infos = [await asyncio.to_thread(PreviewInfo.of, preview) for preview in previews]
    return await previews_answer(PreviewInfos(text=wish.said, previews=infos), previews)


@router.post("/import", status_code=201)
async def import_voice(server: ServerDep, viewer: ViewerDep, body: VoiceFile) -> VoiceInfo:
    """Save the voice in a file that was exported here or elsewhere."""
    taken = await taken_names(server)

    def made() -> VoiceInfo:
        try:
            data = base64.b64decode(body.file, validate=True)
        except (binascii.Error, ValueError) as error:
            problem = f"file is not base64 ({error}): send the bytes of a .vvoice file so"
            raise BadRequest(problem, field="file") from error
        voice, recording = unpack(data)
        voice = replace(voice, name=body.name or voice.name, shared=bool(body.shared))
        if voice.formula is not None:
            voice = replace(voice, formula=str(parse_mix(voice.formula)))
        return VoiceInfo.of(server.voices.add(voice, viewer, recording, taken), viewer)

    return await asyncio.to_thread(made)


@router.get("/{voice}")
async def voice(server: ServerDep, viewer: ViewerDep, voice: str) -> VoiceInfo:
    """Return one saved voice, by its id or name."""
    return VoiceInfo.of(await asyncio.to_thread(server.voices.get, voice, viewer), viewer)


@router.patch("/{voice}")
async def change(server: ServerDep, viewer: ViewerDep, voice: str, body: ChangedVoice) -> VoiceInfo:
    """Change a saved voice: its name, its words, or what is said of it."""
    taken, values = await taken_names(server), body.given()
    changed = await asyncio.to_thread(lambda: server.voices.change(voice, viewer, taken, **values))
    await server.synthesizer.saved.take_back()
    return VoiceInfo.of(changed, viewer)


@router.delete("/{voice}")
async def remove(server: ServerDep, viewer: ViewerDep, voice: str) -> VoiceInfo:
    """Remove a saved voice with its recording and its record of consent."""
    removed = await asyncio.to_thread(server.voices.remove, voice, viewer)
    await server.synthesizer.saved.take_back()
    return VoiceInfo.of(removed, viewer)


@router.post("/{voice}/preview", response_class=Response, responses=AUDIO)
async def preview(
    http: Request, server: ServerDep, viewer: ViewerDep, voice: str, body: PreviewBody
) -> Response:
    """Speak a short text with a saved voice."""
    found = await asyncio.to_thread(server.voices.get, voice, viewer)
    return await respond(http, body.to_request(found), whole)


@router.put("/{voice}/consent")
async def consent(server: ServerDep, viewer: ViewerDep, voice: str, body: ConsentBody) -> VoiceInfo:
    """Replace the record of consent to a voice. The former record is kept beside it."""
    renewed = await asyncio.to_thread(server.voices.renew, voice, viewer, body.to_consent())
    return VoiceInfo.of(renewed, viewer)


@router.post("/{voice}/revoke")
async def revoke(server: ServerDep, viewer: ViewerDep, voice: str) -> VoiceInfo:
    """End the consent to a voice. Its recording is erased, and the record stays."""
    revoked = await asyncio.to_thread(server.voices.revoke, voice, viewer)
    await server.synthesizer.saved.take_back()
    return VoiceInfo.of(revoked, viewer)


@router.get("/{voice}/export", response_class=Response, responses=FILE)
async def export(server: ServerDep, viewer: ViewerDep, voice: str) -> Response:
    """Return a voice of one's own as one file, for `import`."""
    data = await asyncio.to_thread(server.voices.export, voice, viewer)
    name = {"Content-Disposition": 'attachment; filename="voice.vvoice"'}
    return Response(data, media_type=FILE_TYPE, headers=name)


async def designed(http: Request, wish: Wish) -> list[Preview]:
    """Return the previews of `wish`, which are kept. A client that leaves ends their speech."""
    server, viewer = server_of(http), viewer_of(http)

    async def made() -> list[Preview]:
        async with aclosing(make_previews(server.synthesizer, wish, viewer)) as previews:
            return [preview async for preview in previews]

    found = await unless_disconnected(http.receive, made())
    for preview in found:
        await asyncio.to_thread(server.previews.add, preview, viewer)
    return found


async def previews_answer(body: BaseModel, previews: Sequence[Preview]) -> Response:
    """Return megabytes of JSON that hold `previews`, marked as synthetic."""
    data = await asyncio.to_thread(lambda: body.model_dump_json().encode())
    return Response(data, media_type="application/json", headers=marks_of(previews))


def marks_of(previews: Sequence[Preview]) -> dict[str, str]:
    """Return the header that marks `previews` as synthetic, or none."""
    marks = {preview.synthetic for preview in previews if preview.synthetic}
    return {HEADER: ", ".join(sorted(marks))} if marks else {}


def _drafted(body: NewVoice, preview: Preview | None) -> tuple[SavedVoice, Recording | None]:
    """Return the voice that is to be saved. It decodes a recording, so call it in a thread."""
    facts = body.given()
    if sum(field is not None for field in (body.formula, body.ref_audio, preview)) != 1:
        raise BadRequest(
            "send either formula, ref_audio or preview: one of them is the voice", field="formula"
        )
    if preview is not None:
        return preview.drafted(body.name, **facts)
    consent = None if body.consent is None else body.consent.to_consent()
    if body.formula is not None:
        formula = parse_mix(body.formula)
        languages, gender = native_of(formula)
        facts = {"languages": languages, "gender": gender, **facts}
        return draft(body.name, "mixed", consent=consent, formula=str(formula), **facts), None
    recording = take_recording(recording_bytes(body.ref_audio or ""))
    words = (body.ref_text or "").strip() or None
    return draft(body.name, "cloned", consent=consent, words=words, **facts), recording


async def taken_names(server: Server) -> frozenset[str]:
    """Return the names of the models' own voices, in lower case."""
    infos = await server.synthesizer.router.infos()
    own = (name.lower() for info in infos for name in (*(v.id for v in info.voices), *info.aliases))
    return TAKEN_NAMES.union(own)
