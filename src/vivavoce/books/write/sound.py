"""Read the audio of several chapters as one sound, from any place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import Resampler, from_int16, to_int16
from vivavoce.books.book import NarratedChapter
from vivavoce.errors import VivavoceError

_SETTLED_S = 0.2  # of a resampler's input: after it, the output does not depend on the beginning


@dataclass(frozen=True, slots=True)
class Sound:
    """Chapters that follow one another, at `rate_hz`. Their files are at `file_hz`.

    Positions are samples at `rate_hz`.
    """

    chapters: Sequence[NarratedChapter]
    file_hz: int
    rate_hz: int

    @property
    def starts(self) -> list[int]:
        """The beginning of each chapter, and the end."""
        return [self._own(start) for start in self._file_starts]

    @property
    def samples(self) -> int:
        """The length."""
        return self.starts[-1]

    @property
    def pauses(self) -> list[int]:
        """The middles of the pauses before sentences."""
        found = list[int]()
        for chapter, start in zip(self.chapters, self.starts, strict=False):
            ends = [0.0, *(sentence.end_s for sentence in chapter.sentences)]
            for before, sentence in zip(ends, chapter.sentences, strict=False):
                found.append(start + round((before + sentence.start_s) / 2 * self.rate_hz))
        return found

    def read(self, start: int, end: int) -> Iterator[NDArray[np.int16]]:
        """Yield the samples from `start` to `end`. Raises `VivavoceError` if a file is damaged."""
        if self.file_hz == self.rate_hz:
            yield from self._read(start, end)
            return
        resampler = Resampler(self.file_hz, self.rate_hz)
        # A whole number of seconds is a whole number of samples at both rates.
        first_s = max(0, int(start / self.rate_hz - _SETTLED_S))
        last = round((end / self.rate_hz + _SETTLED_S) * self.file_hz)
        at = first_s * self.rate_hz
        blocks = self._read(first_s * self.file_hz, min(last, self._file_starts[-1]))
        for samples in self._resampled(resampler, blocks):
            wanted = samples[max(start - at, 0) : max(end - at, 0)]
            at += len(samples)
            if len(wanted):
                yield to_int16(wanted)

    @property
    def _file_starts(self) -> list[int]:
        return [0, *accumulate(chapter.samples for chapter in self.chapters)]

    def _own(self, position: int) -> int:
        return round(position * self.rate_hz / self.file_hz)

    def _read(self, start: int, end: int) -> Iterator[NDArray[np.int16]]:
        for chapter, (first, last) in zip(self.chapters, pairwise(self._file_starts), strict=True):
            if max(first, start) < min(last, end):
                yield from _read_file(chapter, max(start - first, 0), min(end, last) - first)

    @staticmethod
    def _resampled(
        resampler: Resampler, blocks: Iterator[NDArray[np.int16]]
    ) -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            yield resampler.write(from_int16(block))
        yield resampler.finish()


def _read_file(chapter: NarratedChapter, start: int, end: int) -> Iterator[NDArray[np.int16]]:
    """Yield the samples of a chapter's file from `start` to `end`."""
    at = start
    try:
        with av.open(str(chapter.path.absolute())) as container:
            stream = container.streams.audio[0]
            if start:
                container.seek(start, stream=stream)
            resampler = av.AudioResampler(format="s16", layout="mono")
            for frame in container.decode(stream):
                for out in resampler.resample(frame):
                    samples = out.to_ndarray()[0]
                    begin = round((frame.pts or 0) * (frame.time_base or 0) * frame.sample_rate)
                    wanted = samples[max(at - begin, 0) : max(end - begin, 0)]
                    at += len(wanted)
                    if len(wanted):
                        yield wanted
                if at >= end:
                    return
    except (av.error.FFmpegError, OSError) as error:
        raise _damaged(chapter, str(error)) from error
    raise _damaged(chapter, f"it ends after {at} of {chapter.samples} samples")


def _damaged(chapter: NarratedChapter, why: str) -> VivavoceError:
    return VivavoceError(
        f"the audio of the chapter {chapter.chapter.title!r} in {str(chapter.path)!r} cannot be "
        f"read ({why}): make the chapter again"
    )
