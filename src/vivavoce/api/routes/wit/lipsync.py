"""Tell clients that move lips when each word, sound and viseme begins.

Visemes are those of the sounds, where the model tells them. Else a word's time is divided among
the visemes of its spelling.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from vivavoce.text.visemes import Viseme, sounded, spelled, weight
from vivavoce.types import TimedWord

SHORT_S: Final = 0.05  # a shorter gap between words does not close the mouth


@dataclass(frozen=True, slots=True)
class Event:
    """The start of a word, sound or viseme, at sample `offset` of the audio."""

    type: Literal["WORD", "PHONE", "VISEME"]
    offset: int
    data: str


def events(words: Sequence[TimedWord], language: str, rate_hz: int) -> list[Event]:
    """Return the events of `words`, in order. The mouth closes after the last one: `sil`."""
    found: list[Event] = []
    for word, following in pairwise((*words, None)):
        assert word is not None
        found.append(Event("WORD", round(word.start_s * rate_hz), word.spoken))
        shapes = _sounds(word, rate_hz) if word.phones else _spelling(word, language, rate_hz)
        found += shapes
        if following is None or following.start_s - word.end_s > SHORT_S:
            found.append(Event("VISEME", round(word.end_s * rate_hz), "sil"))
    return found


def _sounds(word: TimedWord, rate_hz: int) -> Iterator[Event]:
    for phone in word.phones:
        yield Event("PHONE", round(phone.start_s * rate_hz), phone.ipa)
        yield from _visemes(sounded(phone.ipa), phone.start_s, phone.end_s, rate_hz)


def _spelling(word: TimedWord, language: str, rate_hz: int) -> Iterator[Event]:
    return _visemes(spelled(word.spoken, language), word.start_s, word.end_s, rate_hz)


def _visemes(
    shapes: Sequence[Viseme], start_s: float, end_s: float, rate_hz: int
) -> Iterator[Event]:
    scale = (end_s - start_s) / (sum(map(weight, shapes)) or 1.0)
    for shape in shapes:
        yield Event("VISEME", round(start_s * rate_hz), shape)
        start_s += weight(shape) * scale
