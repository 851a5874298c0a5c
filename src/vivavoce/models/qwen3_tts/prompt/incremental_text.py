"""Encode text that arrives in pieces to the ids that the whole text would have.

It knows neither prompts nor frames. A tokenizer cuts text into words and joins bytes within each.
The cut at the end of the known text depends on the next piece. Held back are therefore:

- the last word, until the next one begins,
- spaces and combining marks at the end, whose number counts,
- the possible beginning of a marker such as `<|im_end|>`.

A language with spaces is thus one word late. Chinese, Japanese and Thai write many words in one run
of letters, which is held back until a punctuation mark, a digit or a space: seldom more than a
clause. A run could be cut sooner where no entry of the vocabulary reaches across. That needs an
index of the vocabulary, and is not done.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer


class IncrementalText:
    """Ids of a growing text. `start` is the text before it."""

    def __init__(self, tokenizer: Tokenizer, start: str = "") -> None:
        self._tokenizer = tokenizer
        self.held = start  # text without ids yet

    def add(self, text: str, *, last: bool) -> list[int]:
        """Return the ids that are certain with `text`, all of them after the `last`."""
        self.held += text
        if last:
            return self._tokenizer.encode(self.held)
        words = self._tokenizer.words(self.held)
        settled = settled_chars(self.held, self._tokenizer.markers)
        for index in range(len(words) - 1, 0, -1):
            before, word = words[index - 1], words[index]
            # Not between a letter and its marks, nor inside a decomposed letter: more text may
            # change both.
            if before.end <= word.start <= settled and not _joins(self.held[word.start]):
                self.held = self.held[word.start :]
                return [id_ for word in words[:index] for id_ in word.ids]
        return []


def settled_chars(text: str, markers: Sequence[str]) -> int:
    """Return the last index in `text` up to which its words may be certain."""
    end = _marker_start(text, markers)
    if (bare := len(text[:end].rstrip())) < end:
        return bare
    if end < len(text):
        return end
    return next((index for index in range(len(text) - 1, 0, -1) if not _joins(text[index])), 0)


def _marker_start(text: str, markers: Sequence[str]) -> int:
    """Return the index where a marker may begin, else the length of `text`."""
    longest = max(map(len, markers), default=0)
    for start in range(max(0, len(text) - longest), len(text)):
        if any(marker.startswith(text[start:]) for marker in markers):
            return start
    return len(text)


def _joins(char: str) -> bool:
    """True if `char` may combine with the one before it, now or in a newer Unicode."""
    category = unicodedata.category(char)
    return category.startswith("M") or category == "Cn"


@dataclass(eq=False, slots=True)
class LiveTurn:
    """Text of one live stream, as far as it is known."""

    ids: IncrementalText
    text: str = ""
    known: list[int] = field(default_factory=list)  # ids of the turn, from its opening on
    complete: bool = False
    trailing: int = 0  # ids fed to the stream during speech

    def add(self, text: str, *, last: bool) -> list[int]:
        """Return the ids that are certain with `text`."""
        new = self.ids.add(text, last=last)
        self.text += text
        self.known += new
        self.complete = last
        return new
