"""Match each request with the models that can answer it.

It knows what models declare about themselves (`EngineInfo`), and not how they speak.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar, get_args

from vivavoce.errors import MissingDependency, OutOfMemory, Unsupported, VivavoceError
from vivavoce.serving.base import Engine
from vivavoce.serving.model_errors import RETRY_AFTER_S
from vivavoce.serving.pool import Pool
from vivavoce.serving.pool_entry import Lease
from vivavoce.synthesis.routing.errors import (
    Rejections,
    clones_nothing,
    missing_input,
    no_match,
    no_such_task,
    other_task,
)
from vivavoce.synthesis.routing.voices import find_voice
from vivavoce.text.language.detect import detect, detect_script, speakable_share
from vivavoce.text.language.names import LANGUAGES, scripts_read
from vivavoce.text.numbers.verbalize import LANGUAGES as READ_LANGUAGES
from vivavoce.text.numbers.verbalize import read
from vivavoce.text.tracked import Tracked
from vivavoce.types import EngineInfo, SpeechRequest, Task, Voice
from vivavoce.voices.formula import is_formula

T = TypeVar("T")
_Lessor: TypeAlias = "Callable[[str, Match], Awaitable[T]]"

AUTO = "auto"
# The name of a task also stands for a model: the first one that was trained for it.
TASKS: Mapping[str, Task] = {task: task for task in get_args(Task)}
SAMPLE_CHARS = 10_000  # the part of a text that its language is detected from
MODEL_ALIASES: Mapping[str, str] = {
    # OpenAI's clients send these names by default.
    "tts-1": AUTO,
    "tts-1-hd": AUTO,
    "gpt-4o-mini-tts": AUTO,
}
# Stands for models that are not described yet.
ANY = EngineInfo(
    name=AUTO, sample_rate_hz=0, languages=tuple(each.code for each in LANGUAGES), voices=()
)


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to "who speaks?". Release `lease` at the end.

    `speaker` is the name to report to the caller, `voice` the model's own.
    """

    lease: Lease
    voice: Voice
    speaker: str
    language: str

    @property
    def engine(self) -> Engine:
        return self.lease.engine

    @property
    def info(self) -> EngineInfo:
        return self.lease.engine.info


@dataclass(frozen=True, slots=True)
class Match:
    """A way for one model to answer."""

    info: EngineInfo
    voice: Voice
    speaker: str
    language: str

    @property
    def is_fallback(self) -> bool:
        """True if the model's only voice stands in for any name."""
        return self.speaker != self.voice.id.lower() and len(self.info.voices) == 1


@dataclass(frozen=True, slots=True)
class _ModelQuery:
    """The wanted model: a `name`, or `AUTO` for the first model that can, among those of `task`."""

    name: str
    task: Task | None
    by_model: bool = False  # the request gave the task as the name of a model


