"""What clients may send and what they get back, as pydantic models; defaults of a request are
filled in here alone.

The native surface refuses fields it does not know, the OpenAI surface ignores them, as its clients
expect.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)

from vivavoce.api.request_log import RequestRecord
from vivavoce.errors import BadRequest
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.text.languages import parse_language
from vivavoce.types import (
    MAX_INSTRUCT_CHARS,
    MAX_REFERENCE_CHARS,
    AudioFormat,
    EngineInfo,
    FinishReason,
    Priority,
    SamplingOptions,
    SpeechRequest,
    StopReason,
    Task,
)

NOT_EMPTY: dict[str, JsonValue] = {
    "minLength": 1
}  # described alone: the synthesizer refuses more than that
EVENTS_TYPE = "text/event-stream"


def _not_boolean(value: object) -> object:
    """`value`, for a number: pydantic would take `true` for 1, which nobody means."""
    if isinstance(value, bool):
        raise ValueError("it should be a number")
    return value


Number = BeforeValidator(_not_boolean)
Flag = Annotated[
    bool,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {
                    "enum": [
                        0,
                        1,
                        "0",
                        "1",
                        "false",
                        "true",
                        "off",
                        "on",
                        "no",
                        "yes",
                        "n",
                        "y",
                        "f",
                        "t",
                    ]
                },
            ]
        }
    ),
]
Speed = Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False), Number]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), Number]
SampleRate = Annotated[int, Field(ge=8_000, le=48_000), Number]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NAME_CHARS)]
Instruct = Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)]
ReferenceText = Annotated[str, StringConstraints(max_length=MAX_REFERENCE_CHARS)]
Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False), Number]
TopK = Annotated[int, Field(ge=0, le=2**31 - 1), Number]
TopP = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), Number]
Timeout = Annotated[float, Field(ge=0.001, le=86_400, allow_inf_nan=False), Number]


def _lower_case(value: object) -> object:
    """Return a name in lower case, and None for an empty one."""
    return value.strip().lower() or None if isinstance(value, str) else value


FormatName = Annotated[
    AudioFormat | None,
    BeforeValidator(_lower_case),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [*get_args(AudioFormat), ""]}, {"type": "null"}]}
    ),
]
Penalty = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False), Number]


class SamplingFields(BaseModel):
    """How a language model draws its codes, under the names of Qwen3-TTS's own settings; part of both bodies."""

    do_sample: Flag | None = Field(None, description="False takes the likeliest code always.")
    temperature: Temperature | None = Field(
        None, description="Above 1 is wilder; 0 is `do_sample: false`."
    )
    top_k: TopK | None = Field(None, description="Draw among that many likeliest codes; 0 is all.")
    top_p: TopP | None = Field(
        None, description="Draw among the likeliest codes of this probability together."
    )
    repetition_penalty: Penalty | None = Field(
        None, description="Above 1 keeps codes from coming again."
    )
    subtalker_dosample: Flag | None = Field(
        None, description="As `do_sample`, for the codes that fill a frame."
    )
    subtalker_temperature: Temperature | None = Field(
        None, description="As `temperature`, likewise."
    )
    subtalker_top_k: TopK | None = Field(None, description="As `top_k`, likewise.")
    subtalker_top_p: TopP | None = Field(None, description="As `top_p`, likewise.")
    max_new_tokens: Annotated[int, Field(ge=1, le=2**31 - 1), Number] | None = Field(
        None,
        description="Frames of 80 ms after which a piece of the text, a sentence or so, is cut.",
    )

    def sampling(self) -> SamplingOptions:
        return SamplingOptions(
            **{name: getattr(self, name) for name in SamplingFields.model_fields}
        )


class TurnFields(BaseModel):
    """When the request's turn comes, and how long it may take; part of both bodies."""

    priority: Priority | None = Field(
        None, description="`batch` gives way to `interactive`, up to ten seconds."
    )
    timeout_s: Timeout | None = Field(
        None, description="Seconds after which nobody wants the audio any more."
    )


class ReferenceFields(BaseModel):
    """A recording whose voice to speak with, under the names of Qwen3-TTS; part of both bodies."""

    ref_audio: str | None = Field(
        None, description="A recording to clone, in base64 or as a `data:` URL."
    )
    ref_text: ReferenceText | None = Field(
        None, description="What is said in `ref_audio`, word for word."
    )
    x_vector_only: Flag | None = Field(
        None,
        validation_alias=AliasChoices("x_vector_only", "x_vector_only_mode"),
        description="True takes from `ref_audio` only who speaks, not how; so does leaving `ref_text` out.",
    )


