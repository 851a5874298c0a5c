"""Make voices from descriptions: previews to listen to, and to save one of."""

from vivavoce.synthesis.design.making import (
    MAX_COUNT,
    MAX_TEXT_CHARS,
    Wish,
    make_previews,
    short_text,
)
from vivavoce.synthesis.design.previews import FOLDER as PREVIEWS_FOLDER
from vivavoce.synthesis.design.previews import Preview, Previews

__all__ = [
    "MAX_COUNT", "MAX_TEXT_CHARS", "PREVIEWS_FOLDER", "Preview", "Previews", "Wish",
    "make_previews", "short_text",
]  # fmt: skip
