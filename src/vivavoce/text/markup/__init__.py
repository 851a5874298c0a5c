"""Turn SSML and inline tags into the runs of a `Document`."""

from vivavoce.text.markup.ssml import is_ssml, parse_ssml
from vivavoce.text.markup.tags import split_tags

__all__ = ["is_ssml", "parse_ssml", "split_tags"]
