"""Validate the fields that tell how a text is read: its markup, its words, its parts."""

from dataclasses import asdict
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from vivavoce.api.schemas.values import NOT_EMPTY, Flag, Instruct, Name, Number
from vivavoce.errors import BadRequest
from vivavoce.text.language.names import parse_language
from vivavoce.text.lexicon import MAX_REQUEST_RULES, MAX_RULES, checked
from vivavoce.types import InputType, Pronunciation, SpeechInput

MAX_INPUTS: Final = 200
MAX_PAUSE_S: Final = 10.0


class TextFields(BaseModel):
    """The form of a text, for both APIs."""

    input_type: InputType | None = Field(
        None,
        description="`ssml`, `text` (never SSML), or `auto`: SSML if it begins with `<speak`.",
    )
    normalize: Flag | None = Field(
        None, description="Write numbers and symbols out in words also for models that read them."
    )


class PronunciationRule(BaseModel):
    """A word or phrase, and another one to say instead, or its sounds."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "string"}}}
                for name in ("alias", "ipa")
            ]
        },
    )

    word: Annotated[str, StringConstraints(max_length=100)] = Field(json_schema_extra=NOT_EMPTY)
    alias: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="Text to say instead.", json_schema_extra=NOT_EMPTY
    )
    ipa: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None,
        description="Sounds in the International Phonetic Alphabet. Models that take none say "
        "the alias.",
        json_schema_extra=NOT_EMPTY,
    )
    language: Name | None = Field(None, description="Only in this language.")
    case: Flag | None = Field(None, description="True matches upper and lower case exactly.")

    def to_rule(self, voice: str | None = None) -> Pronunciation:
        return Pronunciation(
            self.word, self.alias, self.ipa, self.language or None, bool(self.case), voice
        )


class PronunciationFields(BaseModel):
    """Rules of pronunciation for one request, for the bodies of both APIs."""

    pronunciations: (
        Annotated[list[PronunciationRule], Field(max_length=MAX_REQUEST_RULES)] | None
    ) = Field(None, description="Rules of pronunciation, above those of the server's lexicon.")

    def rules(self) -> tuple[Pronunciation, ...]:
        """Return the rules. Raises `BadRequest` for one that means nothing."""
        return checked(
            (rule.to_rule() for rule in self.pronunciations or ()), field="pronunciations"
        )


# Only a description: `checked` refuses rules that mean nothing.
QueryRule = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[^=]+=."})]


def rule_of(written: str) -> Pronunciation:
    """Return the rule written as `word=alias` or `word=/sounds/`, as in a query."""
    word, _, said = written.partition("=")
    if len(said) > 2 and said[0] == said[-1] == "/":
        return Pronunciation(word, ipa=said[1:-1])
    return Pronunciation(word, alias=said)


class LexiconRule(PronunciationRule):
    """A rule of the server's lexicon."""

    voice: Name | None = Field(None, description="Only for this voice.")


class LexiconBody(BaseModel):
    """The server's lexicon, as sent and as answered."""

    model_config = ConfigDict(extra="forbid")
    MAX_TOKENS: ClassVar[int] = 40 * MAX_RULES  # of JSON

    rules: Annotated[list[LexiconRule], Field(max_length=MAX_RULES)]

    def to_rules(self) -> tuple[Pronunciation, ...]:
        return tuple(rule.to_rule(rule.voice or None) for rule in self.rules)

    @classmethod
    def of(cls, rules: tuple[Pronunciation, ...]) -> "LexiconBody":
        return cls(rules=[LexiconRule(**asdict(rule)) for rule in rules])


class DialogueInput(BaseModel):
    """One part of a dialogue."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="The text to speak.", json_schema_extra=NOT_EMPTY)
    speaker: Name | None = Field(None, description="By default the model chooses.")
    language: Name | None = Field(None, description="By default that of the request.")
    instruct: Instruct | None = Field(None, description="By default that of the request.")
    pause_s: Annotated[float, Field(ge=0, le=MAX_PAUSE_S, allow_inf_nan=False), Number] | None = (
        Field(None, description="Seconds of silence after it; by default as after a sentence.")
    )

    def to_input(self) -> SpeechInput:
        """Return the part. Raises `BadRequest` for an unknown language."""
        try:
            language = parse_language(self.language) if self.language else None
        except BadRequest as error:
            raise BadRequest(error.message, field="inputs") from error
        return SpeechInput(
            self.text, self.speaker or None, language, self.instruct or None, self.pause_s
        )
