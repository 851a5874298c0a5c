"""Tell when each character of a text is heard, from the times of its words.

A word's time is divided among its characters in equal parts. What stands between two words, such as
spaces and marks, has the time between them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vivavoce.types import TimedWord

# Marks behind a word, up to the next one. Not what may begin markup.
_TAIL: Final = re.compile(r"[^\w\s<\[]*\s*")


@dataclass(slots=True)
class Alignment:
    """Characters, and their starts and ends in seconds, three lists of one length."""

    chars: list[str] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)

    def add(self, text: str, start_s: float, end_s: float) -> None:
        """Add the characters of `text`, in equal parts of the time."""
        step_s = max(end_s - start_s, 0.0) / max(len(text), 1)
        for at, char in enumerate(text):
            self.chars.append(char)
            self.starts_s.append(start_s + at * step_s)
            self.ends_s.append(start_s + (at + 1) * step_s)

    def in_seconds(self) -> Mapping[str, list[str] | list[float]] | None:
        """Return the form of the HTTP answers, None if there is no character."""
        if not self.chars:
            return None
        return {
            "characters": self.chars,
            "character_start_times_seconds": [round(at, 3) for at in self.starts_s],
            "character_end_times_seconds": [round(at, 3) for at in self.ends_s],
        }

    def in_ms(self, from_ms: int) -> Mapping[str, list[str] | list[int]]:
        """Return the form of the WebSockets, with times that count from `from_ms`."""
        starts = [round(1000 * at) for at in self.starts_s]
        ends = [round(1000 * at) for at in self.ends_s]
        return {
            "chars": self.chars,
            "charStartTimesMs": [at - from_ms for at in starts],
            "charDurationsMs": [end - at for at, end in zip(starts, ends, strict=True)],
        }


class CharLine:
    """One line of characters: the text as it is written, or as it is said if `spoken`."""

    def __init__(self, *, spoken: bool = False) -> None:
        self.end_s = 0.0
        self.told_ms = 0  # the end of what a client was told, which keeps it here
        self._spoken = spoken
        self._at = 0  # the characters of the text before it are told

    def add(self, words: Iterable[TimedWord], text: str) -> Alignment:
        """Return the characters of the next `words` of `text`, and the marks behind them."""
        told = Alignment()
        for word in words:
            if word.start >= self._at:
                gap = _between(text[self._at : word.start], first=self._at == 0)
            elif self._spoken:
                gap = " "  # another word for the same characters
            else:
                continue
            start_s = max(word.start_s, self.end_s)
            told.add(gap, self.end_s, start_s)
            self.end_s = max(word.end_s, start_s)
            told.add(word.spoken if self._spoken else word.word, start_s, self.end_s)
            self._at = max(self._at, word.end)
            # More words may follow for characters that are read as others: marks come behind them.
            if not self._spoken or word.spoken.casefold() == word.word.casefold():
                self._add_tail(told, text)
        return told

    def finish(self, text: str) -> Alignment:
        """Return the marks that are left, and a space if they do not end with one.

        Clients take a word for complete when they see a space.
        """
        told = Alignment()
        if self._at:
            self._add_tail(told, text)
            if not text[: self._at][-1:].isspace():
                told.add(" ", self.end_s, self.end_s)
        return told

    def _add_tail(self, told: Alignment, text: str) -> None:
        found = _TAIL.match(text, self._at)
        assert found is not None
        told.add(found.group(), self.end_s, self.end_s)
        self._at = found.end()


def _between(gap: str, *, first: bool) -> str:
    """Return what is told of the characters between two words, or before the `first`."""
    if any(map(str.isalnum, gap)):  # markup, or what cannot be said
        return "" if first else " "
    return gap.lstrip() if first else gap
