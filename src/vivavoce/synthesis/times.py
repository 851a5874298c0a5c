"""Place the words of a speech in the audio of its answer.

A model tells the times of phones in its own samples. These are trimmed, joined, stretched and
resampled on their way to the client. Those of models that tell none are aligned or estimated.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import get_args

import numpy as np

from vivavoce.audio.filters import Filters
from vivavoce.audio.join import loud_span
from vivavoce.synthesis.alignment import Aligner
from vivavoce.text.document import Mark
from vivavoce.text.pipeline import SpokenSegment
from vivavoce.text.tracked import Word
from vivavoce.text.visemes import PAUSES, pause, spelled, weight
from vivavoce.text.words import word_spans
from vivavoce.types import Phone, Samples, TimedMark, TimedPhone, TimedWord, Timing

_TIMINGS = get_args(Timing)  # the best first


@dataclass(frozen=True, slots=True)
class _Placed:
    """A word with times in its segment's own samples."""

    word: Word
    phones: Sequence[Phone]
    start_s: float
    end_s: float


@dataclass(eq=False, slots=True)
class SegmentWords:
    """The words of one segment, which get their times as the phones come.

    `phones` are those so far, `origin` is the place of the segment's first sample in the joined
    audio of its part, None until it is known. `complete` says that no phones follow.
    """

    text: SpokenSegment
    input: int
    rate_hz: int
    phones: Sequence[Phone] = ()
    origin: int | None = None
    complete: bool = False
    _taken: int = 0  # phones
    _words: Sequence[Word] = ()
    _ends: Sequence[int] = ()  # of the words, in the text of the segment
    _next: int = 0  # word
    _end_s: float = 0.0  # of the latest phone

    def __post_init__(self) -> None:
        spans = word_spans(self.text.text, self.text.language)
        self._words, self._ends = self.text.words, [end for _, end in spans]

    def take(self) -> Iterator[_Placed]:
        """Yield the words whose times are known now, each once, in order.

        A word without a phone stands, for no time, before the next one.
        """
        new, self._taken = self.phones[self._taken :], len(self.phones)
        for (start, end), group in groupby(new, lambda phone: (phone.start, phone.end)):
            phones = list(group)
            first = max(bisect_right(self._ends, start), self._next)
            last = max(bisect_right(self._ends, max(end - 1, start)), first)
            yield from self._silent(first, phones[0].start_s)
            said = self._words[first : last + 1]
            yield from _divided(said, phones)
            self._next = first + len(said)
            self._end_s = max(self._end_s, phones[-1].end_s)
        if self.complete:
            yield from self._silent(len(self._words), self._end_s)

    def _silent(self, until: int, at_s: float) -> Iterator[_Placed]:
        for word in self._words[self._next : until]:
            yield _Placed(word, (), at_s, at_s)
        self._next = max(self._next, until)


def _divided(words: Sequence[Word], phones: Sequence[Phone]) -> Iterator[_Placed]:
    """Divide the time of `phones` among the words that they belong to, by letters."""
    start_s, end_s = phones[0].start_s, phones[-1].end_s
    letters = list(accumulate(len(word.spoken) for word in words))
    bounds = [start_s, *(start_s + (end_s - start_s) * part / letters[-1] for part in letters)]
    for index, word in enumerate(words):
        begin, end = bounds[index], bounds[index + 1]
        until = end if index < len(words) - 1 else float("inf")
        own = [phone for phone in phones if begin <= phone.start_s < until]
        yield _Placed(word, own, begin, end)


