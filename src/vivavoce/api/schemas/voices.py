"""Validate what is sent about saved voices, and describe them."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vivavoce.api.schemas.values import (
    NOT_EMPTY,
    Flag,
    FormatName,
    Instruct,
    Name,
    Number,
    ReferenceText,
    Seed,
    optional,
)
from vivavoce.errors import BadRequest
from vivavoce.synthesis.design import MAX_COUNT, MAX_TEXT_CHARS, Preview, Wish, short_text
from vivavoce.synthesis.saved import Making
from vivavoce.text.language.names import parse_language
from vivavoce.types import Gender, SpeechRequest
from vivavoce.voices.formula import MAX_CHARS
from vivavoce.voices.record import (
    MAX_LABELS,
    Consent,
    FormerConsent,
    Kind,
    Label,
    Line,
    Paragraph,
    Provenance,
    SavedVoice,
    Viewer,
)

Labels = Annotated[dict[Label, Line], Field(max_length=MAX_LABELS)]
Languages = Annotated[list[Name], Field(max_length=MAX_LABELS)]


class ConsentBody(BaseModel):
    """A record of whose voice it is, and what they agreed to."""

    model_config = ConfigDict(extra="forbid")

    by: Line = Field(description="Who agrees.")
    words: Paragraph = Field(description="What they said or wrote.")
    scope: Paragraph | None = optional("What the voice may be used for.")
    expires: date | None = optional("The last day of the consent.")

    def to_consent(self) -> Consent:
        return Consent(self.by, self.words, self.scope or "", self.expires)


class VoiceFields(BaseModel):
    """What may be said of a voice, and changed later."""

    model_config = ConfigDict(extra="forbid")

    languages: Languages | None = optional("Names or ISO 639 codes, the native one first.")
    gender: Gender | None = None
    description: Paragraph | None = None
    labels: Labels | None = optional("Up to 20 words of your own, with a value each.")
    shared: Flag | None = optional("All keys may use it. Needs the scope `manage`.")

    def given(self) -> dict[str, Any]:  # Any: of the fields of `SavedVoice`
        """Return the fields that were sent, as a voice has them. Raises `BadRequest`."""
        names = ("gender", "description", "labels", "shared")
        values = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        if self.languages is not None:
            try:
                codes = (parse_language(name) for name in self.languages)
                values["languages"] = tuple(code for code in codes if code is not None)
            except BadRequest as error:
                raise BadRequest(error.message, field="languages") from error
        return values


class NewVoice(VoiceFields):
    """A voice to save: a formula, a recording or a preview."""

    name: Name
    formula: Annotated[str, StringConstraints(max_length=MAX_CHARS)] | None = optional(
        "A mix of Kokoro's voices, like `af_bella(2)+af_sky(1)`."
    )
    preview: Name | None = optional("The `id` of a preview, from `/v1/tts/voices/design`.")
    ref_audio: str | None = optional("A recording to clone, in base64 or as a `data:` URL.")
    ref_text: ReferenceText | None = optional("The exact words that are spoken in `ref_audio`.")
    consent: ConsentBody | None = optional("Needed for a recording.")


class RecordingBody(BaseModel):
    """A recording that might become a voice."""

    model_config = ConfigDict(extra="forbid")

    ref_audio: str = Field(description="The recording, in base64 or as a `data:` URL.")


class RecordingInfo(BaseModel):
    """What a voice would be made of."""

    duration_s: float = Field(description="Without the silence at both ends.")
    warnings: list[str] = Field(description="What would make a better recording.")


class DesignBody(BaseModel):
    """A voice to be made from a description."""

    model_config = ConfigDict(extra="forbid")

    description: Instruct = Field(
        description="Who speaks, and how.",
        examples=["A calm old man with a deep, warm voice."],
        json_schema_extra=NOT_EMPTY,
    )
    text: str | None = optional(
        f"What the previews say, at most {MAX_TEXT_CHARS} letters; by default two sentences."
    )
    language: Name | None = optional("A name or ISO 639 code; that of the text by default.")
    count: Annotated[int, Field(ge=1, le=MAX_COUNT), Number] = Field(3, description="Previews.")
    seed: Seed | None = optional("Of the first preview; the others have the numbers after it.")

    def to_wish(self) -> Wish:
        language = parse_language(self.language) if self.language else None
        return Wish(self.description, self.text, language, self.count, self.seed)


class PreviewInfo(BaseModel):
    """A preview of a designed voice."""

    id: str = Field(description="To save it with `POST /v1/tts/voices`, for an hour.")
    audio: str = Field(description="A WAV file in base64.")
    seed: int
    duration_s: float
    language: str = Field(description="ISO 639-1 code.")

    @classmethod
    def of(cls, preview: Preview) -> "PreviewInfo":
        return cls(
            id=preview.id,
            audio=base64.b64encode(preview.audio).decode("ascii"),
            seed=preview.seed,
            duration_s=round(preview.recording.seconds, 3),
            language=preview.language,
        )


class PreviewInfos(BaseModel):
    """Previews of one designed voice, which say the same text."""

    text: str
    previews: list[PreviewInfo]


class ChangedVoice(VoiceFields):
    """What is to be changed of a saved voice."""

    name: Name | None = None
    words: ReferenceText | None = optional(
        "The exact words of the recording. The voice then has another `id`, and the former works."
    )

    def given(self) -> dict[str, Any]:  # Any: of the fields of `SavedVoice`
        values = super().given()
        if self.name is not None:
            values["name"] = self.name
        if self.words is not None:
            values["words"] = exact_words(self.words, "words")
        return values


class PreviewBody(BaseModel):
    """A short text that a saved voice is to say."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = optional(
        f"At most {MAX_TEXT_CHARS} letters; by default two sentences in the language."
    )
    language: Name | None = optional("A name or ISO 639 code; by default the voice's first one.")
    seed: Seed | None = optional("Of the speech.")
    format: FormatName = optional("Audio format in upper or lower case; by default `wav`.")

    def to_request(self, voice: SavedVoice) -> SpeechRequest:
        """Return what `voice` is to say. Raises `BadRequest`."""
        first = voice.languages[0] if voice.languages else None
        language = parse_language(self.language) if self.language else None
        return SpeechRequest(
            short_text(self.text, language or first),
            input_type="text",
            speaker=voice.id,
            language=language,
            format=self.format or "wav",
            seed=self.seed,
        )


