"""Say why a file is no book that can be read, and what to do."""

import re
from typing import Final

from vivavoce.errors import BadRequest

_NAME_CHARS: Final = 80


def refused(name: str, why: str, then: str = "get the book again, or save it anew") -> BadRequest:
    """Return the error for the file `name`. `why` and `then` complete its sentence."""
    shown = name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]}…"
    return BadRequest(f"the file {shown!r} {why}: {then}", field="file")


def title_of(name: str) -> str:
    """Return the title of a book that tells none: the name of its file."""
    return re.sub(r"\.\w{1,9}\Z", "", name.replace("\\", "/").rpartition("/")[2]) or name
