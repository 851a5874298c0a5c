"""Serve ElevenLabs' lists of voices and models, and an account without limits."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from vivavoce.api.dependencies import SynthesizerDep, ViewerDep
from vivavoce.api.elevenlabs.bodies import VoiceId
from vivavoce.api.elevenlabs.premade import PREMADE_VOICES
from vivavoce.api.elevenlabs.speech import ERRORS
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.custom_voices import unix_time
from vivavoce.api.schemas.values import Name
from vivavoce.errors import UnknownVoice
from vivavoce.synthesis.routing.voices import aliased_voices, distinct_names
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.language.names import language_name
from vivavoce.types import EngineInfo, Voice
from vivavoce.voices.record import SavedVoice, Viewer

router = APIRouter(tags=["elevenlabs"], responses=ERRORS, route_class=BoundedRoute)

# A value of JSON. Any: clients read much that means nothing here.
Card = dict[str, Any]

SETTINGS: Final[Card] = {
    "stability": 0.5, "similarity_boost": 0.75, "style": 0.0, "use_speaker_boost": True,
    "speed": 1.0,
}  # fmt: skip
_MANY: Final = 10**9  # characters, where ElevenLabs has a limit


@router.get("/v1/voices")
async def voices(synthesizer: SynthesizerDep, viewer: ViewerDep) -> Card:
    """Return all voices."""
    return {"voices": await _cards(synthesizer, viewer)}


@router.get("/v2/voices")
async def search_voices(
    synthesizer: SynthesizerDep,
    viewer: ViewerDep,
    search: Annotated[Name | None, Query(description="A part of a name or description.")] = None,
    page_size: Annotated[int, Query(ge=1, le=100)] = 10,
    next_page_token: Annotated[
        str, Query(pattern="^[0-9]{0,9}$", description="From the page before.")
    ] = "",
) -> Card:
    """Return a page of the voices."""
    wanted, start = (search or "").lower(), int(next_page_token or 0)
    found = [card for card in await _cards(synthesizer, viewer) if wanted in _searched(card)]
    end = start + page_size
    return {
        "voices": found[start:end],
        "has_more": end < len(found),
        "total_count": len(found),
        "next_page_token": str(end) if end < len(found) else None,
    }


@router.get("/v1/voices/settings/default")
async def default_settings() -> Card:
    """Return the settings of a voice without any."""
    return SETTINGS


@router.get("/v1/voices/{voice_id}")
async def voice(voice_id: VoiceId, synthesizer: SynthesizerDep, viewer: ViewerDep) -> Card:
    """Return one voice."""
    return await _card(synthesizer, viewer, voice_id)


@router.get("/v1/voices/{voice_id}/settings")
async def voice_settings(voice_id: VoiceId, synthesizer: SynthesizerDep, viewer: ViewerDep) -> Card:
    """Return the settings of one voice."""
    await _card(synthesizer, viewer, voice_id)
    return SETTINGS


@router.get("/v1/user/subscription")
async def subscription() -> Card:
    """Return the limits, which are none."""
    return _subscription()


@router.get("/v1/user")
async def user() -> Card:
    """Return an account."""
    return {
        "user_id": "vivavoce",
        "workspace_id": "vivavoce",
        "subscription": _subscription(),
        "is_new_user": False,
        "can_use_delayed_payment_methods": False,
        "is_onboarding_completed": True,
        "is_onboarding_checklist_completed": True,
        "created_at": 0,
        "seat_type": "workspace_admin",
    }


async def model_cards(synthesizer: Synthesizer) -> list[Card]:
    """Return the models in the form of ElevenLabs."""
    return [
        {
            "model_id": info.name,
            "name": info.name,
            "description": info.description,
            "can_do_text_to_speech": True,
            "can_do_voice_conversion": False,
            "can_be_finetuned": False,
            "can_use_style": False,
            "can_use_speaker_boost": False,
            "serves_pro_voices": False,
            "requires_alpha_access": False,
            "token_cost_factor": 0.0,
            "languages": [
                {"language_id": code, "name": language_name(code).title()}
                for code in info.languages
            ],
        }
        for info in await synthesizer.router.candidates(None)
    ]


async def _cards(synthesizer: Synthesizer, viewer: Viewer) -> list[Card]:
    found, library = await _own(synthesizer, viewer, hidden=False), synthesizer.saved.library
    cards = []
    for (info, voice), name in zip(found, distinct_names(found), strict=True):
        saved = None if library is None else library.find(voice.id, viewer)
        card = _voice_card(info, voice, name)
        cards.append(card if saved is None else _saved_card(card, saved, viewer))
    return cards


async def own_card(synthesizer: Synthesizer, viewer: Viewer, saved: SavedVoice) -> Card:
    """Return a saved voice. Its model is named if one here speaks with it."""
    found = await _own(synthesizer, viewer, hidden=False)
    shown = next((one for one in found if one[1].id == saved.name), None)
    card = _bare_card(saved) if shown is None else _voice_card(*shown, saved.name)
    return _saved_card(card, saved, viewer)


async def _card(synthesizer: Synthesizer, viewer: Viewer, voice_id: str) -> Card:
    """Return a voice. Raises `UnknownVoice`, `ConsentEnded`."""
    own, library = await _own(synthesizer, viewer, hidden=True), synthesizer.saved.library
    saved = None if library is None else library.find(voice_id, viewer)
    if library is not None and saved is not None:
        return await own_card(synthesizer, viewer, library.usable(saved))
    named = zip(own, distinct_names(own), strict=True)
    cards = {voice.id.lower(): _voice_card(info, voice, name) for (info, voice), name in named}
    wanted, aliases = voice_id.strip().lower(), aliased_voices([info for info, _ in own])
    if voice_id in PREMADE_VOICES:
        return {**next(iter(cards.values())), "voice_id": voice_id}
    if wanted not in cards and wanted in aliases:
        wanted = aliases[wanted][1].id.lower()
    if wanted not in cards:
        names = ", ".join(voice.id for _, voice in own if voice.listed)
        raise UnknownVoice(
            f"voice {voice_id!r} is not here: choose one of {names}", field="voice_id"
        )
    return cards[wanted]


async def _own(
    synthesizer: Synthesizer, viewer: Viewer, *, hidden: bool
) -> Sequence[tuple[EngineInfo, Voice]]:
    """Return the voices with their models, each id once: that of the first model."""
    found: dict[str, tuple[EngineInfo, Voice]] = {}
    for info in await synthesizer.offered(None, viewer):
        for voice in info.voices:
            if voice.listed or hidden:
                found.setdefault(voice.id.lower(), (info, voice))
    return list(found.values())


def _voice_card(info: EngineInfo, voice: Voice, name: str) -> Card:
    return {
        "voice_id": voice.id,
        "name": name,
        "category": "premade",
        "description": voice.description or None,
        "labels": {"language": voice.languages[0], "gender": voice.gender, "model": info.name},
        "preview_url": None,
        "high_quality_base_model_ids": [info.name],
        "verified_languages": [
            {"language": code, "model_id": info.name, "locale": None, "accent": None}
            for code in voice.languages
        ],
        "settings": SETTINGS,
    }


def _bare_card(saved: SavedVoice) -> Card:
    """Return the card of a voice that no model here speaks with."""
    languages = saved.languages or ("en",)
    info = EngineInfo(name="", sample_rate_hz=0, languages=languages, voices=())
    return _voice_card(info, Voice(saved.name, saved.name, languages, saved.gender), saved.name)


def _saved_card(card: Card, saved: SavedVoice, viewer: Viewer) -> Card:
    """Return `card` with what is known of a saved voice. A label has its name as it was sent."""
    labels = {**card["labels"], **saved.labels}
    if not saved.languages and "language" not in saved.labels:
        del labels["language"]  # any of its model
    return {
        **card,
        "voice_id": saved.id,
        "name": labels.pop("name", saved.name),
        "category": "cloned" if saved.kind == "cloned" else "generated",
        "description": saved.description or None,
        "labels": labels,
        "is_owner": saved.owner == viewer.name,
        "created_at_unix": unix_time(saved.created),
    }


def _searched(card: Card) -> str:
    facts = (card["voice_id"], card["name"], card["description"] or "", *card["labels"].values())
    return " ".join(facts).lower()


def _subscription() -> Card:
    numbers = (
        "character_count", "voice_slots_used", "professional_voice_slots_used",
        "professional_voice_slots_used_in_workspace", "voice_add_edit_counter",
        "professional_voice_limit", "max_credit_limit_extension",
    )  # fmt: skip
    flags = (
        "can_extend_character_limit", "allowed_to_extend_character_limit",
        "can_extend_voice_limit", "can_use_instant_voice_cloning",
        "can_use_professional_voice_cloning", "has_open_invoices",
    )  # fmt: skip
    return {
        **dict.fromkeys(numbers, 0),
        **dict.fromkeys(flags, False),
        "tier": "vivavoce",
        "status": "active",
        "character_limit": _MANY,
        "voice_limit": _MANY,
        "current_overage": {"amount": "0", "currency": "usd"},
        "open_invoices": [],
    }
