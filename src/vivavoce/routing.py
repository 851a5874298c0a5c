"""Chooses the model and the voice that answer a request; it knows what models say of themselves, not how they speak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivavoce.engines.base import Engine
from vivavoce.engines.pool import Pool
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, UnknownVoice, Unsupported, VivavoceError
from vivavoce.text.detect import Detector, speakable_share
from vivavoce.text.languages import language_name
from vivavoce.types import EngineInfo, SpeechRequest, Voice

AUTO = "auto"
SAMPLE_CHARS = 10_000  # of a text, to judge its language by
MODEL_ALIASES: Mapping[str, str] = {
    # The names that OpenAI's clients send when nobody chose one.
    "tts-1": AUTO,
    "tts-1-hd": AUTO,
    "gpt-4o-mini-tts": AUTO,
}


@dataclass(frozen=True, slots=True)
class Route:
    """Who speaks: `speaker` is the name to tell the caller, `voice` the model's own."""

    engine: Engine
    voice: Voice
    speaker: str
    language: str


class Router:
    """Chooses among the models of `pool`; `default_model` answers requests that name none."""

    def __init__(self, pool: Pool, *, default_model: str = AUTO) -> None:
        self._pool = pool
        self._default_model = default_model
        self._detector = Detector(("en", "es", "fr", "it", "pt", "de", "zh", "ja", "ko", "ru"))

    def warm_up(self) -> None:
        """Loads what detects languages, about a second's work that the first request would wait for."""
        self._detector.detect("Which language is this sentence written in?")

    def model_name(self, name: str | None) -> str:
        """The model that a request's `model` stands for: a name of the pool, or "auto"."""
        asked = (name or self._default_model).strip().lower()
        meant = MODEL_ALIASES.get(asked, asked)
        return self._default_model if meant == AUTO else meant

    async def candidates(self, model: str | None) -> Sequence[Engine]:
        """The loaded engines that `model` stands for, in order of preference."""
        name = self.model_name(model)
        if name != AUTO:
            return [await self._pool.get(name)]
        engines = []
        problems: list[VivavoceError] = []
        for known in self._pool.names:
            try:
                engines.append(await self._pool.get(known))
            except VivavoceError as problem:
                problems.append(problem)
        if not engines:
            raise problems[0]
        return engines

    async def route(self, request: SpeechRequest) -> Route:
        """The engine, voice and language for `request`, whose text is already normalised.

        Raises `UnknownModel`, `UnknownVoice`, or `Unsupported` when nobody here can say this text as asked.
        """
        language, sure = self._language(request)
        name = self.model_name(request.model)
        if name != AUTO:
            return _route(await self._pool.get(name), request, language, sure)
        return await self._first_that_can(request, language, sure)

    def _language(self, request: SpeechRequest) -> tuple[str, bool]:
        if request.language is not None:
            return request.language, True
        found = self._detector.detect(request.text[:SAMPLE_CHARS])
        return found.language, found.confident

    async def _first_that_can(self, request: SpeechRequest, language: str, sure: bool) -> Route:
        refusals: list[VivavoceError] = []
        nearly: Route | None = None
        for name in self._pool.names:
            try:
                route = _route(await self._pool.get(name), request, language, sure)
            except (BadRequest, EngineFault, MissingDependency) as refusal:
                refusals.append(refusal)
                continue
            if not _stands_for_any(route):
                return route
            nearly = nearly or route
        if nearly is None:
            raise _most_telling(refusals)
        return nearly


def _stands_for_any(route: Route) -> bool:
    """Whether every name would have been this voice: a model with a choice of voices then honours the name better."""
    return route.speaker != route.voice.id.lower() and len(route.engine.info.voices) == 1


def _most_telling(refusals: Sequence[VivavoceError]) -> VivavoceError:
    """The refusal that the caller can act on: a known voice refused for its language, before an unknown voice."""
    order = (Unsupported, UnknownVoice, BadRequest, VivavoceError)
    return min(refusals, key=lambda refusal: next(i for i, kind in enumerate(order) if isinstance(refusal, kind)))


def _route(engine: Engine, request: SpeechRequest, language: str, sure: bool) -> Route:
    info = engine.info
    if language not in info.languages and not sure:
        language = info.languages[0]
    voice, speaker = find_voice(info, request.speaker, language)
    if language not in info.languages:
        raise Unsupported(_wrong_language(info, request, language), field="language")
    if speakable_share(request.text[:SAMPLE_CHARS], language) < 0.5:
        raise Unsupported(
            f"the text is not written in {language_name(language)}, which {speaker!r} of {info.name!r} was asked to "
            "speak; set 'language' to the language of the text, or leave it out",
            field="text",
        )
    return Route(engine, voice, speaker, language)


def _wrong_language(info: EngineInfo, request: SpeechRequest, language: str) -> str:
    spoken = ", ".join(language_name(code) for code in info.languages)
    asked = f"language {language_name(language)!r}"
    if request.language is None:
        asked += ", which the text seems to be in,"
    return f"{asked} is not spoken by {info.name!r}; it speaks {spoken}. Choose one of these or another model"


def find_voice(info: EngineInfo, speaker: str | None, language: str) -> tuple[Voice, str]:
    """The model's voice for a speaker's name (any case), or for none; and the name to call it by.

    An alias that stands for a voice of another language becomes a voice native to `language` of the same gender,
    where the model has one: the names of OpenAI's voices say nothing of a language. Raises `UnknownVoice`.
    """
    by_id = {voice.id.lower(): voice for voice in info.voices}
    if speaker is None:
        voice = _native_voice(info, language)
        return voice, voice.id
    name = speaker.strip().lower()
    if name in by_id:
        return by_id[name], by_id[name].id
    if name in info.aliases:
        voice = by_id[info.aliases[name].lower()]
        if language not in voice.languages:
            voice = _native_voice(info, language, like=voice)
        return voice, name
    names = ", ".join(voice.id for voice in info.voices if voice.listed)
    raise UnknownVoice(f"speaker {speaker!r} is unknown to {info.name!r}; choose one of {names}", field="speaker")


def _native_voice(info: EngineInfo, language: str, *, like: Voice | None = None) -> Voice:
    native = [voice for voice in info.voices if language in voice.languages]
    if like is not None:
        same = [voice for voice in native if voice.gender == like.gender]
        return next(iter(same or native), like)
    chosen = info.default_voices.get(language)
    return next((voice for voice in native if voice.id == chosen), next(iter(native or info.voices)))
