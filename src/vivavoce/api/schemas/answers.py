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
        description="unloaded, loading, ready, unloading, missing or failed; `alias` for another "
        "name of a model."
    )
    detail: str = ""
    task: Task | None = Field(
        default=None, description="The task that a Qwen3-TTS model was trained for."
    )
    memory_bytes: int | None = Field(
        default=None, description="Memory of the model when it is loaded, if that is known."
    )
    max_batch: int | None = Field(
        default=None, description="Segments that the model speaks at once, while it is loaded here."
    )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class VoiceCard(BaseModel):
    """One entry of `GET /v1/audio/voices`."""

    id: str
    name: str = Field(description="A display name, unique in this list.")
    model: str
    languages: list[str]
    gender: str
    listed: bool
    description: str
    alias_of: str | None = Field(
        default=None, description="The `id` of the voice that this name stands for."
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
    """A remote server of one of the models."""

    url: str
    up: bool = Field(description="False after a recent failure: the server is used last.")
    speaking: int = Field(description="Segments that it is speaking for this server.")


class Health(BaseModel):
    status: Literal["ok", "loading", "failed", "draining"]
    model_loaded: bool
    models: dict[str, str]
    memory_bytes: int = Field(
        description="Total memory of the models that are loaded or being loaded."
    )
    max_memory_bytes: int | None = Field(
        description="Limit of their total memory; null is no limit."
    )
    folders: dict[str, str] = Field(
        description="For the `temporary`, `data` and `cache` folder `ok` or the problem."
    )
    peers: dict[str, list[PeerCard]] = Field(description="The servers of remote models.")
    version: str


class ModelInfos(BaseModel):
    """Descriptions of models, which other vivavoce servers read (`remote`)."""

    models: list[EngineInfo]


class RequestState(BaseModel):
    """The outcome of a request for speech. Unknown values are null."""

    id: str
    finish_reason: FinishReason | Literal["running"] = Field(
        default="running", description="`running` until it has ended."
    )
    ending: str | None = Field(
        default=None,
        description="The reason for a cut: `length`, `repetition`, `noise` or `silence`.",
    )
    error: str | None = Field(default=None, description="The code of the error, if it failed.")
    retries: int | None = Field(
        default=None,
        description="Segments of the text that were spoken again after a failure.",
    )
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    format: AudioFormat
    started: datetime = Field(description="The time of its arrival, in UTC.")
    queue_s: float | None = Field(default=None, description="Seconds until the model started it.")
    first_audio_s: float | None = Field(default=None, description="Seconds until its first audio.")
    audio_s: float | None = Field(default=None, description="Seconds of audio.")
    seconds: float | None = Field(default=None, description="Seconds from its arrival to its end.")

    @classmethod
    def of(cls, record: RequestRecord) -> "RequestState":
        """Return the state of `record`."""
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
    message: str = Field(description="The problem and the next step, for people.")
    field: str | None = Field(description="The field of the request that causes the error, if any.")
    request_id: str


class NativeError(BaseModel):
    """An error of the native API."""

    error: NativeErrorDetail


class OpenAIErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """An error of the OpenAI API, in the format of its SDKs."""

    error: OpenAIErrorDetail


def audio_answers(
    *media_types: str, error: type[BaseModel] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the description of an endpoint's audio, for FastAPI's `responses=`.

    With `error`, the model of its errors, it includes the 504 for `timeout_s`.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    # Events have no schema: in OpenAPI 3.1 it would describe all of them together.
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


# For FastAPI's `responses=`: its values are plain dictionaries, hence `Any`.
NATIVE_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": NativeError} for status in ("4XX", "5XX")
}
OPENAI_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError} for status in ("4XX", "5XX")
}
