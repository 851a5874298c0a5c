"""Describe OpenAI's custom voices and recorded consents, with the fields of vLLM-Omni."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema

from vivavoce.api.schemas.values import Flag, Name, ReferenceText, Seed, optional
from vivavoce.types import MAX_INSTRUCT_CHARS
from vivavoce.voices.formula import MAX_CHARS
from vivavoce.voices.record import Kind, Line, Paragraph, RecordedConsent, SavedVoice, Viewer

MadeFrom = Literal["audio_sample", "prompt", "formula"]

KEPT_AS: Final = "audio/flac"
_TYPES: Mapping[Kind, MadeFrom] = {
    "cloned": "audio_sample", "designed": "prompt", "mixed": "formula",
}  # fmt: skip


def _file(value: object) -> object:
    if value is not None and not isinstance(value, bytes):
        raise ValueError("it should be one file of a form, multipart/form-data, with a file name")
    return value


def form_of(model: type[BaseModel]) -> dict[str, Any]:  # Any: as FastAPI's `openapi_extra`
    """Describe a body that may also be a form in parts."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


File = Annotated[
    bytes, BeforeValidator(_file), WithJsonSchema({"type": "string", "format": "binary"})
]
LanguageTag = Annotated[
    str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,8}$")
]
ConsentName = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1)]


class NewCustomVoice(BaseModel):
    """A voice to save: of a recording, a description or a formula."""

    TAKES_FORMS: ClassVar = True

    name: Name
    type: MadeFrom | None = optional("By default what the other fields are for.")
    audio_sample: File | None = optional("A recording of the voice, 1 to 30 seconds.")
    consent: Line | None = optional(
        "The id of a recorded consent, or your own name for a consent that you keep elsewhere."
    )
    ref_text: ReferenceText | None = optional("The exact words that are spoken in `audio_sample`.")
    speaker_description: Paragraph | None = optional("What lists say of the voice.")
    prompt: Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)] | None = optional(
        "A description, after which a voice is designed."
    )
    script_hint: ReferenceText | None = optional("What the designed voice says at first.")
    seed: Seed | None = optional("Of the design.")
    formula: Annotated[str, StringConstraints(max_length=MAX_CHARS)] | None = optional(
        "A mix of Kokoro's voices, like `af_bella(2)+af_sky(1)`."
    )
    shared: Flag | None = optional("All keys may use it. Needs the scope `manage`.")


class UploadedVoice(BaseModel):
    """A saved recording, as vLLM-Omni describes it."""

    name: str
    consent: str
    created_at: int
    mime_type: str = KEPT_AS
    file_size: int = Field(description="Bytes of the recording as it is kept.")
    ref_text: str | None = None
    speaker_description: str | None = None

    @classmethod
    def of(cls, saved: SavedVoice, viewer: Viewer, file_size: int) -> "UploadedVoice":
        """Return what `viewer` may know of a saved recording."""
        voice = saved.told_to(viewer)
        consent = voice.consent
        return cls(
            name=voice.name,
            consent="" if consent is None else consent.recorded or consent.by,
            created_at=unix_time(voice.created),
            file_size=file_size,
            ref_text=voice.words,
            speaker_description=voice.description or None,
        )


class CustomVoice(BaseModel):
    """A saved voice. `id` and `name` are what `voice` of a request takes."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int = Field(description="In seconds since 1970.")
    name: str
    type: MadeFrom
    prompt: str | None = optional("The description of a designed voice.")
    formula: str | None = optional("That of a mix.")

    @classmethod
    def of(cls, saved: SavedVoice, /, **more: Any) -> Self:  # Any: of the fields of subclasses
        """Return what is told of a saved voice."""
        return cls(
            id=saved.id,
            created_at=unix_time(saved.created),
            name=saved.name,
            type=_TYPES[saved.kind],
            prompt=saved.description or None if saved.kind == "designed" else None,
            formula=saved.formula,
            **more,
        )


class CreatedVoice(CustomVoice):
    """A voice that was just saved, in OpenAI's words and in those of vLLM-Omni."""

    success: Literal[True] = True
    voice: UploadedVoice | None = optional("Of a recording alone.")
    warnings: list[str] = Field([], description="What would make a better recording.")


class DeletedVoice(BaseModel):
    """A voice that is gone, in OpenAI's words and in those of vLLM-Omni."""

    id: str
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    deleted: Literal[True] = True
    success: Literal[True] = True
    message: str


class NewConsent(BaseModel):
    """The recording of a consent."""

    TAKES_FORMS: ClassVar = True

    name: ConsentName = Field(description="Who speaks.")
    language: LanguageTag = Field(description="The language of the recording, like `en-US`.")
    recording: File = Field(description="The consent as it is spoken, 1 to 30 seconds.")


class ChangedConsent(BaseModel):
    """Another name of a recorded consent."""

    name: ConsentName


class VoiceConsent(BaseModel):
    """A recorded consent."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    created_at: int = Field(description="In seconds since 1970.")
    language: str
    name: str

    @classmethod
    def of(cls, consent: RecordedConsent) -> "VoiceConsent":
        return cls(
            id=consent.id,
            created_at=unix_time(consent.created),
            language=consent.language,
            name=consent.name,
        )


class VoiceConsents(BaseModel):
    """A page of recorded consents, the newest first."""

    object: Literal["list"] = "list"
    data: list[VoiceConsent]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedConsent(BaseModel):
    """A consent that has ended."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    deleted: Literal[True] = True


def unix_time(iso: str) -> int:
    """Return the seconds since 1970 of a time in a record, or 0 if it is none."""
    try:
        return int(datetime.fromisoformat(iso).timestamp())
    except (ValueError, OverflowError, OSError):
        return 0
