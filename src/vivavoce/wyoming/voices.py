"""List the voices for clients of Wyoming.

A voice that has the name of one of a preferred model is called `model/voice`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vivavoce import __version__
from vivavoce.errors import VivavoceError
from vivavoce.synthesis.routing import AUTO
from vivavoce.synthesis.routing.voices import distinct_names
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import EngineInfo, Voice
from vivavoce.voices.record import Viewer

NAME: Final = "vivavoce"
DESCRIBED_WITHIN_S: Final = 3.0  # Home Assistant waits for five seconds, and asks again


@dataclass(frozen=True, slots=True)
class Offered:
    """A voice by the name that clients choose it by."""

    name: str
    label: str  # for people, unique
    languages: Sequence[str]  # ISO 639-1
    info: EngineInfo


async def offered(synthesizer: Synthesizer, within_s: float = DESCRIBED_WITHIN_S) -> list[Offered]:
    """Return the voices of all models that are described in time, in order of preference.

    Left out are models that need more than a text, and voices whose languages their model does not
    speak. Clients show those of one language, so the list is as long as that of `/v1/audio/voices`.
    """
    default = synthesizer.router.default_model
    names = sorted(synthesizer.pool.names, key=lambda name: name != default)
    tasks = [asyncio.create_task(_info(synthesizer, name)) for name in names]
    try:
        await asyncio.wait(tasks, timeout=within_s)
    finally:
        for task in tasks:
            task.cancel()
    found = (task.result() for task in tasks if task.done() and not task.cancelled())
    infos = await _speaking(synthesizer, [info for info in found if info is not None])
    own = [(info, voice) for info in infos for voice in info.voices if _languages(info, voice)]
    taken = set[str]()
    voices = []
    for (info, voice), label in zip(own, distinct_names(own), strict=True):
        plain = default in (AUTO, info.name) and voice.id.lower() not in taken
        taken.add(voice.id.lower())
        name = voice.id if plain else f"{info.name}/{voice.id}"
        voices.append(Offered(name, label, _languages(info, voice), info))
    return voices


def described(voices: Sequence[Offered]) -> Mapping[str, object]:
    """Return the data of an `info` event. Without voices, nothing is installed."""
    program = {
        "name": NAME,
        "description": "Text in, speech out.",
        "attribution": {"name": "vivavoce", "url": ""},
        "installed": bool(voices),
        "version": __version__,
        "supports_synthesize_streaming": True,
        "voices": [_card(voice) for voice in voices],
    }
    others = ("asr", "handle", "intent", "wake", "mic", "snd")
    return {"tts": [program], **{kind: [] for kind in others}}


def _card(voice: Offered) -> Mapping[str, object]:
    licence = f", {voice.info.licence}" if voice.info.licence else ""
    return {
        "name": voice.name,
        "description": voice.label,
        "attribution": {"name": f"{voice.info.name}{licence}", "url": ""},
        "installed": True,
        "version": __version__,
        "languages": list(voice.languages),
        "speakers": None,
    }


async def _info(synthesizer: Synthesizer, name: str) -> EngineInfo | None:
    try:
        return await synthesizer.pool.info(name)
    except VivavoceError:  # it is missing, or failed: its voices are not offered
        return None


async def _speaking(synthesizer: Synthesizer, infos: Sequence[EngineInfo]) -> Sequence[EngineInfo]:
    """Return the models that need only a text, and the saved voices of those that clone."""
    saved = await synthesizer.saved.add_to(infos, Viewer())
    return [
        replace(known, voices=known.voices[len(info.voices) :])
        if info.capabilities.needs
        else known
        for info, known in zip(infos, saved, strict=True)
        if info.capabilities.needs != "instruct"
    ]


def _languages(info: EngineInfo, voice: Voice) -> Sequence[str]:
    return [code for code in voice.languages if code in info.languages]
