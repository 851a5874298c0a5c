"""Tell how much of a text was heard when its speech was interrupted."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vivavoce.text.split import CHARS_PER_S, weighted_length
from vivavoce.text.visemes import PAUSES, pause, spelled, weight
from vivavoce.text.words import word_spans
from vivavoce.types import TimedWord

# What belongs to the word behind it: currencies, signs and `<`, opening brackets and quotes.
_OPENING: Final = frozenset({"Sc", "Sm", "Ps", "Pi"})
_LINK: Final = re.compile(r"\]\([^()\n]*\)")


@dataclass(frozen=True, slots=True)
class Heard:
    """A text in two parts, which are all of it, and the seconds of its audio that were heard."""

    heard: str
    unheard: str
    audio_s: float


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a text, and the stretch of audio that says it.

    Attributes:
        text: As the author wrote it.
        start: Its place in the whole text.
        language: ISO 639-1.
        words: Those of its audio so far, None if the model tells no times.
        start_s: Where its audio begins.
        end_s: Where its audio ends, None while it is being spoken.
    """

    text: str
    start: int
    language: str
    words: Sequence[TimedWord] | None
    start_s: float
    end_s: float | None


def heard_of(text: str, clauses: Sequence[Clause], played_s: float) -> Heard:
    """Return what was heard of `text` after `played_s` of its audio.

    A word is heard if at least half of it was played. Where no times of words are known, they are
    estimated by their spelling. The marks that follow a word go with it, but for those that open
    something. No tag or link is torn.
    """
    at = 0
    for clause in clauses:
        if clause.words is None:
            end = _estimated(clause, played_s)
        else:
            end = _timed(clause.words, played_s)
        if end:
            at = max(at, clause.start + end)
    while 0 < at < len(text) and not (text[at].isalnum() or text[at].isspace()):
        if unicodedata.category(text[at]) in _OPENING:
            break
        link = _LINK.match(text, at)
        at = link.end() if link else at + 1
    return Heard(text[:at], text[at:], played_s)


def _timed(words: Sequence[TimedWord], played_s: float) -> int:
    """Return the end of what was heard of a clause."""
    heard = (word.end for word in words if word.start_s + word.end_s <= 2 * played_s)
    return max(heard, default=0)


def _estimated(clause: Clause, played_s: float) -> int:
    if clause.end_s is not None and clause.end_s <= played_s:
        return len(clause.text)
    duration_s = weighted_length(clause.text.strip()) / CHARS_PER_S
    if clause.end_s is not None:
        duration_s = clause.end_s - clause.start_s
    lengths, ends, before = [], [], 0
    for start, end in word_spans(clause.text, clause.language):
        shapes = spelled(clause.text[start:end], clause.language)
        silence = PAUSES[pause(clause.text[before:start])] if before else 0.0
        lengths.append((silence, sum(map(weight, shapes)) or 1.0))
        ends.append(end)
        before = end
    total = sum(silence + length for silence, length in lengths)
    at_s, heard = clause.start_s, 0
    for end, (silence, length) in zip(ends, lengths, strict=True):
        middle_s = at_s + (silence + length / 2) * duration_s / total
        at_s += (silence + length) * duration_s / total
        heard = end if middle_s <= played_s else heard
    return heard
