"""Validate what clients of ElevenLabs send to clone, change or design a voice."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from anyascii import anyascii
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from vivavoce.api.elevenlabs.formats import parse_format
from vivavoce.api.schemas.custom_voices import File
from vivavoce.api.schemas.values import NOT_EMPTY, Flag, Instruct, ReferenceText, Seed, optional
from vivavoce.api.schemas.voices import Labels, exact_words
from vivavoce.errors import BadRequest
from vivavoce.synthesis.design import MAX_TEXT_CHARS, Wish
from vivavoce.text.split import sentence_ends, split, weighted_length
from vivavoce.types import Gender
from vivavoce.voices.record import MAX_LABELS, MAX_NAME, Line, Paragraph

MAX_FILES: Final = 25
CONSENT: Final = "consent"  # a field of the form, or a label
NAME: Final = "name"  # the label that has a name as it was sent
_CUT_CHARS: Final = 1_000  # the longest text that ElevenLabs takes
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_GENDERS: Final[dict[str, Gender]] = {"female": "female", "male": "male", "neutral": "neutral"}


def _read_labels(value: object) -> object:
    """Return the labels that a form has as JSON, without those that are null."""
    for _ in range(2):  # the SDK encodes an object that is JSON already once more
        if isinstance(value, str):
            try:
                value = json.loads(value or "null")
            except (ValueError, RecursionError) as error:
                raise ValueError(f"it should be an object in JSON ({error})") from error
    if isinstance(value, dict):
        return {name: label for name, label in value.items() if label is not None}
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, bytes | str) else value


LabelsInJson = Annotated[
    Labels | None,
    BeforeValidator(_read_labels),
    WithJsonSchema({"type": "string", "description": "An object with values of text, in JSON."}),
]
Files = Annotated[list[File], BeforeValidator(_listed), Field(min_length=1, max_length=MAX_FILES)]


class VoiceFacts(BaseModel):
    """What is said of a voice. Unknown fields are ignored."""

    TAKES_FORMS: ClassVar = True
    model_config = ConfigDict(extra="ignore")

    description: Paragraph | None = optional("What lists say of the voice.")
    labels: LabelsInJson = None

    def facts(self, name: str, before: Mapping[str, str] = _NONE) -> dict[str, Any]:
        """Return the fields of a `SavedVoice`, with the labels `before` if none are given.

        A label keeps a name that is not one here. Raises `BadRequest`. Any: of that class.
        """
        kept = {label: value for label, value in before.items() if label != NAME}
        labels = kept if self.labels is None else dict(self.labels)
        labels.pop(CONSENT, None)
        if name != name_of(name):
            labels[NAME] = name
        if len(labels) > MAX_LABELS:
            problem = f"labels are {len(labels)} with the name, the limit is {MAX_LABELS}"
            raise BadRequest(f"{problem}: leave some out", field="labels")
        values: dict[str, Any] = {"name": name_of(name), "labels": labels}
        if self.description is not None:
            values["description"] = self.description
        if (gender := _GENDERS.get(labels.get("gender", "").lower())) is not None:
            values["gender"] = gender
        return values


class AddedVoice(VoiceFacts):
    """The form of `POST /v1/voices/add`."""

    name: Line = Field(json_schema_extra=NOT_EMPTY)
    files: Files = Field(description="Recordings of one voice, used up to 30 seconds together.")
    ref_text: ReferenceText | None = optional("The exact words that are spoken in the recordings.")
    consent: Paragraph | None = optional(
        "Their words, the id of a recorded consent, or an object with `by` and `words`, in JSON."
    )

    @property
    def agreed(self) -> str:
        """What is said of the consent, here or among the labels."""
        return (self.consent or (self.labels or {}).get(CONSENT) or "").strip()


class EditedVoice(VoiceFacts):
    """The form of `POST /v1/voices/{voice_id}/edit`."""

    name: Line = Field(json_schema_extra=NOT_EMPTY)
    files: Files | None = optional("Refused: a voice keeps its recording.")
    ref_text: ReferenceText | None = optional("The exact words that are spoken in its recording.")

    def facts(self, name: str, before: Mapping[str, str] = _NONE) -> dict[str, Any]:
        """Return the fields as `VoiceFacts.facts` does, with the words. Any: as there."""
        words = {"words": exact_words(self.ref_text, "ref_text")} if self.ref_text else {}
        return {**super().facts(name, before), **words}


class DesignedVoice(BaseModel):
    """The body of `POST /v1/text-to-voice/design`. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    voice_description: Instruct = Field(
        description="Who speaks, and how.", json_schema_extra=NOT_EMPTY
    )
    text: str | None = optional("What the previews say: its first sentences, up to 250 letters.")
    auto_generate_text: Flag | None = optional("Say the server's own text instead.")
    seed: Seed | None = optional("Of the first preview; the others have the numbers after it.")
    reference_audio_base64: str | None = optional("Not used.")

    def to_wish(self, output_format: str) -> Wish:
        """Return the voice that is wanted. Raises `BadRequest` for a format."""
        format, sample_rate_hz = parse_format(output_format)
        text = None if self.auto_generate_text or not self.text else beginning(self.text)
        return Wish(
            self.voice_description,
            text,
            seed=self.seed,
            format=format,
            sample_rate_hz=sample_rate_hz,
        )


class ChosenPreview(VoiceFacts):
    """The body of `POST /v1/text-to-voice`."""

    voice_name: Line = Field(json_schema_extra=NOT_EMPTY)
    voice_description: Paragraph | None = optional("By default that of the preview.")
    generated_voice_id: Line


def name_of(name: str) -> str:
    """Return the name that a voice gets here: in Latin letters, with dashes for spaces."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", anyascii(name))
    return plain.strip("-._")[:MAX_NAME] or name


def beginning(text: str) -> str:
    """Return the first sentences of `text`, as many as a preview says, or a part of the first."""
    whole = " ".join(text[:_CUT_CHARS].split())
    if _fits(whole):
        return whole
    ends = [end for end in sentence_ends(whole, "en") if _fits(whole[:end])]
    if ends:
        return whole[: ends[-1]].strip()
    return next(split(whole, "en", max_chars=MAX_TEXT_CHARS, first_chars=None)).text


def _fits(text: str) -> bool:
    return weighted_length(text.strip()) <= MAX_TEXT_CHARS
