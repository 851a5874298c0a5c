"""Define the types of single values in requests."""

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, JsonValue, StringConstraints, WithJsonSchema

from vivavoce.names import MAX_NAME_CHARS
from vivavoce.types import MAX_INSTRUCT_CHARS, MAX_REFERENCE_CHARS, AudioFormat

# Only a description: the synthesizer also refuses texts without a word.
NOT_EMPTY: dict[str, JsonValue] = {"minLength": 1}


def _not_boolean(value: object) -> object:
    """Reject a boolean as a number: pydantic would read `true` as 1."""
    if isinstance(value, bool):
        raise ValueError("it should be a number")
    return value


def optional(description: str, **more: Any) -> Any:
    """Return a field that may be left out, or null. Any: as pydantic's own function."""
    return Field(None, description=description, **more)


def text_field(description: str) -> Any:
    """Return the field of the text. Any: as pydantic's own function."""
    return Field(description=description, examples=["Hello, world."], json_schema_extra=NOT_EMPTY)


Number = BeforeValidator(_not_boolean)
# The values that pydantic reads as a boolean.
FLAGS = [0, 1, "0", "1", "false", "true", "off", "on", "no", "yes", "n", "y", "f", "t"]
Flag = Annotated[bool, WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": FLAGS}]})]
Speed = Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False), Number]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), Number]
SampleRate = Annotated[int, Field(ge=8_000, le=48_000), Number]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NAME_CHARS)]
Instruct = Annotated[str, StringConstraints(max_length=MAX_INSTRUCT_CHARS)]
ReferenceText = Annotated[str, StringConstraints(max_length=MAX_REFERENCE_CHARS)]
Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False), Number]
TopK = Annotated[int, Field(ge=0, le=2**31 - 1), Number]
TopP = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), Number]
Penalty = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False), Number]
Timeout = Annotated[float, Field(ge=0.001, le=86_400, allow_inf_nan=False), Number]


def _lower_case(value: object) -> object:
    """Return a name in lower case, or None if it is empty."""
    return value.strip().lower() or None if isinstance(value, str) else value


FormatName = Annotated[
    AudioFormat | None,
    BeforeValidator(_lower_case),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [*get_args(AudioFormat), ""]}, {"type": "null"}]}
    ),
]
