"""Define the messages that a client of our own live protocol sends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vivavoce.api.schemas.requests import ReferenceFields, SynthesizeFields
from vivavoce.api.schemas.texts import PronunciationFields
from vivavoce.api.schemas.times import TimeFields
from vivavoce.api.schemas.values import Flag, Number, optional
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.types import SpeechRequest

Context = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    context: Context | None = optional("Name of a text, by default that of the latest.")


class Begin(SynthesizeFields, PronunciationFields, ReferenceFields, TimeFields):
    """Begin a text. The fields are those of `POST /v1/tts/synthesize`; the format is `pcm`."""

    type: Literal["begin"]
    context: Context | None = optional("Name of the text; by default a number.")
    text: str | None = optional("The beginning of the text.")

    def to_request(self) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for an unknown language."""
        given = self.model_copy(update={"format": self.format or "pcm"})
        request = given.request_for("", self.rules())
        return replace(request, timestamps=self.timestamps)


class Text(_Message):
    """Add to a text."""

    type: Literal["text"]
    text: str
    flush: Flag | None = optional("Speak all of it now, without waiting for the end of a clause.")


class Flush(_Message):
    """Speak all text so far."""

    type: Literal["flush"]


class End(_Message):
    """Speak all of a text, to which nothing is added."""

    type: Literal["end"]


class Interrupt(_Message):
    """Stop speaking, one text or all, and tell what was heard."""

    type: Literal["interrupt"]
    played_ms: Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False), Number] | None = (
        optional("Audio that was played, by default all that was sent.")
    )


class Ping(BaseModel):
    """Ask for a `pong`."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["ping"]


TYPES: Mapping[str, type[BaseModel]] = {
    "begin": Begin,
    "text": Text,
    "flush": Flush,
    "end": End,
    "interrupt": Interrupt,
    "ping": Ping,
}