@dataclass(eq=False, slots=True)
class WordClock:
    """The words of an answer and their times.

    `texts` are the author's, one an input, and `marks` their named places. A stretch is audio that
    goes through the same `Filters`. Audio is held back until the times of all words that begin in
    it are known.
    """

    texts: Sequence[str]
    rate_hz: int  # of the answer
    marks: Sequence[Sequence[Mark]] = ()  # of each input
    aligner: Aligner | None = None
    words: list[TimedWord] = field(default_factory=list)
    timing: Timing = "model"
    _filters: Filters | None = None
    _stretch_in: int = 0  # where the stretch begins in the joined audio
    _stretch_out: int = 0  # and in the answer
    _taken: int = 0  # samples that went into the filters
    _given: int = 0  # and came out, but for those held back
    _due: deque[tuple[_Placed, SegmentWords]] = field(default_factory=deque)
    _held: list[Samples] = field(default_factory=list)

    def begin(self, filters: Filters, joined: int, given: int) -> None:
        """Begin a stretch at sample `joined` of its part and sample `given` of the answer."""
        self._filters, self._stretch_in, self._stretch_out = filters, joined, given
        self._taken = self._given = 0

    def add(self, segment: SegmentWords) -> None:
        """Take the new phones of a segment of this stretch."""
        if segment.origin is not None:
            self._due += [(placed, segment) for placed in segment.take()]

    async def hear(self, samples: Samples, segment: SegmentWords) -> None:
        """Find the times of a segment in its whole audio, or estimate them."""
        timing: Timing = "aligned"
        found: Sequence[Phone] | None = None
        if self.aligner is not None:
            found = await self.aligner.align(samples, segment.rate_hz, segment.text)
        if found is None:
            timing, found = "estimated", estimate(samples, segment.rate_hz, segment.text)
        segment.phones = found
        self.timing = max(self.timing, timing, key=_TIMINGS.index)

    def mark_times(self, end_s: float) -> Iterator[TimedMark]:
        """Yield the marks of a complete answer, each at the word behind it, else at `end_s`."""
        for index, marks in enumerate(self.marks):
            words = [word for word in self.words if word.input == index] if marks else []
            starts = [word.start for word in words]
            for mark in marks:
                behind = bisect_left(starts, mark.at)
                time_s = words[behind].start_s if behind < len(words) else end_s
                yield TimedMark(mark.name, time_s, index)

    def release(self, samples: Samples, taken: int = 0, *, last: bool = False) -> Samples:
        """Return what may be given out of filtered audio. `last` ends the stretch.

        `samples` are what the filters gave when they took `taken` of the joined samples.
        """
        self._taken += taken
        self._held.append(samples)
        while self._due and self._settle(*self._due[0]):
            self._due.popleft()
        if not last and self._due and self._begins() < self._taken:
            return samples[:0]
        held, self._held = self._held, []
        self._given += sum(map(len, held))
        if last:
            self._limit_last((self._stretch_out + self._given) / self.rate_hz)
        return held[0] if len(held) == 1 else np.concatenate(held)

    def _settle(self, placed: _Placed, segment: SegmentWords) -> bool:
        """Add a word to `words`, or return False if its end is not known yet."""
        start_s = self._position(placed.start_s, segment)
        end_s = self._position(placed.end_s, segment)
        if start_s is None or end_s is None:
            return False
        phones = []
        for phone in placed.phones if placed.phones and placed.phones[0].ipa else ():
            begin = self._position(phone.start_s, segment)
            end = self._position(phone.end_s, segment)
            if begin is None or end is None:  # a phone may end after its share of a phrase
                return False
            phones.append(TimedPhone(phone.ipa, begin, end))
        self._limit_last(start_s)
        word = placed.word
        written = self.texts[segment.input][word.start : word.end]
        self.words.append(
            TimedWord(
                written, word.spoken, word.start, word.end, start_s, end_s, tuple(phones),
                segment.input,
            )
        )  # fmt: skip
        return True

    def _limit_last(self, end_s: float) -> None:
        """End the latest word at `end_s` at the latest: what follows it may have been trimmed."""
        if self.words and (last := self.words[-1]).end_s > end_s:
            phones = tuple(
                replace(phone, start_s=min(phone.start_s, end_s), end_s=min(phone.end_s, end_s))
                for phone in last.phones
            )
            start_s = min(last.start_s, end_s)
            self.words[-1] = replace(last, start_s=start_s, end_s=end_s, phones=phones)

    def _begins(self) -> float:
        """Return the sample of the filters' input at which the next word begins."""
        placed, segment = self._due[0]
        return self._input(placed.start_s, segment)

    def _input(self, time_s: float, segment: SegmentWords) -> float:
        assert segment.origin is not None
        return max(segment.origin + time_s * segment.rate_hz - self._stretch_in, 0.0)

    def _position(self, time_s: float, segment: SegmentWords) -> float | None:
        """Return the time in the answer of a time in a segment's own samples, None if unknown."""
        assert self._filters is not None
        out = self._filters.position(self._input(time_s, segment))
        return None if out is None else (self._stretch_out + out) / self.rate_hz


def estimate(samples: Samples, rate_hz: int, text: SpokenSegment) -> tuple[Phone, ...]:
    """Return a phone without a sound for each word of `text`, whose whole audio is `samples`.

    The audible part is divided among the words by their spelling. Punctuation counts as silence.
    """
    spans = list(word_spans(text.text, text.language))
    first, end = loud_span(samples)
    if not spans or first == end:
        return ()
    words = [text.text[start:stop] for start, stop in spans]
    lengths = [sum(map(weight, spelled(word, text.language))) or 1.0 for word in words]
    following = [text.text[spans[i][1] : spans[i + 1][0]] for i in range(len(spans) - 1)]
    pauses = [*(PAUSES[pause(between)] for between in following), 0.0]
    scale = (end - first) / rate_hz / (sum(lengths) + sum(pauses))
    at_s = first / rate_hz
    phones = []
    for span, length, silence in zip(spans, lengths, pauses, strict=True):
        phones.append(Phone("", at_s, at_s + length * scale, *span))
        at_s += (length + silence) * scale
    return tuple(phones)
