"""Validate the bodies and queries of requests, and turn them into `SpeechRequest`s.

- Defaults of a request are filled in by `to_request` alone.
- The native API refuses unknown fields. The OpenAI API ignores them, as its clients expect.
"""

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

from vivavoce.errors import BadRequest
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.text.languages import parse_language
from vivavoce.types import (
    MAX_INSTRUCT_CHARS,
    MAX_REFERENCE_CHARS,
    AudioFormat,
    Priority,
    SamplingOptions,
    SpeechRequest,
    Task,
)

# Only a description: the synthesizer also refuses texts without a word.
NOT_EMPTY: dict[str, JsonValue] = {"minLength": 1}


def _not_boolean(value: object) -> object:
    """Reject a boolean as a number: pydantic would read `true` as 1."""
    if isinstance(value, bool):
        raise ValueError("it should be a number")
    return value


def optional(description: str, **more: Any) -> Any:
    """Return a field that may be left out, or null. Any: as pydantic's own function."""
    return Field(None, description=description, **more)


def text_field(description: str) -> Any:
    """Return the field of the text. Any: as pydantic's own function."""
    return Field(description=description, examples=["Hello, world."], json_schema_extra=NOT_EMPTY)


Number = BeforeValidator(_not_boolean)
# The values that pydantic reads as a boolean.
FLAGS = [0, 1, "0", "1", "false", "true", "off", "on", "no", "yes", "n", "y", "f", "t"]
Flag = Annotated[bool, WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": FLAGS}]})]
Speed = Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False), Number]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), Number]
SampleRate = Annotated[int, Field(ge=8_000, le=48_000), Number]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NAME_CHARS)]
Instruct = Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)]
ReferenceText = Annotated[str, StringConstraints(max_length=MAX_REFERENCE_CHARS)]
Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False), Number]
TopK = Annotated[int, Field(ge=0, le=2**31 - 1), Number]
TopP = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), Number]
Penalty = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False), Number]
Timeout = Annotated[float, Field(ge=0.001, le=86_400, allow_inf_nan=False), Number]


def _lower_case(value: object) -> object:
    """Return a name in lower case, or None if it is empty."""
    return value.strip().lower() or None if isinstance(value, str) else value


FORMATS: dict[str, JsonValue] = {"type": "string", "enum": [*get_args(AudioFormat), ""]}
FormatName = Annotated[
    AudioFormat | None,
    BeforeValidator(_lower_case),
    WithJsonSchema({"anyOf": [FORMATS, {"type": "null"}]}),
]


class SamplingFields(BaseModel):
    """Sampling settings of a language model, under the names of Qwen3-TTS, for both APIs."""

    do_sample: Flag | None = optional("False always takes the most likely code.")
    temperature: Temperature | None = optional(
        "Higher values increase variation; 0 is `do_sample: false`."
    )
    top_k: TopK | None = optional("Sample from this many of the most likely codes; 0 is all.")
    top_p: TopP | None = optional("Sample from the most likely codes with this total probability.")
    repetition_penalty: Penalty | None = optional("Values above 1 make repeated codes less likely.")
    subtalker_dosample: Flag | None = optional("Same as `do_sample`, for the code predictor.")
    subtalker_temperature: Temperature | None = optional(
        "Same as `temperature`, for the code predictor."
    )
    subtalker_top_k: TopK | None = optional("Same as `top_k`, for the code predictor.")
    subtalker_top_p: TopP | None = optional("Same as `top_p`, for the code predictor.")
    max_new_tokens: Annotated[int, Field(ge=1, le=2**31 - 1), Number] | None = optional(
        "Frames of 80 ms after which a segment of the text is cut."
    )

    def sampling(self) -> SamplingOptions:
        """Return these fields as `SamplingOptions`."""
        values = {name: getattr(self, name) for name in SamplingFields.model_fields}
        return SamplingOptions(**values)


class ReferenceFields(BaseModel):
    """A recording of the voice to clone, under the names of Qwen3-TTS, for both APIs."""

    ref_audio: str | None = optional("A recording to clone, in base64 or as a `data:` URL.")
    ref_text: ReferenceText | None = optional("The exact words that are spoken in `ref_audio`.")
    x_vector_only: Flag | None = optional(
        "True copies the voice of `ref_audio`, but not its manner of speaking. Without `ref_text` "
        "this is always so.",
        validation_alias=AliasChoices("x_vector_only", "x_vector_only_mode"),
    )


