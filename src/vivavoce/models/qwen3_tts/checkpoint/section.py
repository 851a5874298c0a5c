"""Read the JSON files of a checkpoint, with errors that name file, key and value.

It knows no key. The modules that read a file know its keys.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from vivavoce.errors import EngineFault, MissingDependency

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Far above the numbers of a checkpoint. From twice as many on, torch cannot count a matrix.
BEYOND = 1 << 24
T = TypeVar("T", bound="DataclassInstance")


def read_section(path: Path) -> "Section":
    """Return the object in a JSON file. Raises `MissingDependency`, or `EngineFault` for others."""
    try:
        return Section("", json.loads(path.read_text(encoding="utf-8")), path)
    except FileNotFoundError as error:
        raise MissingDependency(
            f"{str(path)!r} is missing: name the folder of a Qwen3-TTS checkpoint, or download the "
            "whole checkpoint"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise EngineFault(
            f"{str(path)!r} cannot be read as JSON ({error}): download the whole checkpoint again"
        ) from error


@dataclass(frozen=True, slots=True)
class Section:
    """One JSON object. It names itself in errors about its keys."""

    name: str
    values: Any  # a JSON object, checked by `__post_init__`
    path: Path

    def __post_init__(self) -> None:
        if not isinstance(self.values, dict):
            problem = f"{str(self.path)!r}: {self.name or 'the file'} must be a JSON object"
            raise EngineFault(problem)

    def section(self, key: str) -> "Section":
        return Section(self._full(key), self._required(key), self.path)

    def optional_section(self, key: str) -> "Section":
        """Return the object at `key`, or an empty one."""
        return Section(self._full(key), self.values.get(key) or {}, self.path)

    def text(self, key: str) -> str:
        value = self._required(key)
        if not isinstance(value, str):
            self.refuse(key, "a string")
        return str(value)

    def integer(self, key: str, default: int | None = None, *, below: int = BEYOND) -> int:
        value = self._required(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
            self.refuse(key, f"a whole number of at least 0 and below {below}")
        return int(value)

    def number(self, key: str, default: float | None = None) -> float:
        value = self._required(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(key, "a number")
        return float(value)

    def numbers(self, key: str, *, below: int) -> dict[str, int]:
        inner = self.optional_section(key)
        return {str(name): inner.integer(name, below=below) for name in inner.values}

    def optional(self, key: str, kind: type) -> Any:  # `kind` or None
        value = self.values.get(key)
        if value is not None and not isinstance(value, kind):
            self.refuse(key, f"of type {kind.__name__}")
        return value

    def fill(self, kind: type[T], *, least: int = 0) -> T:
        """Return the dataclass `kind` with the values of this object, else its defaults.

        Every field has a default, which gives its type. Whole numbers are at least `least`. Keys
        that `kind` does not have belong to other software and are skipped.
        """
        given: dict[str, Any] = {}
        for field in fields(kind):
            value = self.values.get(field.name)
            default: Any = field.default  # of any type
            if value is None:
                continue
            if not _is_like(value, default, least):
                self.refuse(field.name, f"like {default!r}, and whole numbers at least {least}")
            given[field.name] = type(default)(value)  # a list becomes a tuple
        return kind(**given)

    def demand(self, key: str, value: object, wanted: object) -> None:
        """Raise `EngineFault` if `value`, read or derived from `key`, is not `wanted`."""
        if value != wanted:
            raise EngineFault(
                f"{str(self.path)!r}: {self._full(key)} is {value!r}; this engine runs {wanted!r} "
                "only: use a released Qwen3-TTS 12 Hz checkpoint"
            )

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise the `EngineFault` for a value that this engine does not support."""
        raise EngineFault(
            f"{str(self.path)!r}: {self._full(key)} is {self.values.get(key)!r}, must be {expected}"
        )

    def _required(self, key: str, default: object = None) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise EngineFault(
                f"{str(self.path)!r} lacks the key {self._full(key)!r}: not a Qwen3-TTS "
                "checkpoint, or incomplete"
            )
        return value

    def _full(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def _is_like(value: object, default: object, least: int) -> bool:
    """True if `value` has the type of `default`. JSON writes tuples as lists, some floats as 2."""
    if isinstance(default, tuple):
        return isinstance(value, list) and all(_is_like(item, 0, least) for item in value)
    if type(value) is int:
        return abs(value) < BEYOND and (
            isinstance(default, float) or (type(default) is int and value >= least)
        )
    return type(value) is type(default)
