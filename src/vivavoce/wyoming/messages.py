"""Define the events that a client of Wyoming sends, as far as they concern speech.

Other events and fields are ignored, as the protocol asks for.
"""

from collections.abc import Container, Mapping
from typing import Annotated

from pydantic import BaseModel, StringConstraints, ValidationError

from vivavoce.errors import BadRequest
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.text.language.names import parse_language
from vivavoce.types import InputType, SpeechRequest
from vivavoce.wyoming.wire import Incoming

Name = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS)]
_FORMATS: Mapping[str | None, InputType] = {"text": "text", "ssml": "ssml"}


class Describe(BaseModel):
    """Ask for the voices."""


class Ping(BaseModel):
    """Ask for a `pong` with the same text."""

    text: Name | None = None


class Voice(BaseModel):
    """The voice to speak with: the name of one, of a model and its `speaker`, or a language."""

    name: Name | None = None
    language: Name | None = None
    speaker: Name | None = None


class Start(BaseModel):
    """Begin a text, whose parts follow."""

    voice: Voice | None = None
    text_format: str | None = None

    def to_request(self, models: Container[str]) -> SpeechRequest:
        """Return the request, with defaults. `models` are the names of those that are offered.

        A voice is named as `voices.offered` does. Its language is a hint beside that. Raises
        `BadRequest` for an unknown language.
        """
        voice = self.voice or Voice()
        name, speaker = (part and part.strip() for part in (voice.name, voice.speaker))
        language = parse_language(voice.language) if voice.language else None
        model, of_model, rest = (name or "").partition("/")
        if of_model and model.lower() in models:
            name = rest
        elif name and name.lower() in models:
            model, name = name, speaker
        else:
            model, name = "auto", name or speaker
        return SpeechRequest(
            text="",
            input_type=_FORMATS.get(self.text_format, "auto"),
            model=model,
            speaker=name or None,
            language=None if name else language,
            likely_language=language,
            format="pcm",
        )


class Synthesize(Start):
    """Speak a whole text."""

    text: str


class Chunk(BaseModel):
    """Add to a text."""

    text: str


class Stop(BaseModel):
    """End a text."""


Message = Describe | Ping | Start | Synthesize | Chunk | Stop
_TYPES: Mapping[str, type[Message]] = {
    "describe": Describe,
    "ping": Ping,
    "synthesize": Synthesize,
    "synthesize-start": Start,
    "synthesize-chunk": Chunk,
    "synthesize-stop": Stop,
}


def parse(event: Incoming) -> Message | None:
    """Return an event as a message, None if it is not for us. Raises `BadRequest`."""
    if (kind := _TYPES.get(event.type)) is None:
        return None
    try:
        return kind.model_validate(event.data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, problem["loc"])) or "data"
        raise BadRequest(f"{field} of {event.type}: {problem['msg']}", field=field) from error
