"""Explain why no model can answer a request, with the choices that the caller has."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

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
from vivavoce.synthesis.routing.voices import aliased_voices, find_voice, formula_problem
from vivavoce.text.language.names import language_name
from vivavoce.types import EngineInfo, SpeechRequest, Task

PASSED_OVER = (EngineFault, MissingDependency, OutOfMemory)  # `auto` tries the next model


@dataclass(slots=True)
class Rejections:
    """The models that `auto` passed over, by reason."""

    unreachable: list[NotReady] = field(default_factory=list)
    unmatched: list[EngineInfo] = field(default_factory=list)  # by voice, language or script
    other_task: list[EngineInfo] = field(default_factory=list)
    problems: list[VivavoceError] = field(default_factory=list)

    @contextmanager
    def collecting(self) -> Generator[None]:
        """Record the errors that make `auto` try the next model."""
        try:
            yield
        except NotReady as error:
            self.unreachable.append(error)
        except PASSED_OVER as error:
            self.problems.append(error)

    def admits(self, info: EngineInfo, request: SpeechRequest, task: Task | None) -> bool:
        """True if the model does the task and gets all inputs that it needs. Records why not."""
        if task not in (None, info.task):
            self.other_task.append(info)
        elif request.reference is not None and not info.capabilities.clones:
            self.problems.append(clones_nothing(info))
        elif (error := missing_input(info, request)) is not None:
            self.problems.append(error)
        else:
            return True
        return False

    def error(
        self, request: SpeechRequest, language: str, task: Task | None, *, by_model: bool
    ) -> VivavoceError:
        """Return the error to raise when every model was passed over."""
        if self.unreachable:
            return self.unreachable[0]
        if self.unmatched:
            return no_match(self.unmatched, request, language, self.problems)
        if self.problems and not self.other_task:
            return self.problems[0]
        return no_such_task(task, self.other_task, self.problems, by_model=by_model)


def other_task(info: EngineInfo, task: Task | None) -> Unsupported:
    """Return the error for a named model that was trained for another task."""
    does = f"does {info.task!r}" if info.task else "knows no tasks"
    return Unsupported(
        f"model {info.name!r} {does}, not {task!r}: leave 'model' or the task out", field="task"
    )


def no_such_task(
    task: Task | None,
    others: Sequence[EngineInfo],
    problems: Sequence[VivavoceError],
    *,
    by_model: bool,
) -> VivavoceError:
    """Return the error for a task that no model does, with the offered tasks.

    `by_model` says that the request gave the task as the name of a model.
    """
    offered = _listed(f"{info.task!r} by {info.name!r}" for info in others if info.task) or "none"
    message = f"no model here does {task!r}; offered are: {offered}" + _unavailable(problems)
    if by_model:
        return UnknownModel(message, field="model")
    return Unsupported(message, field="task")


def clones_nothing(info: EngineInfo, offered: Sequence[EngineInfo] = ()) -> Unsupported:
    """Return the error for a recording sent to a model with fixed voices.

    Names the models among `offered` that clone.
    """
    cloning = _listed(repr(other.name) for other in offered if other.capabilities.clones)
    return Unsupported(
        f"model {info.name!r} clones no voice: leave ref_audio out, or choose "
        + (cloning or "a Base checkpoint of Qwen3-TTS, of which none is offered here"),
        field="ref_audio",
    )


def missing_input(info: EngineInfo, request: SpeechRequest) -> BadRequest | None:
    """Return the error for a missing required input, or None."""
    match info.capabilities.needs:
        case "instruct" if not request.instruct:
            return BadRequest(
                f"model {info.name!r} makes its voice from a description: "
                "describe in instruct who speaks, and how",
                field="instruct",
            )
        case "reference" if request.reference is None:
            return BadRequest(
                f"model {info.name!r} speaks with the voice of a recording: send one in ref_audio "
                "and its words in ref_text, or choose a model with voices of its own",
                field="ref_audio",
            )
    return None


def no_match(
    infos: Sequence[EngineInfo],
    request: SpeechRequest,
    language: str,
    problems: Sequence[VivavoceError] = (),
) -> BadRequest:
    """Return the error for a voice, language or script that none of these models has."""
    missing = _unavailable(problems)
    models = " and ".join(repr(info.name) for info in infos)
    knowing = [info for info in infos if find_voice(info, request.speaker, language) is not None]
    if not knowing:
        if (problem := formula_problem(request.speaker, infos)) is not None:
            return problem
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
        message = (
            f"the text is in a script that cannot be read{named} {by}; "
            f"these are spoken there: {spoken}"
        )
        return Unsupported(message + missing, field="text")
    seems = "" if request.language else ", which the text seems to be in,"
    message = (
        f"language {language_name(language)!r}{seems} is not spoken {by}; choose one of {spoken}"
    )
    return Unsupported(message + missing, field="language")


def _unavailable(problems: Iterable[VivavoceError]) -> str:
    return "".join(f". Not available here: {problem.message}" for problem in problems)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
