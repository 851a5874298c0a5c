"""Describe the bodies of answers, for clients and for the OpenAPI description."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from vivavoce.api.request_log import RequestRecord
from vivavoce.types import AudioFormat, EngineInfo, FinishReason, StopReason, Task

EVENTS_TYPE: Final = "text/event-stream"


class ModelCard(BaseModel):
    """One entry of `GET /v1/models`."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "vivavoce"
    state: str = Field(
        description="unloaded, loading, ready, unloading, missing or failed; `alias` for another name of a model."
    )
    detail: str = ""
    task: Task | None = Field(default=None, description="What a Qwen3-TTS model was trained for.")
    memory_bytes: int | None = Field(
        default=None, description="What it takes or would take, where that is counted."
    )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class VoiceCard(BaseModel):
    """One entry of `GET /v1/audio/voices`."""

    id: str
    name: str = Field(description="For people; no two entries have the same.")
    model: str
    languages: list[str]
    gender: str
    listed: bool
    description: str
    alias_of: str | None = Field(
        default=None, description="The `id` of the voice that this is another name of."
    )


class VoiceList(BaseModel):
    voices: list[VoiceCard]


class AudioModel(BaseModel):
    id: str


class AudioModelList(BaseModel):
    models: list[AudioModel]


class Speakers(BaseModel):
    speakers: list[str]


class Languages(BaseModel):
    languages: list[str]


class PeerCard(BaseModel):
    """A server that speaks for one of our models."""

    url: str
    up: bool = Field(description="False for one that failed of late, which is asked last.")
    speaking: int = Field(description="Segments that it speaks for us now.")


class Health(BaseModel):
    status: Literal["ok", "loading", "failed", "draining"]
    model_loaded: bool
    models: dict[str, str]
    memory_bytes: int = Field(
        description="What the models that are loaded or being loaded take together."
    )
    max_memory_bytes: int | None = Field(description="What they may take together; null: no limit.")
    folders: dict[str, str] = Field(
        description="`ok`, or what is wrong: the `temporary`, `data` and `cache` folder."
    )
    peers: dict[str, list[PeerCard]] = Field(
        description="The servers behind models that are elsewhere."
    )
    version: str


class ModelInfos(BaseModel):
    """What models say of themselves; another vivavoce reads it to offer them (`remote`)."""

    models: list[EngineInfo]


class RequestState(BaseModel):
    """How a request for speech goes, or went. What is not known yet is null."""

    id: str
    finish_reason: FinishReason | Literal["running"] = Field(
        default="running", description="`running` until it has ended."
    )
    ending: str | None = Field(
        default=None, description="Why it was cut: `length`, `repetition`, `noise` or `silence`."
    )
    error: str | None = Field(
        default=None, description="The code of the error that it failed with."
    )
    retries: int | None = Field(
        default=None,
        description="Pieces of the text that were spoken once more, as they had failed.",
    )
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    format: AudioFormat
    started: datetime = Field(description="When it came, in UTC.")
    queue_s: float | None = Field(
        default=None, description="Seconds until the model began with it."
    )
    first_audio_s: float | None = Field(
        default=None, description="Seconds until its first audio was there."
    )
    audio_s: float | None = Field(default=None, description="Seconds of audio.")
    seconds: float | None = Field(default=None, description="From its beginning to its end.")

    @classmethod
    def of(cls, record: RequestRecord) -> "RequestState":
        state = cls(
            id=record.request_id,
            model=record.model,
            voice=record.voice,
            language=record.language,
            format=record.format,
            started=record.started,
        )
        if (report := record.report) is not None:
            state.finish_reason = report.finish_reason
            state.ending = None if report.ending is StopReason.COMPLETE else report.ending.value
            state.error = report.error
            state.retries = report.retries
            state.queue_s = _rounded(report.waited_s)
            state.first_audio_s = (
                None if report.first_s is None else _rounded(report.first_s - report.started_s)
            )
            state.audio_s = _rounded(report.audio_s)
            state.seconds = _rounded(report.ended_s - report.started_s)
        return state


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


class NativeErrorDetail(BaseModel):
    code: str = Field(
        description="Stable, for programs: `invalid_request`, `voice_not_found`, `overloaded`, …"
    )
    message: str = Field(description="What is wrong and what to do next, for people.")
    field: str | None = Field(description="The request's field to change, if it is one.")
    request_id: str


class NativeError(BaseModel):
    """Every error of the native surface."""

    error: NativeErrorDetail


class OpenAIErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """Every error of the OpenAI surface, as its SDKs read it."""

    error: OpenAIErrorDetail


def audio_answers(
    *media_types: str, error: type[BaseModel] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return what an endpoint documents of its audio, for FastAPI's `responses=`.

    With `error`, the model of its errors, also the 504 of a `timeout_s` that was too short.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    # Events have no schema: of OpenAPI 3.1 it would be that of all of them together.
    content = {
        media_type: {} if media_type == EVENTS_TYPE else binary for media_type in media_types
    }
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": content, "description": "The audio."}
    }
    if error is not None:
        answers[504] = {
            "model": error,
            "description": "The speech was not complete within `timeout_s`.",
        }
    return answers


# For FastAPI's `responses=`, whose values are plain dictionaries, hence `Any`.
NATIVE_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": NativeError} for status in ("4XX", "5XX")
}
OPENAI_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError} for status in ("4XX", "5XX")
}
