"""Find a voice by its requested name, and name voices for lists."""

from collections import Counter
from collections.abc import Mapping, Sequence

from vivavoce.text.language.names import language_name
from vivavoce.types import EngineInfo, Voice

DEFAULT_ALIAS = "default"  # names no voice: it is left out of lists


def find_voice(info: EngineInfo, speaker: str | None, language: str) -> tuple[Voice, str] | None:
    """Return the voice of a speaker and the name to report, or None if unknown.

    Names match in any case. None is the model's default voice for `language`. An alias that stands
    for a voice of another language becomes a native voice of the same gender, where the model has
    one: the names of OpenAI's voices imply no language.
    """
    by_id = {voice.id.lower(): voice for voice in info.voices}
    if speaker is None:
        voice = _native_voice(info, language)
        return voice, voice.id
    name = speaker.strip().lower()
    if name in by_id:
        return by_id[name], by_id[name].id
    if name not in info.aliases:
        return None
    voice = by_id[info.aliases[name].lower()]
    if language not in voice.languages:
        voice = _native_voice(info, language, like=voice)
    return voice, name


def _native_voice(info: EngineInfo, language: str, *, like: Voice | None = None) -> Voice:
    native = [voice for voice in info.voices if language in voice.languages]
    if like is not None:
        same = [voice for voice in native if voice.gender == like.gender]
        return next(iter(same or native), like)
    chosen = info.default_voices.get(language)
    first = next(iter(native or info.voices))
    return next((voice for voice in native if voice.id == chosen), first)


def aliased_voices(infos: Sequence[EngineInfo]) -> Mapping[str, tuple[EngineInfo, Voice]]:
    """Return OpenAI's names with the voice that each stands for, preferring models with several."""
    found: dict[str, tuple[EngineInfo, Voice]] = {}
    for info in sorted(infos, key=lambda info: len(info.voices) == 1):
        by_id = {voice.id.lower(): voice for voice in info.voices}
        for alias, meant in info.aliases.items():
            if alias != DEFAULT_ALIAS and alias not in by_id:
                found.setdefault(alias, (info, by_id[meant.lower()]))
    return found


def distinct_names(voices: Sequence[tuple[EngineInfo, Voice]]) -> Sequence[str]:
    """Return a display name for each voice.

    Names that are shared get the language, the model or the id.
    """
    names = [voice.name for _, voice in voices]
    for details in (
        [language_name(voice.languages[0]).title() for _, voice in voices],
        [info.name for info, _ in voices],
        [f"{info.name}: {voice.id}" for info, voice in voices],
    ):
        count = Counter(names)
        names = [
            f"{voice.name} ({detail})" if count[name] > 1 else name
            for (_, voice), name, detail in zip(voices, names, details, strict=True)
        ]
    return names
