"""Chooses the model and the voice that answer a request; it knows what models say of themselves, not how they speak."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import get_args

from vivavoce.engines.base import Distant, Engine
from vivavoce.engines.pool import Pool
from vivavoce.engines.resident import Lease
from vivavoce.errors import (
    BadRequest,
    EngineFault,
    MissingDependency,
    NotReady,
    OutOfMemory,
    UnknownModel,
    UnknownVoice,
    Unsupported,
    VivavoceError,
)
from vivavoce.text.detect import Detector, speakable_share
from vivavoce.text.languages import language_name
from vivavoce.types import EngineInfo, SpeechRequest, Task, Voice

AUTO = "auto"
TASKS: Mapping[str, Task] = {task: task for task in get_args(Task)}  # as names of models: the first that does the task
PASSED_OVER = (EngineFault, MissingDependency, OutOfMemory)  # `auto` asks the next model
DEFAULT_ALIAS = "default"  # names no voice: it is left out of lists
SAMPLE_CHARS = 10_000  # of a text, to judge its language by
MODEL_ALIASES: Mapping[str, str] = {
    # The names that OpenAI's clients send when nobody chose one.
    "tts-1": AUTO,
    "tts-1-hd": AUTO,
    "gpt-4o-mini-tts": AUTO,
}


@dataclass(frozen=True, slots=True)
class Route:
    """Who speaks: `speaker` is the name to tell the caller, `voice` the model's own. Release `lease` in the end."""

    lease: Lease
    voice: Voice
    speaker: str
    language: str

    @property
    def engine(self) -> Engine:
        return self.lease.engine


@dataclass(frozen=True, slots=True)
class _Match:
    """How one model would answer."""

    info: EngineInfo
    voice: Voice
    speaker: str
    language: str

    @property
    def stands_for_any(self) -> bool:
        """Whether every name would have been this voice: a model with a choice of voices honours the name better."""
        return self.speaker != self.voice.id.lower() and len(self.info.voices) == 1


@dataclass(frozen=True, slots=True)
class _Wish:
    """Which model a request wants: one by `name`, or, with `AUTO`, the first that can, of those that do `task`."""

    name: str
    task: Task | None
    by_model: bool = False  # the task came as the name of a model


class Router:
    """Chooses among the models of `pool`; `default_model` answers requests that name none."""

    def __init__(self, pool: Pool, *, default_model: str = AUTO) -> None:
        self._pool = pool
        self._default_model = default_model
        self._detector = Detector(("en", "es", "fr", "it", "pt", "de", "zh", "ja", "ko", "ru"))

    def warm_up(self) -> None:
        """Loads what detects languages, about a second's work that the first request would wait for."""
        self._detector.detect("Which language is this sentence written in?")

    async def candidates(self, model: str | None) -> Sequence[EngineInfo]:
        """What the models say of themselves that `model` stands for, in order of preference."""
        wish = self._wish(model, None)
        if wish.name != AUTO:
            return [await self._pool.info(wish.name)]
        infos, problems = await self._infos()
        chosen = [info for info in infos if wish.task in (None, info.task)]
        if not chosen:
            raise _no_such_task(wish, infos, problems) if wish.task else problems[0]
        return chosen

    async def route(self, request: SpeechRequest) -> Route:
        """The engine, voice and language for `request`, whose text is already normalised; the engine is leased.

        Raises `UnknownModel`, `UnknownVoice`, `Unsupported` when nobody here can say this text as asked, and what
        `Pool.acquire` raises.
        """
        language, sure = self._language(request)
        if request.reference is not None:
            request = replace(request, speaker=None)  # beside a recording the name of a speaker counts for nothing
        wish = self._wish(request.model, request.task, cloning=request.reference is not None)
        if wish.name == AUTO:
            return await self._first_that_can(request, wish, language, sure)
        info = await self._pool.info(wish.name)
        if wish.task not in (None, info.task):
            raise _other_task(info, wish.task)
        if request.reference is not None and not info.capabilities.clones:
            raise _clones_nothing(info, (await self._infos())[0])
        if (lack := _lack(info, request)) is not None:
            raise lack
        match = _match(info, request, language, sure)
        if match is None:
            raise _refusal([info], request, language)
        return await self._leased(wish.name, match)

    def _wish(self, model: str | None, task: Task | None, *, cloning: bool = False) -> _Wish:
        asked = (model or AUTO).strip().lower()
        name = MODEL_ALIASES.get(asked, asked)
        if name in TASKS and name not in self._pool.names:
            if task not in (None, name):
                raise Unsupported(f"model {name!r} stands for a task, which is not {task!r}: name one", field="task")
            return _Wish(AUTO, TASKS[name], by_model=True)
        # A task that the default model does not have is another model's; so is a recording.
        return _Wish(self._default_model if name == AUTO and task is None and not cloning else name, task)

    def _language(self, request: SpeechRequest) -> tuple[str, bool]:
        if request.language is not None:
            return request.language, True
        found = self._detector.detect(request.text[:SAMPLE_CHARS])
        return found.language, found.confident

    async def _infos(self) -> tuple[list[EngineInfo], list[VivavoceError]]:
        """What all models say of themselves, and why others say nothing."""
        infos, problems = [], []
        for name in self._pool.names:
            try:
                infos.append(await self._pool.info(name))
            except VivavoceError as problem:
                problems.append(problem)
        return infos, problems

    async def _first_that_can(self, request: SpeechRequest, wish: _Wish, language: str, sure: bool) -> Route:
        asked: list[EngineInfo] = []
        others: list[EngineInfo] = []  # of another task
        problems: list[VivavoceError] = []
        nearly: list[tuple[str, _Match]] = []
        silent: list[NotReady] = []  # of those that could, and are being stopped or do not answer
        # The default model first: without a task it alone would have been asked.
        for name in sorted(self._pool.names, key=lambda name: name != self._default_model):
            try:
                info = await self._pool.info(name)
                if wish.task not in (None, info.task):
                    others.append(info)
                    continue
                if request.reference is not None and not info.capabilities.clones:
                    problems.append(_clones_nothing(info))
                    continue
                if (lack := _lack(info, request)) is not None:
                    problems.append(lack)
                    continue
                asked.append(info)
                match = _match(info, request, language, sure)
                if match is not None and match.stands_for_any:
                    nearly.append((name, match))
                elif match is not None:
                    return await self._answering(name, match)
            except NotReady as problem:
                silent.append(problem)
            except PASSED_OVER as problem:
                problems.append(problem)
        for name, match in nearly:
            try:
                return await self._answering(name, match)
            except NotReady as problem:
                silent.append(problem)
            except PASSED_OVER as problem:
                problems.append(problem)
        if silent:
            raise silent[0]
        if asked:
            raise _refusal(asked, request, language, problems)
        raise problems[0] if problems and not others else _no_such_task(wish, others, problems)

    async def _leased(self, name: str, match: _Match) -> Route:
        return Route(await self._pool.acquire(name), match.voice, match.speaker, match.language)

    async def _answering(self, name: str, match: _Match) -> Route:
        """As `_leased`; raises `NotReady` also where the model is elsewhere and nobody there answers."""
        route = await self._leased(name, match)
        with ExitStack() as undo:
            undo.callback(route.lease.release)
            if isinstance(route.engine, Distant):
                await route.engine.check()
            undo.pop_all()
        return route


