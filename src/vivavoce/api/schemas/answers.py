"""Describe the bodies of answers, for clients and for the OpenAPI description."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field

from vivavoce.api.request_log import RequestRecord
from vivavoce.api.schemas.custom_voices import CustomVoice, UploadedVoice
from vivavoce.api.schemas.values import optional
from vivavoce.synthesis.synthesizer import ExplainedPart, Explanation
from vivavoce.types import (
    AudioFormat,
    EngineInfo,
    FinishReason,
    SpeechRequest,
    StopReason,
    Task,
    VoiceSegment,
)

# For FastAPI's `responses=`: its values are plain dictionaries, hence `Any`.
Answers: TypeAlias = dict[int | str, dict[str, Any]]
Rounded: TypeAlias = Annotated[float, AfterValidator(lambda seconds: round(seconds, 4))]
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
    task: Task | None = optional("The task that a Qwen3-TTS model was trained for.")
    memory_bytes: int | None = optional("Memory of the model when it is loaded, if that is known.")
    max_batch: int | None = optional(
        "Segments that the model speaks at once, while it is loaded here."
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
    alias_of: str | None = optional("The `id` of the voice that this name stands for.")


class VoiceList(BaseModel):
    """The voices, as Open WebUI reads them; the saved ones, in OpenAI's form and vLLM-Omni's."""

    voices: list[VoiceCard]
    object: Literal["list"] = "list"
    data: list[CustomVoice]
    first_id: str | None
    last_id: str | None
    has_more: Literal[False] = False
    uploaded_voices: list[UploadedVoice]


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
    memory_bytes: int = Field(description="Total memory of models that are loaded or being loaded.")
    max_memory_bytes: int | None = Field(description="Limit of that memory; null is no limit.")
    folders: dict[str, str] = Field(
        description="For the `temporary`, `data` and `cache` folder `ok` or the problem."
    )
    peers: dict[str, list[PeerCard]] = Field(description="The servers of remote models.")
    version: str


class ModelInfos(BaseModel):
    """Descriptions of models, which other vivavoce servers read (`remote`)."""

    models: list[EngineInfo]


class ExplainedWord(BaseModel):
    """One spoken word. `start` and `end` are offsets in the author's text, in code points."""

    spoken: str
    start: int
    end: int


class ExplainedSegment(BaseModel):
    """Text that the model says in one go."""

    text: str = Field(description="The part of the author's text.")
    spoken: str = Field(description="The words that the model is given for it.")
    language: str
    speaker: str
    pause_s: float = Field(description="Seconds of silence after it.")
    words: list[ExplainedWord]
    phonemes: list[tuple[int, int, str]] = Field(
        description="Sounds in IPA that are said for parts of `spoken`, with start and end there."
    )
    model: str
    input: int = Field(description="Index of the dialogue's input, 0 for a single text.")

    @classmethod
    def of(cls, part: ExplainedPart, text: str, language: str) -> "ExplainedSegment":
        """Return the description of one segment of `text`, which is in `language`."""
        segment = part.segment
        return cls(
            text=text[slice(*segment.written)],
            spoken=segment.text,
            language=segment.language or language,
            speaker=part.speaker,
            pause_s=segment.pause_s,
            words=[ExplainedWord(**asdict(word)) for word in segment.words],
            phonemes=list(segment.phonemes),
            model=part.model,
            input=part.input,
        )


class Explained(BaseModel):
    """The answer to what a request would say."""

    language: str = Field(description="ISO 639-1 code.")
    model: str
    speaker: str
    segments: list[ExplainedSegment]
    unspoken: list[str] = Field(description="Parts of the text that cannot be said.")
    ignored: list[str] = Field(description="Markup that means nothing here; its text is read.")

    @classmethod
    def of(cls, explanation: Explanation, request: SpeechRequest) -> "Explained":
        """Return the description of `explanation`, which is of `request`."""
        texts = [part.text for part in request.inputs] or [request.text]
        return cls(
            language=explanation.language,
            model=explanation.model,
            speaker=explanation.speaker,
            segments=[
                ExplainedSegment.of(part, texts[part.input], explanation.language)
                for part in explanation.segments
            ],
            unspoken=[lost for part in explanation.segments for lost in part.segment.unspoken],
            ignored=list(explanation.ignored),
        )


class VoiceStretch(BaseModel):
    """A stretch of the audio in one voice."""

    speaker: str
    start_s: Rounded
    end_s: Rounded
    input: int = Field(description="Index of the dialogue's input, 0 for a single text.")

    @classmethod
    def of(cls, stretch: VoiceSegment) -> "VoiceStretch":
        return cls(**asdict(stretch))


class RequestState(BaseModel):
    """The outcome of a request for speech. Unknown values are null."""

    id: str
    finish_reason: FinishReason | Literal["running"] = Field(
        default="running", description="`running` until it has ended."
    )
    ending: str | None = optional(
        "The reason for a cut: `length`, `repetition`, `noise` or `silence`."
    )
    error: str | None = optional("The code of the error, if it failed.")
    retries: int | None = optional("Segments of the text that were spoken again after a failure.")
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    format: AudioFormat
    started: datetime = Field(description="The time of its arrival, in UTC.")
    queue_s: Rounded | None = optional("Seconds until the model started it.")
    first_audio_s: Rounded | None = optional("Seconds until its first audio.")
    audio_s: Rounded | None = optional("Seconds of audio.")
    seconds: Rounded | None = optional("Seconds from its arrival to its end.")
    voice_segments: list[VoiceStretch] | None = optional("The voices of its audio, in order.")

    @classmethod
    def of(cls, record: RequestRecord) -> "RequestState":
        """Return the state of `record`."""
        names = ("model", "voice", "language", "format", "started")
        facts = {name: getattr(record, name) for name in names}
        if (report := record.report) is None:
            return cls(id=record.request_id, **facts)
        return cls(
            id=record.request_id,
            **facts,
            finish_reason=report.finish_reason,
            ending=None if report.ending is StopReason.COMPLETE else report.ending.value,
            error=report.error,
            retries=report.retries,
            queue_s=report.waited_s,
            first_audio_s=None if report.first_s is None else report.first_s - report.started_s,
            audio_s=report.audio_s,
            seconds=report.ended_s - report.started_s,
            voice_segments=[VoiceStretch.of(one) for one in report.voice_segments],
        )


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


def audio_answers(*media_types: str, error: type[BaseModel] | None = None) -> Answers:
    """Describe an endpoint's audio for `responses=`. With `error` (its model) also the 504."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    # Events have no schema: in OpenAPI 3.1 it would describe all of them together.
    content = {kind: {} if kind == EVENTS_TYPE else binary for kind in media_types}
    answers: Answers = {200: {"content": content, "description": "The audio."}}
    if error is not None:
        late = "The speech was not complete within `timeout_s`."
        answers[504] = {"model": error, "description": late}
    return answers


NATIVE_ERRORS: Answers = {status: {"model": NativeError} for status in ("4XX", "5XX")}
OPENAI_ERRORS: Answers = {status: {"model": OpenAIError} for status in ("4XX", "5XX")}
