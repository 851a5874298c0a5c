"""Chooses the model and the voice that answer a request; it knows what models say of themselves, not how they speak."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
        if request.reference is not None:
            request = replace(request, speaker=None)  # beside a recording the name of a speaker counts for nothing
        name = self.model_name(request.model)
        if name == AUTO or (request.reference is not None and self._leaves_open(request.model)):
            return await self._first_that_can(request, language, sure)
        engine = await self._pool.get(name)
        if (lack := self._lack(engine.info, request)) is not None:
            raise lack
        route = _route(engine, request, language, sure)
        if route is None:
            raise _refusal([engine.info], request, language)
        return route

    def _leaves_open(self, model: str) -> bool:
        """Whether a request's `model` names none: then a recording is for the first that clones, default or not."""
        return MODEL_ALIASES.get(model.strip().lower(), model.strip().lower()) == AUTO

    def _lack(self, info: EngineInfo, request: SpeechRequest) -> BadRequest | None:
        """Why this model cannot speak `request`, whatever its text; `None` if it can."""
        if request.reference is None or info.capabilities.clones:
            return _lack(info, request)
        cloning = _listed(repr(name) for name, engine in self._pool.ready.items() if engine.info.capabilities.clones)
        return Unsupported(
            f"model {info.name!r} clones no voice: leave ref_audio out, or choose "
            + (cloning or "a Base checkpoint of Qwen3-TTS, of which none is loaded here"),
            field="ref_audio",
        )

    def _language(self, request: SpeechRequest) -> tuple[str, bool]:
        if request.language is not None:
            return request.language, True
        found = self._detector.detect(request.text[:SAMPLE_CHARS])
        return found.language, found.confident

    async def _first_that_can(self, request: SpeechRequest, language: str, sure: bool) -> Route:
        asked: list[EngineInfo] = []
        problems: list[VivavoceError] = []
        nearly: Route | None = None
        # The default model first: only a recording may have been passed on by it.
        for name in sorted(self._pool.names, key=lambda name: name != self._default_model):
            try:
                engine = await self._pool.get(name)
            except (EngineFault, MissingDependency) as problem:
                problems.append(problem)
                continue
            if (lack := self._lack(engine.info, request)) is not None:
                problems.append(lack)
                continue
            asked.append(engine.info)
            route = _route(engine, request, language, sure)
            if route is not None and not _stands_for_any(route):
                return route
            nearly = nearly or route
        if nearly is not None:
            return nearly
        if not asked:
            raise problems[0]
        raise _refusal(asked, request, language, problems)


def _lack(info: EngineInfo, request: SpeechRequest) -> BadRequest | None:
    """The refusal of a request that has not what this model cannot speak without; `None` if it has."""
    match info.capabilities.needs:
        case "instruct" if not request.instruct:
            return BadRequest(
                f"model {info.name!r} makes its voice from a description: say in instruct who speaks, and how",
                field="instruct",
            )
        case "reference" if request.reference is None:
            return BadRequest(
                f"model {info.name!r} speaks with the voice of a recording: send one in ref_audio and what is said in "
                "it in ref_text, or choose a model with voices of its own",
                field="ref_audio",
            )
    return None


def _stands_for_any(route: Route) -> bool:
    """Whether every name would have been this voice: a model with a choice of voices then honours the name better."""
    return route.speaker != route.voice.id.lower() and len(route.engine.info.voices) == 1


def _route(engine: Engine, request: SpeechRequest, language: str, sure: bool) -> Route | None:
    """How this engine would answer, `None` if it cannot."""
    info = engine.info
    if language not in info.languages:
        if sure:
            return None
        language = info.languages[0]
    found = find_voice(info, request.speaker, language)
    if found is None or not _readable(request, language):
        return None
    voice, speaker = found
    return Route(engine, voice, speaker, language)


def _readable(request: SpeechRequest, language: str) -> bool:
    return speakable_share(request.text[:SAMPLE_CHARS], language) >= 0.5


def _refusal(
    infos: Sequence[EngineInfo], request: SpeechRequest, language: str, problems: Sequence[VivavoceError] = ()
) -> BadRequest:
    """Why none of these models can say `request`, with what they offer together, and what is missing here."""
    missing = "".join(f". Not available here: {problem.message}" for problem in problems)
    models = " and ".join(repr(info.name) for info in infos)
    knowing = [info for info in infos if find_voice(info, request.speaker, language) is not None]
    if not knowing:
        names = _listed(voice.id for info in infos for voice in info.voices if voice.listed)
        message = f"speaker {request.speaker!r} is unknown to {models}; choose one of {names}"
        return UnknownVoice(message + missing, field="speaker")
    spoken = _listed(language_name(code) for info in knowing for code in info.languages)
    by = "by " + " and ".join(repr(info.name) for info in knowing)
    if request.speaker is not None:
        by = f"with speaker {request.speaker!r} {by}"
    if any(language in info.languages for info in knowing):
        named = "" if request.language is None else f" as {language_name(language)}"
        message = f"the text is in a script that cannot be read{named} {by}; these are spoken there: {spoken}"
        return Unsupported(message + missing, field="text")
    seems = "" if request.language else ", which the text seems to be in,"
    message = f"language {language_name(language)!r}{seems} is not spoken {by}; choose one of {spoken}"
    return Unsupported(message + missing, field="language")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def find_voice(info: EngineInfo, speaker: str | None, language: str) -> tuple[Voice, str] | None:
    """The model's voice for a speaker's name (any case), or for none, and the name to call it by; `None` if unknown.

    An alias that stands for a voice of another language becomes a voice native to `language` of the same gender,
    where the model has one: the names of OpenAI's voices say nothing of a language.
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
    return next((voice for voice in native if voice.id == chosen), next(iter(native or info.voices)))
