"""Read the audio of several chapters as one sound, from any place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, Literal

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import Resampler, from_int16, nearest_rate, to_int16
from vivavoce.books.book import NarratedChapter
from vivavoce.errors import VivavoceError

CodecName = Literal["aac", "mp3", "opus", "flac"]

_NEAR: Final = 65_536  # samples, as many as a frame of FLAC can have
_SETTLED_S: Final = (
    0.2  # of a resampler's input: after it, the output does not depend on the beginning
)


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

    def without_text(self) -> "Sound":
        """Return the sound alone, which other processes get. It has no pauses."""
        bare = [
            replace(each, chapter=replace(each.chapter, blocks=()), sentences=())
            for each in self.chapters
        ]
        return replace(self, chapters=bare)

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


def sound_for(chapters: Sequence[NarratedChapter], rate_hz: int, codec: CodecName) -> Sound:
    """Return `chapters` at a rate that `codec` has."""
    return Sound(chapters, rate_hz, nearest_rate(codec, rate_hz))


def _read_file(chapter: NarratedChapter, start: int, end: int) -> Iterator[NDArray[np.int16]]:
    """Yield the samples of a chapter's file from `start` to `end`."""
    at = start
    try:
        with _opened(chapter.path, start) as container:
            for frame in container.decode(audio=0):
                begin = frame.pts or 0  # FLAC counts samples
                samples = _mono(frame)[max(at - begin, 0) : max(end - begin, 0)]
                at += len(samples)
                if len(samples):
                    yield samples
                if at >= end:
                    return
    except (av.error.FFmpegError, OSError) as error:
        raise _damaged(chapter, str(error)) from error
    raise _damaged(chapter, f"it ends after {at} of {chapter.samples} samples")


def _opened(path: Path, start: int) -> "av.container.InputContainer":
    """Return the open file, near `start` and before it."""
    name = str(path.absolute())
    if start > _NEAR:
        container = av.open(name)
        try:
            container.seek(start - _NEAR, stream=container.streams.audio[0])
            return container
        except av.error.FFmpegError:  # FFmpeg finds no place in some short files
            container.close()
    return av.open(name)


def _mono(frame: av.AudioFrame) -> NDArray[np.int16]:
    """Return the samples of a mono frame. FFmpeg decodes more than 16 bits to 32."""
    if frame.format.name == "s16":
        return np.frombuffer(bytes(frame.planes[0]), np.int16, frame.samples)
    return (frame.to_ndarray().reshape(-1).astype(np.int32) >> 16).astype(np.int16)


def _damaged(chapter: NarratedChapter, why: str) -> VivavoceError:
    return VivavoceError(
        f"the audio of the chapter {chapter.chapter.title!r} in {str(chapter.path)!r} cannot be "
        f"read ({why}): make the chapter again"
    )
