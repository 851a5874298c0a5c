"""Validate what clients of DashScope's two speech protocols send."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, StringConstraints

from vivavoce.api.schemas.values import Flag, Number, Speed
from vivavoce.audio import nearest_rate
from vivavoce.errors import BadRequest
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.text.language.names import parse_language
from vivavoce.types import MAX_INSTRUCT_CHARS, AudioFormat, SpeechRequest

MODELS: Final = re.compile(r"qwen\d?(?:\.\d)?-(?:tts|audio)|cosyvoice-|sambert-")
_FORMATS: Final[Mapping[str, AudioFormat]] = {
    "pcm": "pcm", "wav": "wav", "mp3": "mp3", "opus": "opus", "ogg_opus": "opus", "default": "mp3",
}  # fmt: skip

Text = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS)]
Rate = Annotated[int, Field(ge=0, le=48_000), Number]
Ratio = Annotated[float, Field(ge=0.5, le=2.0, allow_inf_nan=False), Number]


def format_of(name: str, field: str) -> AudioFormat:
    """Return our name of a format. Raises `BadRequest`."""
    wanted = name.strip().lower()
    if wanted not in _FORMATS:
        choices = ", ".join(_FORMATS)
        raise BadRequest(f"{field} {name[:40]!r} is not one of {choices}", field=field)
    return _FORMATS[wanted]


class QwenSession(BaseModel):
    """The configuration of a session, all or what changes."""

    voice: Text | None = None
    mode: Literal["server_commit", "commit"] | None = None
    language_type: Text | None = None
    response_format: Text | None = None
    sample_rate: Rate | None = None
    speech_rate: Speed | None = None
    pitch_rate: Ratio | None = None
    instructions: Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)] | None = None
    enable_tn: Flag | None = None


class QwenConfig(QwenSession):
    """The configuration with its defaults."""

    voice: Text | None = None
    mode: Literal["server_commit", "commit"] = "server_commit"
    language_type: Text = "Auto"
    response_format: Text = "pcm"
    sample_rate: Rate = 24_000

    def updated(self, session: QwenSession) -> "QwenConfig":
        """Return this with changes. Raises `BadRequest`."""
        config = self.model_copy(update=session.model_dump(exclude_none=True))
        config.to_request("auto")
        return config

    def to_request(self, model: str) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest`."""
        return SpeechRequest(
            text="",
            model=model,
            speaker=self.voice or None,
            language=parse_language(self.language_type) if self.language_type else None,
            instruct=self.instructions or None,
            normalize=bool(self.enable_tn),
            speed=1.0 if self.speech_rate is None else self.speech_rate,
            pitch=1.0 if self.pitch_rate is None else self.pitch_rate,
            format=format_of(self.response_format, "response_format"),
            sample_rate_hz=self.sample_rate or None,
        )


class QwenEvent(BaseModel):
    event_id: Any = None


class SessionUpdate(QwenEvent):
    session: QwenSession


class TextAppend(QwenEvent):
    text: str


class TextCommit(QwenEvent):
    """Speak the text so far."""


class TextClear(QwenEvent):
    """Forget the text that is not spoken yet."""


class ResponseCancel(QwenEvent):
    """Stop speaking."""


class SessionFinish(QwenEvent):
    """Speak the rest, and close."""


QWEN_TYPES: Mapping[str, type[QwenEvent]] = {
    "session.update": SessionUpdate,
    "input_text_buffer.append": TextAppend,
    "input_text_buffer.commit": TextCommit,
    "input_text_buffer.clear": TextClear,
    "response.cancel": ResponseCancel,
    "session.finish": SessionFinish,
}


class TaskParameters(BaseModel):
    voice: Text | None = None
    format: Text = "mp3"
    sample_rate: Rate = 0
    rate: Ratio = 1.0
    pitch: Ratio = 1.0
    seed: Annotated[int, Field(ge=0, le=65_535), Number] = 0
    text_type: Text = "PlainText"
    enable_ssml: Flag = False
    word_timestamp_enabled: Flag = False
    instruction: Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)] | None = None
    language_hints: Annotated[list[Text], Field(max_length=20)] | None = None


class TaskInput(BaseModel):
    text: str | None = None
    flush: Flag = False
    directive: str | None = None


class TaskPayload(BaseModel):
    model: Text | None = None
    parameters: TaskParameters = TaskParameters()
    input: TaskInput = TaskInput()

    def to_request(self, model: str) -> SpeechRequest:
        """Return the request of `run-task`, with defaults. Raises `BadRequest`."""
        given = self.parameters
        hints, is_ssml = given.language_hints or [], given.text_type.lower() == "ssml"
        format = format_of(given.format, "format")
        return SpeechRequest(
            text="",
            input_type="auto" if given.enable_ssml or is_ssml else "text",
            model=model,
            speaker=given.voice or None,
            language=parse_language(hints[0]) if len(hints) == 1 and hints[0] else None,
            instruct=given.instruction or None,
            speed=given.rate,
            pitch=given.pitch,
            seed=given.seed,
            format=format,
            sample_rate_hz=given.sample_rate or nearest_rate(format, 22_050),
            timestamps="word" if given.word_timestamp_enabled else None,
        )


class TaskHeader(BaseModel):
    action: Literal["run-task", "continue-task", "finish-task"]
    task_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    streaming: Text = "duplex"


class TaskMessage(BaseModel):
    header: TaskHeader
    payload: TaskPayload = TaskPayload()