class SynthesizeQuery(SamplingFields, TurnFields):
    """The query of `GET /v1/tts/synthesize`."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        description="What to say: plain text or markdown; at least one word.",
        examples=["Hello, world."],
        json_schema_extra=NOT_EMPTY,
    )
    speaker: Name | None = Field(
        None, description="A name from `GET /v1/tts/speakers`; the model chooses without one."
    )
    language: Name | None = Field(
        None, description="English name or ISO 639 code; `auto` or nothing detects it."
    )
    instruct: Instruct | None = Field(
        None, description="How to say it, for models that follow instructions."
    )
    model: Name | None = Field(None, description="A name from `GET /v1/models`, or `auto`.")
    task: Task | None = Field(None, description="Only a Qwen3-TTS model that was trained for this.")
    format: FormatName = Field(None, description="Audio format, in any case; `wav` without one.")
    sample_rate: SampleRate | None = Field(
        None, description="Samples per second; the model's own without one."
    )
    speed: Speed | None = Field(None, description="1.0 is the voice's own pace; the pitch is kept.")
    seed: Seed | None = Field(
        None, description="The same seed gives the same speech, where the model can."
    )
    stream: Flag | None = Field(
        None, description="Send audio as it is made, in chunks, instead of one exact file."
    )

    def to_request(self) -> SpeechRequest:
        """Raise `BadRequest` for an unknown language."""
        return SpeechRequest(
            text=self.text,
            model=self.model or "auto",
            task=self.task,
            speaker=self.speaker or None,
            language=parse_language(self.language) if self.language else None,
            instruct=self.instruct or None,
            speed=1.0 if self.speed is None else self.speed,
            seed=self.seed,
            sampling=self.sampling(),
            format=self.format or "wav",
            sample_rate_hz=self.sample_rate,
            priority=self.priority or "interactive",
            timeout_s=self.timeout_s,
        )


class SynthesizeBody(SynthesizeQuery, ReferenceFields):
    """`POST /v1/tts/synthesize`: the fields of the query, and a recording to clone."""

    def to_request(self) -> SpeechRequest:
        """Raise `BadRequest` for an unknown language, or a speaker beside a recording."""
        if self.ref_audio is not None and self.speaker:
            raise BadRequest(
                f"speaker {self.speaker!r} is one voice and ref_audio another: leave one of them out",
                field="speaker",
            )
        return super().to_request()


# The spelling of other servers of Qwen3-TTS.
TASK_TYPES: Mapping[str, Task] = {
    "CustomVoice": "custom_voice",
    "VoiceDesign": "voice_design",
    "Base": "base",
}
TaskType = Annotated[
    Task,
    BeforeValidator(
        lambda value: TASK_TYPES.get(value, value) if isinstance(value, str) else value
    ),
]


class VoiceId(BaseModel):
    """The object form of a voice: {"id": "alloy"}."""

    id: Name


class SpeechBody(SamplingFields, TurnFields, ReferenceFields):
    """`POST /v1/audio/speech`, as OpenAI documents it.

    Besides there are `language`, `seed`, `sample_rate`, `task_type`, sampling, turns, and a
    recording to clone. OpenAI's SDKs cannot leave `voice` out, so beside a recording it counts for
    nothing instead of being refused.
    """

    model_config = ConfigDict(extra="ignore")

    input: str = Field(
        description="What to say; at least one word.",
        examples=["Hello, world."],
        json_schema_extra=NOT_EMPTY,
    )
    model: Name | None = Field(
        None, description="A name from `GET /v1/models`, or `tts-1` and its like."
    )
    voice: Name | VoiceId | None = Field(
        None,
        description="A voice's name, or an object with its `id`; the model chooses without one.",
    )
    instructions: Instruct | None = Field(
        None, description="How to say it, for models that follow instructions."
    )
    response_format: FormatName = Field(
        None, description="Audio format, in any case; `mp3` without one."
    )
    speed: Speed | None = Field(None, description="1.0 is the voice's own pace; the pitch is kept.")
    task_type: TaskType | None = Field(
        None,
        description="`CustomVoice`, `VoiceDesign` or `Base`: only a Qwen3-TTS model that was trained for this.",
    )
    stream_format: Literal["audio", "sse"] | None = Field(
        None, description="Raw audio, or server-sent events."
    )
    language: Name | None = Field(
        None, description="English name or ISO 639 code; detected without one."
    )
    seed: Seed | None = Field(
        None, description="The same seed gives the same speech, where the model can."
    )
    sample_rate: SampleRate | None = Field(
        None, description="Samples per second; the model's own without one."
    )

    def to_request(self) -> SpeechRequest:
        """Raise `BadRequest` for an unknown language."""
        voice = self.voice.id if isinstance(self.voice, VoiceId) else self.voice
        return SpeechRequest(
            text=self.input,
            model=self.model or "auto",
            task=self.task_type,
            speaker=voice or None,
            language=parse_language(self.language) if self.language else None,
            instruct=self.instructions or None,
            speed=1.0 if self.speed is None else self.speed,
            seed=self.seed,
            sampling=self.sampling(),
            format=self.response_format or "mp3",
            sample_rate_hz=self.sample_rate,
            priority=self.priority or "interactive",
            timeout_s=self.timeout_s,
        )


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
