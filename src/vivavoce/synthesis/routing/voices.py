"""Find a voice by its requested name, and name voices for lists."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vivavoce.errors import BadRequest, UnknownVoice, Unsupported
from vivavoce.text.language.names import language_name
from vivavoce.types import EngineInfo, Voice
from vivavoce.voices.formula import is_formula, parse_formula

DEFAULT_ALIAS = "default"  # names no voice: it is left out of lists


def find_voice(info: EngineInfo, speaker: str | None, language: str) -> tuple[Voice, str] | None:
    """Return the voice of a speaker and the name to report, or None if unknown.

    Names match in any case. None is the model's default voice for `language`. An alias that stands
    for a voice of another language becomes a native voice of the same gender, where the model has
    one: the names of OpenAI's voices imply no language. A formula is a voice of a model that mixes.
    """
    by_id = {voice.id.lower(): voice for voice in info.voices}
    if speaker is None:
        voice = _native_voice(info, language)
        return voice, voice.id
    name = speaker.strip().lower()
    if name in by_id:
        return by_id[name], by_id[name].id
    if name not in info.aliases:
        mixed = _mixed_voice(info, speaker, by_id) if is_formula(speaker) else None
        return None if mixed is None else (mixed, mixed.id)
    voice = by_id[info.aliases[name].lower()]
    if language not in voice.languages:
        voice = _native_voice(info, language, like=voice)
    return voice, name


def _mixed_voice(info: EngineInfo, formula: str, by_id: Mapping[str, Voice]) -> Voice | None:
    """Return the voice of a formula, with what its largest share declares, or None."""
    if formula_problem(formula, [info]) is not None:
        return None
    mix = parse_formula(formula)
    leading = mix.names[0]
    voice = by_id[info.aliases.get(leading, leading).lower()]
    return replace(voice, id=str(mix), name=str(mix), listed=False, description="A mix of voices.")


def formula_problem(speaker: str | None, infos: Sequence[EngineInfo]) -> BadRequest | None:
    """Return why none of the models can mix the formula `speaker`. None for a name too."""
    if speaker is None or not is_formula(speaker):
        return None
    try:
        mix = parse_formula(speaker)
    except BadRequest as error:
        return error
    mixing = [info for info in infos if info.capabilities.mixes]
    if not mixing:
        return Unsupported(
            f"speaker {speaker[:80]!r} is a mix of voices, and "
            f"{_listed(infos)} mixes none: choose 'kokoro' (vivavoce models pull kokoro)",
            field="speaker",
        )
    known = [{*(voice.id.lower() for voice in info.voices), *info.aliases} for info in mixing]
    if any(names.issuperset(mix.names) for names in known):
        return None
    unknown = next(name for name in mix.names if name not in known[0])
    return UnknownVoice(
        f"speaker {speaker[:80]!r} names {unknown!r}, which is unknown to {_listed(mixing)}: "
        "GET /v1/audio/voices has the names",
        field="speaker",
    )


def _listed(infos: Sequence[EngineInfo]) -> str:
    return " or ".join(repr(info.name) for info in infos)


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