class VoiceFile(BaseModel):
    """A file that `export` has written."""

    LONG_FIELD: ClassVar = "file"
    model_config = ConfigDict(extra="forbid")

    file: str = Field(description="The bytes of the file, in base64.")
    name: Name | None = optional("By default the name in the file.")
    shared: Flag | None = optional("All keys may use it. Needs the scope `manage`.")


class VoiceInfo(BaseModel):
    """A saved voice."""

    id: str
    name: str = Field(description="What requests name as the speaker.")
    kind: Kind
    languages: list[str] = Field(description="ISO 639-1 codes; none: all of its model.")
    gender: Gender
    description: str
    labels: dict[str, str]
    consent: Consent | None = Field(description="Told to who may change the voice.")
    former_consents: list[FormerConsent] = Field(description="Replaced ones, the oldest first.")
    provenance: Provenance
    created: str
    owner: str = Field(description="The name of a key, empty for the operator's.")
    shared: bool
    formula: str | None
    words: str | None = Field(description="Told to who may change the voice.")
    formerly: list[str] = Field(description="Ids that it had with other words, which work.")
    changeable: bool = Field(description="The key may change it.")
    revoked: str | None
    ended: str | None = optional("Why it may not be used any more.")
    warnings: list[str] = Field([], description="What would make a better recording.")

    @classmethod
    def of(cls, saved: SavedVoice, viewer: Viewer, warnings: Sequence[str] = ()) -> "VoiceInfo":
        """Return what `viewer` may know of a saved voice."""
        voice = saved.told_to(viewer)
        lists = ("languages", "formerly", "former_consents")
        facts = asdict(voice) | {name: list(getattr(voice, name)) for name in lists}
        facts |= {"consent": voice.consent, "changeable": saved.changeable_by(viewer)}
        return cls(**facts, ended=voice.ended(), warnings=list(warnings))


class VoiceInfos(BaseModel):
    """Saved voices, and what a client needs to know to make another."""

    voices: list[VoiceInfo]
    requires_consent: bool = Field(description="A recording is saved only with a consent.")
    missing: dict[Making, str] = Field(
        description="Ways to make a voice that no model here speaks with, and what brings one."
    )


def exact_words(sent: str, field: str) -> str:
    """Return the words of a recording. Raises `BadRequest` if there are none."""
    if not (words := sent.strip()):
        problem = "is empty: send exactly what is said in the recording, or leave it out"
        raise BadRequest(f"{field} {problem}", field=field)
    return words
