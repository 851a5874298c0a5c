"""Validate the events that a client of OpenAI's realtime protocol sends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from vivavoce.api.schemas.requests import VoiceId
from vivavoce.api.schemas.values import Name, Number, Speed
from vivavoce.errors import BadRequest, Unsupported
from vivavoce.types import AudioFormat

FORMATS: Mapping[str, AudioFormat] = {
    "audio/pcm": "pcm", "audio/pcmu": "ulaw", "audio/pcma": "alaw",
    "pcm16": "pcm", "g711_ulaw": "ulaw", "g711_alaw": "alaw",  # the first version's names
}  # fmt: skip
RATES: Mapping[AudioFormat, int] = {"pcm": 24_000, "ulaw": 8_000, "alaw": 8_000}
MAX_CONTENT: int = 100  # parts of an item, items of an input

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_SAY = re.compile(r"\s*say\s*:\s*(\S.*)", re.IGNORECASE | re.DOTALL)
DEAF = "this server speaks and does not listen"


class Format(BaseModel):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24_000, 8_000] | None = None

    def name(self) -> AudioFormat:
        """Return our name of it. Raises `BadRequest` for a rate that it does not have."""
        format = FORMATS[self.type]
        if self.rate not in (None, RATES[format]):
            raise BadRequest(
                f"rate {self.rate!r} is not possible with {self.type!r}: it is {RATES[format]}",
                field="rate",
            )
        return format


class OutputFields(BaseModel):
    format: Format | None = None
    voice: Name | VoiceId | None = None
    speed: Speed | None = None


class AudioFields(BaseModel):
    output: OutputFields | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How a session or a response speaks."""

    voice: str | None = None
    format: AudioFormat = "pcm"
    speed: float = 1.0
    instructions: str = ""


def wire_output(manner: Manner) -> Mapping[str, Any]:
    """Return the description of the audio in a session and in a response."""
    kind = {"pcm": "audio/pcm", "ulaw": "audio/pcmu", "alaw": "audio/pcma"}[manner.format]
    rate = {"rate": RATES["pcm"]} if manner.format == "pcm" else {}
    return {"format": {"type": kind, **rate}, "voice": manner.voice, "speed": manner.speed}


def wire_response(manner: Manner) -> dict[str, Any]:
    """Return what the description of a response has from how it speaks."""
    audio = {"output": wire_output(manner)}
    return {"output_modalities": ["audio"], "max_output_tokens": "inf", "audio": audio}


def wire_session(manner: Manner, model: str, *, beta: bool) -> Mapping[str, Any]:
    """Return the description of a session, without its id. `beta`: in the first version's form."""
    about: dict[str, Any] = {"object": "realtime.session", "model": model, "tools": []}
    about |= {"instructions": manner.instructions, "tool_choice": "none"}
    if beta:
        name = {"pcm": "pcm16", "ulaw": "g711_ulaw", "alaw": "g711_alaw"}[manner.format]
        about |= {"modalities": ["audio", "text"], "voice": manner.voice, "speed": manner.speed}
        return about | {"output_audio_format": name, "turn_detection": None}
    audio = {"input": None, "output": wire_output(manner)}
    return about | {"type": "realtime", "output_modalities": ["audio"], "audio": audio}


class SessionFields(BaseModel):
    """What the configurations of a session and of a response have in common."""

    type: Any = "realtime"
    audio: AudioFields | None = None
    instructions: str | None = None
    output_modalities: list[str] | None = None
    tools: list[Any] | None = None
    # The first version of the protocol.
    modalities: list[str] | None = None
    output_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | None = None
    voice: Name | VoiceId | None = None
    speed: Speed | None = None

    def applied(self, manner: Manner) -> Manner:
        """Return `manner` with these changes. Raises `Unsupported`, `BadRequest`."""
        self._check()
        output = (self.audio and self.audio.output) or OutputFields()
        changes: dict[str, Any] = {}
        if (voice := output.voice or self.voice) is not None:
            changes["voice"] = (voice.id if isinstance(voice, VoiceId) else voice) or None
        if output.format is not None:
            changes["format"] = output.format.name()
        elif self.output_audio_format is not None:
            changes["format"] = FORMATS[self.output_audio_format]
        if (speed := output.speed or self.speed) is not None:
            changes["speed"] = speed
        if self.instructions is not None:
            changes["instructions"] = self.instructions
        return replace(manner, **changes)

    def _check(self) -> None:
        if self.type == "transcription":
            raise Unsupported(f"type 'transcription' is not possible: {DEAF}", field="type")
        if self.tools:
            problem = "calls no tools: leave them out, and send the text to speak"
            raise Unsupported(f"tools are not possible: this server {problem}", field="tools")
        modalities = self.output_modalities or self.modalities
        if modalities is not None and "audio" not in modalities:
            raise Unsupported(
                f"output_modalities {modalities[:4]!r} are not possible: this server answers "
                "with audio",
                field="output_modalities",
            )


class ContentPart(BaseModel):
    type: Literal["input_text", "output_text", "text", "input_audio", "input_image", "output_audio"]
    text: str | None = None
    transcript: str | None = None


class Item(BaseModel):
    """A message with text, or in the input of a response also a reference to one."""

    id: Id | None = None
    type: str = "message"
    role: Literal["user", "assistant", "system"] | None = None
    content: Annotated[list[ContentPart], Field(max_length=MAX_CONTENT)] = Field(
        default_factory=list
    )

    def checked(self) -> Self:
        """Return this message. Raises `Unsupported`, `BadRequest` if it is none."""
        if self.type != "message":
            raise Unsupported(
                f"an item of type {self.type[:40]!r} is not possible: send a message with text",
                field="item.type",
            )
        if self.role is None:
            raise BadRequest("the field 'role' is missing; send it", field="item.role")
        for part in self.content:
            if part.type in ("input_audio", "input_image"):
                raise Unsupported(
                    f"content of type {part.type!r} is not possible: {DEAF}, send input_text",
                    field="item.content",
                )
        return self

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (part.text or part.transcript for part in self.content)))


class ResponseConfig(SessionFields):
    conversation: str | None = None
    input: Annotated[list[Item], Field(max_length=MAX_CONTENT)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None

    @property
    def said(self) -> str | None:
        """What the instructions say after "say:", if they begin so."""
        found = _SAY.fullmatch(self.instructions or "")
        return None if found is None else found[1]


class ClientEvent(BaseModel):
    event_id: Any = None


class SessionUpdate(ClientEvent):
    session: SessionFields


class ItemCreate(ClientEvent):
    item: Item
    previous_item_id: str | None = None


class ItemDelete(ClientEvent):
    item_id: str


class ItemRetrieve(ClientEvent):
    item_id: str


class ItemTruncate(ClientEvent):
    item_id: str
    content_index: int = 0
    audio_end_ms: Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False), Number]


class ResponseCreate(ClientEvent):
    response: ResponseConfig | None = None


class ResponseCancel(ClientEvent):
    response_id: str | None = None


class OutputClear(ClientEvent):
    """Stop the audio."""


class InputClear(ClientEvent):
    """Forget the audio that was sent. There is none."""


class InputAudio(ClientEvent):
    """Audio to listen to, which is refused."""


TYPES: Mapping[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "conversation.item.create": ItemCreate,
    "conversation.item.delete": ItemDelete,
    "conversation.item.retrieve": ItemRetrieve,
    "conversation.item.truncate": ItemTruncate,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
    "output_audio_buffer.clear": OutputClear,
    "input_audio_buffer.clear": InputClear,
    "input_audio_buffer.append": InputAudio,
    "input_audio_buffer.commit": InputAudio,
}