class SpeechFields(SamplingFields):
    """The fields of a request for speech that have the same name in both APIs."""

    priority: Priority | None = optional(
        "`batch` is served after `interactive`, by up to ten seconds."
    )
    timeout_s: Timeout | None = optional("Seconds after which the request fails with 504.")
    model: Name | None = optional(
        "A name from `GET /v1/models`, which includes `auto` and aliases."
    )
    language: Name | None = optional(
        "English name or ISO 639 code; detected by default or with `auto`."
    )
    speed: Speed | None = optional("1.0 is the voice's own pace. The pitch is kept.")
    seed: Seed | None = optional("The same seed gives the same speech, if the model supports it.")
    sample_rate: SampleRate | None = optional("Samples per second; by default the model's own.")

    def request(self, text: str, **others: Any) -> SpeechRequest:
        """Return the request, with defaults and `others`. Raises `BadRequest` for a language."""
        return SpeechRequest(
            text=text,
            model=self.model or "auto",
            language=parse_language(self.language) if self.language else None,
            speed=1.0 if self.speed is None else self.speed,
            seed=self.seed,
            sampling=self.sampling(),
            sample_rate_hz=self.sample_rate,
            priority=self.priority or "interactive",
            timeout_s=self.timeout_s,
            **others,
        )


class SynthesizeQuery(SpeechFields):
    """The query of `GET /v1/tts/synthesize`."""

    model_config = ConfigDict(extra="forbid")

    text: str = text_field("The text to speak: plain or markdown, at least one word.")
    speaker: Name | None = optional(
        "A name from `GET /v1/tts/speakers`; by default the model chooses."
    )
    instruct: Instruct | None = optional(
        "The manner of speaking, for models that follow instructions."
    )
    task: Task | None = optional("Use only a Qwen3-TTS model that was trained for this task.")
    format: FormatName = optional("Audio format in upper or lower case; by default `wav`.")
    stream: Flag | None = optional("Send audio in chunks as it is made, instead of one exact file.")

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        speaker, instruct = self.speaker or None, self.instruct or None
        names = {"task": self.task, "speaker": speaker, "instruct": instruct}
        return self.request(self.text, **names, format=self.format or "wav")


class SynthesizeBody(SynthesizeQuery, ReferenceFields):
    """The body of `POST /v1/tts/synthesize`: the fields of the query, and a recording."""

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults.

        Raises `BadRequest` for an unknown language, or a speaker beside a recording.
        """
        if self.ref_audio is not None and self.speaker:
            problem = f"speaker {self.speaker!r} is one voice and ref_audio another: leave one out"
            raise BadRequest(problem, field="speaker")
        return super().to_request()


# The names that other servers of Qwen3-TTS use.
TASK_TYPES = {"CustomVoice": "custom_voice", "VoiceDesign": "voice_design", "Base": "base"}


def _task(value: object) -> object:
    return TASK_TYPES.get(value, value) if isinstance(value, str) else value


TaskType = Annotated[Task, BeforeValidator(_task)]


class VoiceId(BaseModel):
    """The object form of a voice: {"id": "alloy"}."""

    id: Name


class SpeechBody(SpeechFields, ReferenceFields):
    """The body of `POST /v1/audio/speech`: OpenAI's fields and our own.

    OpenAI's SDKs cannot leave `voice` out, so beside a recording it is ignored and not refused.
    """

    model_config = ConfigDict(extra="ignore")

    input: str = text_field("The text to speak, at least one word.")
    voice: Name | VoiceId | None = optional(
        "A voice's name, or an object with its `id`; by default the model chooses."
    )
    instructions: Instruct | None = optional(
        "The manner of speaking, for models that follow instructions."
    )
    response_format: FormatName = optional("Audio format in upper or lower case; by default `mp3`.")
    task_type: TaskType | None = optional(
        "Use only a Qwen3-TTS model that was trained for this task: `CustomVoice`, `VoiceDesign` "
        "or `Base`."
    )
    stream_format: Literal["audio", "sse"] | None = optional("Raw audio, or server-sent events.")

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        voice = self.voice.id if isinstance(self.voice, VoiceId) else self.voice
        instruct = self.instructions or None
        names = {"task": self.task_type, "speaker": voice or None, "instruct": instruct}
        return self.request(self.input, **names, format=self.response_format or "mp3")