class Router:
    """Choose among the models of `pool`.

    `default_model` answers requests that name none. Doubtful text is in `default_language`.
    """

    def __init__(
        self, pool: Pool, *, default_model: str = AUTO, default_language: str = "en"
    ) -> None:
        self._pool = pool
        self._default_model = default_model
        self._default_language = default_language

    @property
    def default_model(self) -> str:
        """The model of requests that name none, or `AUTO`."""
        return self._default_model

    def warm_up(self) -> None:
        """Load what detects and reads languages: seconds that the first requests would wait for."""
        for language in READ_LANGUAGES:
            with suppress(MissingDependency):
                read(Tracked.of("1"), language)
        detect("Which language is this sentence written in?", ("en", "de"))

    async def forget_voice(self, file: Path) -> None:
        """Let every loaded model forget the saved recording `file`."""
        for engine in list(self._pool.ready.values()):
            await engine.forget_voice(file)

    async def candidates(self, model: str | None) -> Sequence[EngineInfo]:
        """Return the descriptions of the models that `model` stands for, in order of preference."""
        query = self._query(model, None)
        if query.name != AUTO:
            return [await self._pool.info(query.name)]
        infos, problems = await self._infos()
        chosen = [info for info in infos if query.task in (None, info.task)]
        if not chosen and query.task:
            raise no_such_task(query.task, infos, problems, by_model=query.by_model)
        if not chosen:
            raise problems[0]
        return chosen

    async def route(self, request: SpeechRequest) -> Route:
        """Choose for `request`, whose text is normalised, and lease the engine.

        Raises `UnknownModel`, `UnknownVoice`, `Unsupported` if no model here can speak this text as
        asked, and the errors of `Pool.acquire`.
        """
        return await self._choose(request, self._lease, self._lease_reachable)

    async def match(self, request: SpeechRequest) -> Match:
        """Choose as `route` does, but lease nothing. Raises the same errors but those of leases."""
        return await self._choose(request, _unleased, _unleased)

    async def _choose(
        self, request: SpeechRequest, lease: "_Lessor[T]", lease_reachable: "_Lessor[T]"
    ) -> T:
        """Return what `lease` makes of the model that is named, or `lease_reachable` of another."""
        if request.reference is not None:
            request = replace(request, speaker=None)  # the recording is the voice
        query = self._query(request.model, request.task, cloning=request.reference is not None)
        if query.name == AUTO:
            return await self._choose_auto(request, query, lease_reachable)
        info = await self._pool.info(query.name)
        if query.task not in (None, info.task):
            raise other_task(info, query.task)
        if request.reference is not None and not info.capabilities.clones:
            raise clones_nothing(info, (await self._infos())[0])
        if (error := missing_input(info, request)) is not None:
            raise error
        language, confident = self._language(request, [info])
        match = self._match(info, request, language, confident)
        if match is None:
            raise no_match([info], request, _written_in(request, language))
        return await lease(query.name, match)

    def _query(self, model: str | None, task: Task | None, *, cloning: bool = False) -> _ModelQuery:
        asked = (model or AUTO).strip().lower()
        name = MODEL_ALIASES.get(asked, asked)
        if name in TASKS and name not in self._pool.names:
            if task not in (None, name):
                raise Unsupported(
                    f"model {name!r} stands for a task, which is not {task!r}: name one",
                    field="task",
                )
            return _ModelQuery(AUTO, TASKS[name], by_model=True)
        # A request with a task or a recording may need another model than the default.
        use_default = name == AUTO and task is None and not cloning
        return _ModelQuery(self._default_model if use_default else name, task)

    def _language(self, request: SpeechRequest, infos: Sequence[EngineInfo]) -> tuple[str, bool]:
        """Return the language of the text, and whether that is certain.

        It is one that these models speak. The language of a named voice outweighs a guess, if it
        is written in Latin letters as the text is.
        """
        if request.language is not None:
            return request.language, True
        spoken = list(dict.fromkeys(code for info in infos for code in info.languages))
        text = request.text[:SAMPLE_CHARS]
        if (language := detect_script(text, spoken)) is not None:
            return language, True
        named = [voice for info in infos for voice in info.voices if _is_named(request, voice)]
        own = list(dict.fromkeys(code for voice in named for code in voice.languages))
        own = own if any(scripts_read(code) == ("latin",) for code in own) else []
        try:
            usual = self._usual_language(request)
            found = detect(text, own or spoken or [usual], usual)
        except MemoryError as error:
            raise OutOfMemory(
                "there was no memory to detect the language of the text; name it in language, "
                "or try again soon",
                retry_after_s=RETRY_AFTER_S,
            ) from error
        return found.language, found.confident

    def _usual_language(self, request: SpeechRequest) -> str:
        return request.likely_language or self._default_language

    async def infos(self) -> Sequence[EngineInfo]:
        """Return the descriptions of all models that have one."""
        return (await self._infos())[0]

    async def _infos(self) -> tuple[list[EngineInfo], list[VivavoceError]]:
        """Return the descriptions of all models, and the errors of those without one."""
        infos, problems = [], []
        for name in self._pool.names:
            try:
                infos.append(await self._pool.info(name))
            except VivavoceError as problem:
                problems.append(problem)
        return infos, problems

    async def _choose_auto(
        self, request: SpeechRequest, query: _ModelQuery, lease: "_Lessor[T]"
    ) -> T:
        rejections = Rejections()
        fallbacks: list[tuple[str, Match]] = []
        described = await self._pool.described()
        language, confident = self._language(request, described or [ANY])
        # 1. Take the first model that matches, the default model before the others. The loop is
        #    lazy: some models must be loaded before they describe themselves.
        for name in sorted(self._pool.names, key=lambda name: name != self._default_model):
            with rejections.collecting():
                info = await self._pool.info(name)
                if not rejections.admits(info, request, query.task):
                    continue
                if described or not _names_voice(request, info):
                    match = self._match(info, request, language, confident)
                else:
                    match = self._match(info, request, *self._language(request, [info]))
                if match is None:
                    rejections.unmatched.append(info)
                elif match.is_fallback:
                    fallbacks.append((name, match))
                else:
                    return await lease(name, match)
        # 2. Take a model that reads the text, if its language was but a guess.
        if request.language is None:
            guessed = self._language(request, rejections.unmatched)[0]
            found = [self._match(info, request, guessed, False) for info in rejections.unmatched]
            fallbacks = [(match.info.name, match) for match in found if match] + fallbacks
            fallbacks.sort(key=lambda fallback: fallback[1].is_fallback)
        # 3. Take a model whose only voice stands in for the name.
        for name, match in fallbacks:
            with rejections.collecting():
                return await lease(name, match)
        # 4. Explain why none of them can.
        raise rejections.error(
            request, _written_in(request, language), query.task, by_model=query.by_model
        )

    def _match(
        self, info: EngineInfo, request: SpeechRequest, language: str, confident: bool
    ) -> Match | None:
        """Return how this model would answer, or None if it cannot."""
        if language not in info.languages:
            if confident:
                return None
            usual = self._usual_language(request)
            language = usual if usual in info.languages else info.languages[0]
        found = find_voice(info, request.speaker, language)
        if found is None or speakable_share(request.text[:SAMPLE_CHARS], language) < 0.5:
            return None
        voice, speaker = found
        return Match(info, voice, speaker, language)

    async def _lease(self, name: str, match: Match) -> Route:
        return Route(await self._pool.acquire(name), match.voice, match.speaker, match.language)

    async def _lease_reachable(self, name: str, match: Match) -> Route:
        """Lease the engine. Raises `NotReady` if it is remote and no server of it answers."""
        route = await self._lease(name, match)
        with ExitStack() as undo:
            undo.callback(route.lease.release)
            await route.engine.check()
            undo.pop_all()
        return route


async def _unleased(_: str, match: Match) -> Match:
    return match


def _is_named(request: SpeechRequest, voice: Voice) -> bool:
    """True if the request names the voice, also in a formula."""
    name = (request.speaker or "").strip().lower()
    terms = re.split(r"[^a-z0-9_.]+", name) if is_formula(name) else ()
    return voice.id.lower() == name or voice.id.lower() in terms


def _names_voice(request: SpeechRequest, info: EngineInfo) -> bool:
    return any(_is_named(request, voice) for voice in info.voices)


def _written_in(request: SpeechRequest, language: str) -> str:
    """Return the language to name in an error, also if no model here speaks it."""
    if request.language is not None:
        return language
    return detect_script(request.text[:SAMPLE_CHARS], ANY.languages) or language
