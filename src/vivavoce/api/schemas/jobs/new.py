"""Validate what is sent about jobs."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from vivavoce.api.schemas.texts import PronunciationFields
from vivavoce.api.schemas.values import Flag, Instruct, Name, Number, Seed, Speed, optional
from vivavoce.books.book import Choices
from vivavoce.books.write import ChapterFormat
from vivavoce.errors import BadRequest
from vivavoce.jobs import (
    Cast,
    JobOptions,
    Pauses,
)
from vivavoce.jobs.webhooks import Hosts, Webhook, check_secret
from vivavoce.text.language.names import parse_language

_CHOICES: Final = Choices()
_PAUSES: Final = Pauses()
MAX_VOICES: Final = 100  # of a cast
MAX_CHAPTERS: Final = 10_000
Silence = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False), Number]
# A folder is for this machine alone.
FileFormat = Literal["m4b", "mp3", "opus", "flac", "epub", "zip", "srt", "vtt"]
Place = Annotated[int, Field(ge=1, le=MAX_CHAPTERS * 1_000), Number]
Title = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class CastBody(BaseModel):
    """Voices by character."""

    model_config = ConfigDict(extra="forbid")

    narrator: Name | None = optional("Says what nobody else says.")
    quotes: Name | None = optional("Says what is in quotation marks.")
    voices: Annotated[dict[Name, Name], Field(max_length=MAX_VOICES)] | None = optional(
        "The voice of each name: of paragraphs that begin with it and a colon, and of `[voice:…]`."
    )
    named_quotes: Flag | None = optional(
        "With true, a quote is said by the voice of the name beside it, as in “…,” said Anna."
    )

    def to_cast(self) -> Cast:
        return Cast(
            self.narrator or None,
            self.quotes or None,
            dict(self.voices or {}),
            bool(self.named_quotes),
        )


class PausesBody(BaseModel):
    """Silence in seconds."""

    model_config = ConfigDict(extra="forbid")

    sentence_s: Silence = _PAUSES.sentence_s
    paragraph_s: Silence = _PAUSES.paragraph_s
    heading_s: Silence = _PAUSES.heading_s
    chapter_s: Silence = _PAUSES.chapter_s


class ChoicesBody(BaseModel):
    """The parts of a book that are spoken, beside its chapters."""

    model_config = ConfigDict(extra="forbid")

    footnotes: Flag = _CHOICES.footnotes
    tables: Flag = _CHOICES.tables
    captions: Flag = _CHOICES.captions
    alt_texts: Flag = _CHOICES.alt_texts
    code: Flag = _CHOICES.code
    title_page: Flag = _CHOICES.title_page
    copyright: Flag = _CHOICES.copyright
    contents: Flag = _CHOICES.contents


class JobFields(PronunciationFields):
    """How a book is narrated. What is left out, the server chooses once for the whole job."""

    model_config = ConfigDict(extra="forbid")

    model: Name | None = None
    speaker: Name | None = None
    language: Name | None = optional("An English name or ISO 639-1 code, for the whole book.")
    instruct: Instruct | None = None
    speed: Speed | None = None
    seed: Seed | None = None
    formats: (
        Annotated[list[FileFormat], Field(min_length=1, max_length=len(get_args(FileFormat)))]
        | None
    ) = optional("The files to write, `m4b` by default. `zip` has a file for each chapter.")
    chapter_format: ChapterFormat | None = optional("Of the files in a `zip`, mp3 by default.")
    m4b_opus: Flag | None = optional("Opus instead of AAC in an `m4b`, which fewer players know.")
    epub_audio: Literal["mp3", "m4a"] | None = optional("Of the files in an `epub`.")
    epub_unit: Literal["sentence", "word"] | None = optional(
        "What is highlighted together in an `epub`."
    )
    chapters: Annotated[list[Place], Field(min_length=1, max_length=MAX_CHAPTERS)] | None = (
        optional("Numbers of the chapters to make, from 1. All by default.")
    )
    choices: ChoicesBody | None = optional("What is spoken beside the chapters.")
    cast: CastBody | None = optional("Voices by character.")
    pauses: PausesBody | None = optional("Silence between the parts.")
    paused: Flag | None = optional("Wait for `resume`, to look at the plan first.")
    webhook_url: str | None = optional(
        "Where to POST what becomes of the job, on a host of the setting `webhook_hosts`."
    )
    webhook_secret: str | None = optional("`whsec_` and 24 to 64 bytes in base64: the signing key.")

    @field_validator("formats", "chapters", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Read `a,b` as a list: form fields and command lines have no lists."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    def to_options(self) -> JobOptions:
        """Return the options. Raises `BadRequest`."""
        try:
            language = parse_language(self.language or "auto")
        except BadRequest as error:
            raise BadRequest(error.message, field="language") from error
        names = ("speed", "seed", "chapter_format", "m4b_opus", "epub_audio", "epub_unit")
        given = {
            **{name: getattr(self, name) for name in names},
            "model": self.model or None,
            "formats": self.formats and tuple(dict.fromkeys(self.formats)),
            "chapters": self.chapters and tuple(sorted(set(self.chapters))),
            "choices": self.choices and Choices(**self.choices.model_dump()),
            "cast": self.cast and self.cast.to_cast(),
            "pauses": self.pauses and Pauses(**self.pauses.model_dump()),
        }
        return JobOptions(
            voice=self.speaker or None,
            language=language,
            instruct=self.instruct or None,
            pronunciations=self.rules(),
            **{name: value for name, value in given.items() if value is not None},
        )

    def to_webhook(self, hosts: Hosts) -> Webhook | None:
        """Return who is to be told. Raises `BadRequest` for a host or secret that will not do."""
        if self.webhook_url is None:
            if self.webhook_secret is not None:
                problem = "webhook_secret is of no use without webhook_url: send both, or neither"
                raise BadRequest(problem, field="webhook_url")
            return None
        hosts.check(self.webhook_url)
        check_secret(self.webhook_secret or "")
        return Webhook(self.webhook_url, self.webhook_secret or "")


class NewJob(JobFields):
    """A text to narrate, with the options of its job."""

    text: str = Field(description="The text, with Markdown if `name` ends in `.md`.", min_length=1)
    name: Title | None = optional(
        "A file name, whose ending tells how the text is read: `.txt`, `.md` or `.html`."
    )


class ChangedRules(PronunciationFields):
    """The rules of pronunciation of a job, instead of those that it has."""

    model_config = ConfigDict(extra="forbid")


class Redo(BaseModel):
    """What is to be made anew."""

    model_config = ConfigDict(extra="forbid")

    chapter: Place = Field(description="Its number in the book, from 1.")
    sentence: Place | None = optional(
        "Its number in the chapter, from 1. The whole chapter if not."
    )


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model without references, for a body that FastAPI does not read.

    Any: of a schema.
    """
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, Mapping):
            if "$ref" in value:
                return resolved(parts[value["$ref"].rpartition("/")[2]])
            return {name: resolved(one) for name, one in value.items()}
        return [resolved(one) for one in value] if isinstance(value, list) else value

    found = resolved(schema)
    assert isinstance(found, dict)
    return found
