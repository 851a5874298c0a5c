"""Recognise stage directions by the words in `actions.toml`: *sighs*, [laughs softly], (coughs)."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

MAX_WORDS: Final = 4  # "[laughs softly to himself]"


def is_direction(text: str, *, moods: bool = True) -> bool:
    """True if `text` is a stage direction by its words: a sound, a gesture or, if asked, a mood."""
    words = text.lower().replace(",", " ").split()
    if not 0 < len(words) <= MAX_WORDS:
        return False
    if words[0] in _words("gestures") or _words("sounds") & {words[0], words[-1]}:
        return True
    return moods and all(word in _words("moods") for word in words)


def begins_action(text: str) -> bool:
    """True if `text` begins as actions do: "sighs", "She nods"."""
    words = [word.strip(".,!?…;:") for word in text.lower().split()[:2]]
    return not (_words("sounds") | _words("gestures")).isdisjoint(words)


@cache
def _words(kind: str) -> frozenset[str]:
    """Return the words of one list in the file."""
    table = tomllib.loads((files("vivavoce.text.markup") / "actions.toml").read_text("utf-8"))
    return frozenset(table[kind])
