"""Load the tables of a language: its units, currencies, abbreviations, symbols and letter names.

Each language has a TOML file in this folder, named by its ISO 639-1 code.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(language: str) -> Mapping[str, Any]:
    """Return the sections of the language's file. Raises `FileNotFoundError` if it has none."""
    return tomllib.loads((files(__name__) / f"{language}.toml").read_text("utf-8"))
