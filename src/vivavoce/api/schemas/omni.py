"""Validate what clients of vLLM-Omni and SGLang-Omni send beyond OpenAI's speech API."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from vivavoce.api.schemas.requests import ReferenceFields, SpeechFields, TaskType, VoiceId
from vivavoce.api.schemas.texts import PronunciationFields
from vivavoce.api.schemas.values import Flag, FormatName, Instruct, Name, optional
from vivavoce.errors import BadRequest
from vivavoce.types import SpeechRequest

MAX_ITEMS: int = 32  # of a batch


class OmniFields(SpeechFields, PronunciationFields, ReferenceFields):
    """The fields of `POST /v1/audio/speech` besides its text. The default format is WAV."""

    model_config = ConfigDict(extra="ignore")

    voice: Name | VoiceId | None = Field(
        None,
        validation_alias=AliasChoices("voice", "speaker"),
        description="A voice's name; by default the model chooses.",
    )
    instructions: Instruct | None = optional(
        "The manner of speaking, for models that follow instructions."
    )
    response_format: FormatName = optional("Audio format in upper or lower case; by default `wav`.")
    task_type: TaskType | None = optional(
        "`VoiceDesign` and `Base` use only a Qwen3-TTS model that was trained for this."
    )

    def request_for(self, text: str) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        return self.with_defaults(
            text,
            self.rules(),
            # Clients send it with each named voice, which other models have too.
            task=None if self.task_type == "custom_voice" else self.task_type,
            speaker=self.voice.id if isinstance(self.voice, VoiceId) else self.voice,
            instruct=self.instructions,
            audio_format=self.response_format or "wav",
        )


class StreamConfig(OmniFields):
    """A `session.config`, flat or in the field `session`."""

    stream_audio: Flag | None = None
    split_granularity: Literal["none", "sentence", "clause"] = "none"
    word_timestamps: Flag | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, values: Any) -> Any:  # as they were sent
        inner = values.get("session") if isinstance(values, Mapping) else None
        return values if inner is None else inner

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest`."""
        request = self.request_for("")
        if not self.word_timestamps:
            return request
        if not self.stream_audio or request.format != "pcm":
            raise BadRequest(
                "word_timestamps come with the audio: send stream_audio: true and "
                "response_format: pcm",
                field="word_timestamps",
            )
        return replace(request, timestamps="word")


class InputText(BaseModel):
    text: str


class Empty(BaseModel):
    """A message that is its type alone."""


class BatchItem(OmniFields):
    """One text. Its fields go before those of the batch."""

    input: str = Field(description="The text to speak. Without a word the item is an error.")

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        request = self.request_for(self.input)
        return request if self.priority else replace(request, priority="batch")


class BatchBody(OmniFields):
    """The body of `POST /v1/audio/speech/batch`: texts, and what they have in common."""

    items: Annotated[list[BatchItem], Field(min_length=1, max_length=MAX_ITEMS)] = Field(
        description="The texts, each with `input` and with what differs from the others."
    )

    def merged(self) -> list[BatchItem]:
        """Return the items with all their fields. Raises `BadRequest` for a wrong rule."""
        common = self.model_dump(exclude={"items"}, exclude_none=True)
        fields = [item.model_dump(exclude_none=True) for item in self.items]
        merged = [BatchItem.model_validate({**common, **own}) for own in fields]
        for item in merged:
            item.rules()
        return merged


class Usage(BaseModel):
    """Characters of the text, and frames of 80 ms of audio."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: dict[str, int]
    output_token_details: dict[str, int]


class BatchResult(BaseModel):
    index: int
    status: Literal["success", "error"]
    audio_data: str | None = optional("The audio in base64.")
    media_type: str | None = None
    usage: Usage | None = None
    error: str | None = None
    code: str | None = optional("The code of the error.")


class BatchAnswer(BaseModel):
    id: str
    results: list[BatchResult]
    total: int
    succeeded: int
    failed: int
