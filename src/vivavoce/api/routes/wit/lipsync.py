"""Estimate the times of words and visemes in a segment, for clients that move lips.

Models report no times. The audible part of a segment is divided among its words by their spelling.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vivavoce.audio.join import SILENCE_LEVEL
from vivavoce.text.visemes import PAUSES, Word, weight, words
from vivavoce.types import Samples


@dataclass(frozen=True, slots=True)
class Event:
    """The start of a word or viseme, at sample `offset` of the audio."""

    type: Literal["WORD", "VISEME"]
    offset: int
    data: str


def estimate(text: str, samples: Samples, language: str, *, start: int) -> list[Event]:
    """Return the events of a segment that begins at sample `start`, in order.

    A silent segment has none. Punctuation inside the segment counts as silence. After the last word
    the mouth is closed:
    `sil`.
    """
    loud = np.flatnonzero(np.abs(samples) > SILENCE_LEVEL)
    said = words(text, language)
    if not len(loud) or not said:
        return []
    first, end = start + int(loud[0]), start + int(loud[-1]) + 1
    lengths = [_length(word) for word in said]
    lengths[-1] -= PAUSES[said[-1].pause]  # the pause after the last word is not audible
    scale = (end - first) / sum(lengths)
    events: list[Event] = []
    at = 0.0
    for word, length in zip(said, lengths, strict=True):
        events += _events(word, first + at * scale, scale)
        at += length
    return [event for event in events if event.offset < end] + [Event("VISEME", end, "sil")]


def _events(word: Word, at: float, scale: float) -> list[Event]:
    events = [Event("WORD", round(at), word.text)]
    for viseme in word.visemes:
        events.append(Event("VISEME", round(at), viseme))
        at += weight(viseme) * scale
    if word.pause != "none":
        events.append(Event("VISEME", round(at), "sil"))
    return events


def _length(word: Word) -> float:
    return sum(map(weight, word.visemes)) + PAUSES[word.pause]
