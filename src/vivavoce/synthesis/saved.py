"""Speak with saved voices: a name becomes a recording or a formula, and lists show it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from vivavoce.errors import Unsupported
from vivavoce.synthesis.routing import Router
from vivavoce.types import EngineInfo, SpeechRequest, Voice
from vivavoce.voices.library import VoiceLibrary
from vivavoce.voices.record import SavedVoice, Viewer

Making = Literal["clone", "mix", "design"]

_HOW = (
    "vivavoce models pull Qwen/Qwen3-TTS-12Hz-0.6B-Base, "
    "then vivavoce serve --qwen Qwen/Qwen3-TTS-12Hz-0.6B-Base"
)
_ELSE = "(for other commands set VIVAVOCE_QWEN to it)"
_MISSING: Mapping[Making, str] = {
    "clone": f"a Base checkpoint of Qwen3-TTS speaks with a recording; get one with {_HOW}",
    "mix": "kokoro mixes voices; get it with vivavoce models pull kokoro",
    "design": "a VoiceDesign checkpoint of Qwen3-TTS designs voices, and a Base checkpoint speaks "
    "with them; get both with vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign and "
    "vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-Base, then vivavoce serve --qwen "
    "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign,Qwen/Qwen3-TTS-12Hz-1.7B-Base",
}


class SavedVoices:
    """The voices of `library`, if there is one, for the models of `router`."""

    def __init__(self, library: VoiceLibrary | None, router: Router) -> None:
        self.library = library
        self._router = router

    async def resolve(self, request: SpeechRequest) -> tuple[SpeechRequest, str | None]:
        """Return what `request` asks a model for, and the name of its saved voice, if it is one.

        Raises `ConsentEnded`, and `Unsupported` if no model here speaks with a recording.
        """
        if self.library is None or request.speaker is None or request.reference is not None:
            return request, None
        await self._refresh(self.library)
        viewer = Viewer(request.caller, request.manages)
        voice = self.library.find(request.speaker, viewer)
        if voice is None:
            return request, None
        self.library.usable(voice)
        if voice.languages and request.likely_language is None:
            request = replace(request, likely_language=voice.languages[0])
        if voice.formula is not None:
            return replace(request, speaker=voice.formula), voice.name
        await self._check_clones(request, voice)
        reference = await asyncio.to_thread(self.library.reference, voice)
        return replace(request, speaker=None, reference=reference), voice.name

    async def add_to(self, infos: Sequence[EngineInfo], viewer: Viewer) -> list[EngineInfo]:
        """Return `infos` with the saved voices that each model can speak with."""
        if self.library is None:
            return list(infos)
        await self._refresh(self.library)
        saved = [voice for voice in self.library.visible(viewer) if not voice.ended()]
        return [
            replace(info, voices=(*info.voices, *(_shown(v, info) for v in saved if _can(info, v))))
            for info in infos
        ]

    async def missing(self) -> dict[Making, str]:
        """Return the ways to make a voice that no model here has, with what brings one."""
        infos = await self._router.infos()
        clones = any(info.capabilities.clones for info in infos)
        able: dict[Making, bool] = {
            "clone": clones,
            "mix": any(info.capabilities.mixes for info in infos),
            "design": clones and any(info.task == "voice_design" for info in infos),
        }
        return {way: how for way, how in _MISSING.items() if not able[way]}

    async def _check_clones(self, request: SpeechRequest, voice: SavedVoice) -> None:
        infos = await self._router.infos()
        cloning = [info.name for info in infos if info.capabilities.clones]
        asked = request.model.strip().lower()
        if cloning and asked not in {info.name for info in infos} - set(cloning):
            return
        needs = f"choose model {cloning[0]!r}" if cloning else f"get one with {_HOW} {_ELSE}"
        raise Unsupported(
            f"speaker {voice.name!r} is a recording, which a Base checkpoint of Qwen3-TTS speaks "
            f"with: {needs}",
            field="speaker",
        )

    async def take_back(self) -> None:
        """Let models forget the voices that may not be used any more."""
        if self.library is None:
            return
        for file in self.library.take_back():
            await self._router.forget_voice(file)

    async def _refresh(self, library: VoiceLibrary) -> None:
        if library.is_stale:
            await asyncio.to_thread(library.refresh)
            await self.take_back()


def _can(info: EngineInfo, voice: SavedVoice) -> bool:
    able = info.capabilities.clones if voice.formula is None else info.capabilities.mixes
    return able and (not voice.languages or bool(set(voice.languages) & set(info.languages)))


def _shown(voice: SavedVoice, info: EngineInfo) -> Voice:
    languages = voice.languages or info.languages
    description = voice.description or f"A {voice.kind} voice of this server."
    return Voice(voice.name, voice.name, languages, voice.gender, description=description)