def _other_task(info: EngineInfo, task: Task | None) -> Unsupported:
    does = f"does {info.task!r}" if info.task else "knows no tasks"
    return Unsupported(f"model {info.name!r} {does}, not {task!r}: leave 'model' or the task out", field="task")


def _no_such_task(wish: _Wish, others: Sequence[EngineInfo], problems: Sequence[VivavoceError]) -> VivavoceError:
    """The refusal of a task that no model here was trained for, with those that are offered."""
    offered = _listed(f"{info.task!r} by {info.name!r}" for info in others if info.task) or "none"
    message = f"no model here does {wish.task!r}; offered are: {offered}" + _unavailable(problems)
    if wish.by_model:
        return UnknownModel(message, field="model")
    return Unsupported(message, field="task")


def _clones_nothing(info: EngineInfo, offered: Sequence[EngineInfo] = ()) -> Unsupported:
    """The refusal of a recording by a model that has voices of its own alone, with those `offered` that clone."""
    cloning = _listed(repr(other.name) for other in offered if other.capabilities.clones)
    return Unsupported(
        f"model {info.name!r} clones no voice: leave ref_audio out, or choose "
        + (cloning or "a Base checkpoint of Qwen3-TTS, of which none is offered here"),
        field="ref_audio",
    )


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


def _match(info: EngineInfo, request: SpeechRequest, language: str, sure: bool) -> _Match | None:
    """How this model would answer, `None` if it cannot."""
    if language not in info.languages:
        if sure:
            return None
        language = info.languages[0]
    found = find_voice(info, request.speaker, language)
    if found is None or not _readable(request, language):
        return None
    voice, speaker = found
    return _Match(info, voice, speaker, language)


def _readable(request: SpeechRequest, language: str) -> bool:
    return speakable_share(request.text[:SAMPLE_CHARS], language) >= 0.5


def _refusal(
    infos: Sequence[EngineInfo], request: SpeechRequest, language: str, problems: Sequence[VivavoceError] = ()
) -> BadRequest:
    """Why none of these models can say `request`, with what they offer together, and what is missing here."""
    missing = _unavailable(problems)
    models = " and ".join(repr(info.name) for info in infos)
    knowing = [info for info in infos if find_voice(info, request.speaker, language) is not None]
    if not knowing:
        voices = [voice for info in infos for voice in info.voices]
        names = _listed(voice.id for voice in voices if voice.listed)
        more = sum(not voice.listed for voice in voices) + len(aliased_voices(infos))
        message = f"speaker {request.speaker!r} is unknown to {models}; choose one of {names}"
        message += f", or one of {more} more in GET /v1/audio/voices" if more else ""
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


def _unavailable(problems: Iterable[VivavoceError]) -> str:
    return "".join(f". Not available here: {problem.message}" for problem in problems)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


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
    """Return a display name for each voice: with its language, model or id where others share it."""
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
