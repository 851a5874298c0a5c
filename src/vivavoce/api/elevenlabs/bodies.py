"""Validate what clients of ElevenLabs send, and turn it into `SpeechRequest`s."""

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from vivavoce.api.elevenlabs.formats import DEFAULT, parse_format
from vivavoce.api.elevenlabs.premade import PREMADE_VOICES
from vivavoce.api.schemas.texts import MAX_INPUTS
from vivavoce.api.schemas.values import NOT_EMPTY, Flag, Name, Number, Seed, Speed, optional
from vivavoce.text.language.names import parse_language
from vivavoce.types import SamplingOptions, SpeechInput, SpeechRequest

LEXICON_ID: Final = "lexicon"  # of the server's lexicon, which is in use anyway
LOCATORS: Final = "pronunciation_dictionary_locators"
# The models of ElevenLabs are not here: their names stand for the model that fits best.
_FOREIGN_MODEL: Final = "eleven_"
# The temperature of Qwen3-TTS at ElevenLabs' default stability, 0.5, is its own default, 0.9.
_HOTTEST: Final = 1.4

VoiceId = Annotated[str, Field(min_length=1, max_length=200)]


class VoiceSettings(BaseModel):
    """The manner of a voice. What else ElevenLabs has of it has no effect."""

    stability: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number] | None = optional(
        "Low values vary the speech of a model that samples; others ignore it."
    )
    speed: Speed | None = optional("1.0 is the voice's own pace.")

    def sampling(self) -> SamplingOptions:
        if self.stability is None:
            return SamplingOptions()
        return SamplingOptions(temperature=round(_HOTTEST - self.stability, 4))


class Locator(BaseModel):
    """The name of a dictionary of pronunciations."""

    pronunciation_dictionary_id: Name


class SpeechFields(BaseModel):
    """What every way to ask for speech has in common. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    model_id: Name | None = optional(
        "A name from `GET /v1/models`; those of ElevenLabs are `auto`."
    )
    language_code: Name | None = optional("ISO 639 code; detected by default.")
    seed: Seed | None = optional("The same seed gives the same speech, if the model supports it.")
    apply_text_normalization: Literal["auto", "on", "off"] | None = optional(
        "`on` writes numbers out in words also for models that read them."
    )

    def request_for(
        self, text: str, voice_id: str | None, settings: VoiceSettings | None, output_format: str
    ) -> SpeechRequest:
        """Return the request, with defaults. Raises `BadRequest` for a language or a format."""
        format, sample_rate_hz = parse_format(output_format)
        settings = settings or VoiceSettings()
        model = self.model_id or "auto"
        return SpeechRequest(
            text=text,
            model="auto" if model.lower().startswith(_FOREIGN_MODEL) else model,
            speaker=speaker_of(voice_id),
            language=parse_language(self.language_code) if self.language_code else None,
            normalize=self.apply_text_normalization == "on",
            speed=1.0 if settings.speed is None else settings.speed,
            seed=self.seed,
            sampling=settings.sampling(),
            format=format,
            sample_rate_hz=sample_rate_hz,
        )


class DictionaryFields(BaseModel):
    """Dictionaries of pronunciations, of which the server has one, its lexicon."""

    pronunciation_dictionary_locators: Annotated[list[Locator], Field(max_length=3)] | None = (
        optional("The server's lexicon has the id `lexicon`, and is always in use.")
    )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The name of the field, if it names a dictionary that is not here."""
        locators = self.pronunciation_dictionary_locators or ()
        ids = {locator.pronunciation_dictionary_id for locator in locators}
        return (LOCATORS,) if ids - {LEXICON_ID} else ()


class TextBody(SpeechFields, DictionaryFields):
    """The body of `POST /v1/text-to-speech/{voice_id}`."""

    text: str = Field(
        description="The text to speak, at least one word.",
        examples=["Hello, world."],
        json_schema_extra=NOT_EMPTY,
    )
    voice_settings: VoiceSettings | None = optional("Speed and stability of the voice.")

    def to_request(self, voice_id: str, output_format: str) -> SpeechRequest:
        return self.request_for(self.text, voice_id, self.voice_settings, output_format)


class DialogueLine(BaseModel):
    """A line of a dialogue."""

    text: str = Field(description="The text to speak.", json_schema_extra=NOT_EMPTY)
    voice_id: VoiceId


class DialogueBody(SpeechFields, DictionaryFields):
    """The body of `POST /v1/text-to-dialogue`."""

    inputs: Annotated[list[DialogueLine], Field(min_length=1, max_length=MAX_INPUTS)]
    settings: VoiceSettings | None = optional("Speed and stability of all voices.")

    def to_request(self, output_format: str) -> SpeechRequest:
        """Return the request, whose parts are the lines. Raises as `request_for` does."""
        request = self.request_for("", None, self.settings, output_format)
        lines = tuple(SpeechInput(line.text, speaker_of(line.voice_id)) for line in self.inputs)
        return replace(request, inputs=lines)


class SocketQuery(SpeechFields):
    """The query of a WebSocket."""

    output_format: Name = DEFAULT
    sync_alignment: Flag = False
    inactivity_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False), Number] = 20.0


class ClientMessage(DictionaryFields):
    """A message of a client, on either WebSocket. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    text: str | None = None
    voice_settings: VoiceSettings | None = None
    flush: Flag | None = None


class ContextMessage(ClientMessage):
    """A message about one of several texts."""

    context_id: Annotated[str, Field(max_length=200)] | None = None
    contextId: Annotated[str, Field(max_length=200)] | None = None
    close_context: Flag | None = None
    close_socket: Flag | None = None

    @property
    def name(self) -> str:
        """The name of the context that it is about."""
        return self.context_id or self.contextId or "default"


def speaker_of(voice_id: str | None) -> str | None:
    """Return the name of a voice, None for the server's default."""
    return None if voice_id is None or voice_id in PREMADE_VOICES else voice_id
