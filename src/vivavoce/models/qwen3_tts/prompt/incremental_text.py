"""Text that comes in pieces, as the ids that the whole of it would have; it knows neither prompts
nor frames.

A tokenizer cuts text into words and joins bytes within each. How the end of what is known will be
cut depends on what follows, so the last word is held back until the next one begins, and so are
spaces and combining marks at the end,
whose number counts, and what may become a marker such as `<|im_end|>`.

A language with spaces is thus one word late. Chinese, Japanese and Thai write many words in one run
of letters, which is held back until a punctuation mark, a digit or a space: seldom more than a
clause. Runs could be cut sooner, where no entry of the vocabulary reaches across; that needs an
index of the vocabulary, and is not done.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer


class LiveText:
    """Ids of a text that grows; `start` is what stands before it."""

    def __init__(self, tokenizer: Tokenizer, start: str = "") -> None:
        self._tokenizer = tokenizer
        self.held = start  # what has no ids yet

    def add(self, text: str, *, last: bool) -> list[int]:
        """Return the ids that have become certain with `text`: all that are left if it is the `last`."""
        self.held += text
        if last:
            return self._tokenizer.encode(self.held)
        words = self._tokenizer.words(self.held)
        settled = settled_chars(self.held, self._tokenizer.markers)
        for index in range(len(words) - 1, 0, -1):
            before, word = words[index - 1], words[index]
            # Not between a letter and its marks, nor inside a letter that is written as two: both
            # are cut anew.
            if before.end <= word.start <= settled and not _joins(self.held[word.start]):
                self.held = self.held[word.start :]
                return [id_ for word in words[:index] for id_ in word.ids]
        return []


def settled_chars(text: str, markers: Sequence[str]) -> int:
    """Return the last place in `text` up to which its words may be certain, whatever follows."""
    end = _marker_start(text, markers)
    if (bare := len(text[:end].rstrip())) < end:
        return bare
    if end < len(text):
        return end
    return next((index for index in range(len(text) - 1, 0, -1) if not _joins(text[index])), 0)


def _marker_start(text: str, markers: Sequence[str]) -> int:
    """Where the marker that may be coming begins, the end of `text` if none may."""
    longest = max(map(len, markers), default=0)
    tails = range(max(0, len(text) - longest), len(text))
    return next(
        (start for start in tails if any(marker.startswith(text[start:]) for marker in markers)),
        len(text),
    )


def _joins(char: str) -> bool:
    """True if `char` may melt into the one before it.

    An unassigned one may be a mark that others know.
    """
    category = unicodedata.category(char)
    return category.startswith("M") or category == "Cn"


@dataclass(eq=False, slots=True)
class LiveTurn:
    """The text of one live stream, as far as it is known."""

    ids: LiveText
    text: str = ""
    known: list[int] = field(
        default_factory=list
    )  # ids of the turn from its first, that of its opening
    complete: bool = False
    trailing: int = 0  # ids that the stream was given to read while it speaks

    def add(self, text: str, *, last: bool) -> list[int]:
        """Return the ids that have become certain with `text`."""
        new = self.ids.add(text, last=last)
        self.text += text
        self.known += new
        self.complete = last
        return new
