"""Find a model's voice by the name that a request gives."""

from vivavoce.types import EngineInfo, Voice


def find_voice(info: EngineInfo, speaker: str | None, language: str) -> tuple[Voice, str] | None:
    """Return the model's voice for a speaker's name and the name to report, or None if unknown.

    Names match in any case; None is the model's default voice for `language`. An alias that stands
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
