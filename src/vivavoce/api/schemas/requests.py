"""Validate the bodies and queries of requests, and turn them into `SpeechRequest`s.

- Defaults of a request are filled in by `to_request` alone.
- The native API refuses unknown fields. The OpenAI API ignores them, as its clients expect.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from vivavoce.api.schemas.texts import (
    MAX_INPUTS,
    DialogueInput,
    PronunciationFields,
    QueryRule,
    TextFields,
    rule_of,
)
from vivavoce.api.schemas.times import SubtitleFields, TimeFields
from vivavoce.api.schemas.values import (
    NOT_EMPTY,
    Flag,
    FormatName,
    Instruct,
    Name,
    Number,
    Penalty,
    ReferenceText,
    SampleRate,
    Seed,
    Speed,
    Temperature,
    Timeout,
    TopK,
    TopP,
    optional,
    text_field,
)
from vivavoce.errors import BadRequest
from vivavoce.synthesis.design import MAX_TEXT_CHARS
from vivavoce.text.language.names import parse_language
from vivavoce.text.lexicon import MAX_REQUEST_RULES, checked
from vivavoce.text.split import weighted_length
from vivavoce.types import (
    AudioFormat,
    Priority,
    Pronunciation,
    SamplingOptions,
    SpeechRequest,
    Task,
)


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
        return SamplingOptions(
            **{name: getattr(self, name) for name in SamplingFields.model_fields}
        )


class SchedulingFields(BaseModel):
    """Priority and time limit of a request, for both APIs."""

    priority: Priority | None = optional(
        "`batch` is served after `interactive`, by up to ten seconds."
    )
    timeout_s: Timeout | None = optional("Seconds after which the request fails with 504.")


class ReferenceFields(BaseModel):
    """A recording of the voice to clone, under the names of Qwen3-TTS, for both APIs."""

    ref_audio: str | None = optional("A recording to clone, in base64 or as a `data:` URL.")
    ref_text: ReferenceText | None = optional("The exact words that are spoken in `ref_audio`.")
    x_vector_only: Flag | None = Field(
        None,
        validation_alias=AliasChoices("x_vector_only", "x_vector_only_mode"),
        description="True copies the voice of `ref_audio`, but not its manner of speaking. "
        "Without `ref_text` this is always so.",
    )


class SpeechFields(TextFields, SamplingFields, SchedulingFields):
    """The fields that have the same names in both APIs."""

    language: Name | None = optional(
        "English name or ISO 639 code; detected by default or with `auto`."
    )
    model: Name | None = optional("A name from `GET /v1/models`, which lists `auto` and aliases.")
    sample_rate: SampleRate | None = optional("Samples per second; by default the model's own.")
    speed: Speed | None = optional("1.0 is the voice's own pace. The pitch is kept.")
    seed: Seed | None = optional("The same seed gives the same speech, if the model supports it.")

    def with_defaults(
        self,
        text: str,
        rules: tuple[Pronunciation, ...],
        *,
        task: Task | None,
        speaker: str | None,
        instruct: str | None,
        audio_format: AudioFormat,
    ) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        return SpeechRequest(
            text=text,
            model=self.model or "auto",
            task=task,
            speaker=speaker or None,
            language=parse_language(self.language) if self.language else None,
            instruct=instruct or None,
            input_type=self.input_type or "auto",
            normalize=bool(self.normalize),
            pronunciations=rules,
            speed=1.0 if self.speed is None else self.speed,
            seed=self.seed,
            sampling=self.sampling(),
            format=audio_format,
            sample_rate_hz=self.sample_rate,
            priority=self.priority or "interactive",
            timeout_s=self.timeout_s,
        )


class SynthesizeFields(SpeechFields):
    """The fields of `/v1/tts/synthesize`, besides its text."""

    model_config = ConfigDict(extra="forbid")

    speaker: Name | None = optional(
        "A name from `GET /v1/tts/speakers`; by default the model chooses."
    )
    instruct: Instruct | None = optional(
        "The manner of speaking, for models that follow instructions."
    )
    task: Task | None = optional("Use only a Qwen3-TTS model that was trained for this task.")
    format: FormatName = optional("Audio format in upper or lower case; by default `wav`.")
    stream: Flag | None = optional("Send audio in chunks as it is made, instead of one exact file.")

    def request_for(self, text: str, rules: tuple[Pronunciation, ...]) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        return self.with_defaults(
            text,
            rules,
            task=self.task,
            speaker=self.speaker,
            instruct=self.instruct,
            audio_format=self.format or "wav",
        )


class SynthesizeQuery(SynthesizeFields):
    """The query of `GET /v1/tts/synthesize`."""

    text: str = text_field("The text to speak: plain, Markdown or SSML, at least one word.")
    pronunciations: Annotated[list[QueryRule], Field(max_length=MAX_REQUEST_RULES)] | None = (
        optional("Rules of pronunciation, each as `word=alias` or, in IPA, `word=/sounds/`.")
    )

    def to_request(self) -> SpeechRequest:
        """Return the request. Raises `BadRequest` for an unknown language or a wrong rule."""
        rules = map(rule_of, self.pronunciations or ())
        return self.request_for(self.text, checked(rules, field="pronunciations"))


class SynthesizeBody(SynthesizeFields, PronunciationFields, ReferenceFields, SubtitleFields):
    """The body of `POST /v1/tts/synthesize`: a text or a dialogue, and maybe a recording."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {
                    "required": ["text"],
                    "properties": {"text": {"type": "string"}, "inputs": {"type": "null"}},
                },
                {
                    "required": ["inputs"],
                    "properties": {
                        "inputs": {"type": "array"},
                        "text": {"type": "null"},
                        "speaker": {"enum": ["", None]},
                        "ref_audio": {"type": "null"},
                    },
                },
            ]
        }
    )

    text: str | None = Field(
        None,
        description="The text to speak: plain, Markdown or SSML, at least one word.",
        examples=["Hello, world."],
        json_schema_extra=NOT_EMPTY,
    )
    inputs: Annotated[list[DialogueInput], Field(min_length=1, max_length=MAX_INPUTS)] | None = (
        optional("The parts of a dialogue, instead of `text` and `speaker`.")
    )

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults.

        Raises `BadRequest` for an unknown language, a wrong rule, or fields that exclude each
        other.
        """
        if self.inputs is None:
            if self.text is None:
                raise BadRequest("text is missing: send a string, or inputs", field="text")
            if self.ref_audio is not None and self.speaker:
                raise BadRequest(
                    f"speaker {self.speaker!r} is one voice and ref_audio another: leave one of "
                    "them out",
                    field="speaker",
                )
            request = self.request_for(self.text, self.rules())
            return replace(request, timestamps=self.times)
        speaker = self.speaker or None
        others = {"text": self.text, "speaker": speaker, "ref_audio": self.ref_audio}
        for name, value in others.items():
            if value is not None:
                raise BadRequest(
                    f"inputs is a dialogue, which has its own {name}: leave one of them out",
                    field=name,
                )
        parts = tuple(part.to_input() for part in self.inputs)
        request = self.request_for("", self.rules())
        return replace(request, inputs=parts, timestamps=self.times)


# The names that other servers of Qwen3-TTS use.
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


class SpeechBody(SpeechFields, PronunciationFields, ReferenceFields, TimeFields):
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
        "Use only a Qwen3-TTS model that was trained for this task: `CustomVoice`, "
        "`VoiceDesign` or `Base`."
    )
    stream_format: Literal["audio", "sse"] | None = optional("Raw audio, or server-sent events.")
    unsplit: Flag | None = optional(
        f"Let a model that designs voices say a text of up to {MAX_TEXT_CHARS} letters in one go, "
        "for one sound. Others ignore it."
    )

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults.

        Raises `BadRequest` for an unknown language, and for times without events to hold them.
        """
        if self.timestamps and self.stream_format != "sse":
            raise BadRequest(
                f"timestamps is {self.timestamps!r}, and audio alone has no place for times: send "
                "stream_format: sse",
                field="timestamps",
            )
        voice = self.voice.id if isinstance(self.voice, VoiceId) else self.voice
        request = self.with_defaults(
            self.input,
            self.rules(),
            task=self.task_type,
            speaker=voice,
            instruct=self.instructions,
            audio_format=self.response_format or "mp3",
        )
        is_whole = bool(self.unsplit) and weighted_length(self.input) <= MAX_TEXT_CHARS
        return replace(request, timestamps=self.timestamps, unsplit=is_whole)
