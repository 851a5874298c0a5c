"""Join the takes of a chapter to one file of one loudness, with the times of its sentences.

The same takes give the same bytes. Memory is bounded, however long the chapter is.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from vivavoce.audio import Joiner, from_int16, silence, to_int16
from vivavoce.audio.measure.loudness import SILENT_LUFS, Limiter, LoudnessMeter
from vivavoce.books.book import NarratedSentence, NarratedWord
from vivavoce.errors import BadRequest
from vivavoce.files import sync_folder, write_new
from vivavoce.jobs.sound.takes import Takes
from vivavoce.provenance import Mark
from vivavoce.synthesis.outlet import open_file
from vivavoce.types import Samples

LOUDNESS_LUFS: Final = -19.0  # of mono, which players put on two loudspeakers
CEILING_DB: Final = -3.0  # Opus and AAC add up to 0.9 dB, and files have at most -2 dB
TOLERANCE_LU: Final = 0.2
MAX_GAIN_DB: Final = 30.0
LEAD_S: Final = 0.5  # before the first sentence
_READ_SAMPLES: Final = 2**18


class Damaged(Exception):
    """A take that cannot be read, and is to be made again."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Stopped(Exception):
    """The job is to stop now."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of a chapter, and its take, if it has one."""

    block: int
    start: int
    end: int
    key: str
    pause_s: float


@dataclass(frozen=True, slots=True)
class Joined:
    """The outcome of a chapter."""

    samples: int
    bytes: int
    loudness_lufs: float
    true_peak_db: float


@dataclass(frozen=True, slots=True)
class ChapterFiles:
    """The files of one chapter: its audio, and its sentences."""

    folder: Path
    number: int

    @property
    def audio(self) -> Path:
        return self.folder / f"{self.number:04}.flac"

    @property
    def times(self) -> Path:
        return self.folder / f"{self.number:04}.json"

    def sentences(self) -> Sequence[NarratedSentence]:
        """Return the sentences with their times."""
        rows = json.loads(self.times.read_bytes())
        return [
            NarratedSentence(block, start, end, at_s, end_s, tuple(NarratedWord(*w) for w in words))
            for block, start, end, at_s, end_s, words in rows
        ]


def join(
    said: Sequence[Said], takes: Takes, marks: Sequence[Mark], rate_hz: int,
    files: ChapterFiles, spare: Path, stopped: Callable[[], bool],
) -> Joined:  # fmt: skip
    """Write the files of a chapter, first in the folder `spare`.

    Raises `Damaged`, `Stopped`, and `OSError` if there is no room.
    """
    raw, encoded = spare / f"{files.number}.raw", spare / files.audio.name
    meter = LoudnessMeter(rate_hz)
    sentences: list[NarratedSentence] = []
    with raw.open("wb") as file:
        for samples in _sound(said, takes, rate_hz, sentences, stopped):
            meter.write(samples)
            file.write(to_int16(samples).tobytes())
    loudness = meter.finish()
    gain_db = _clipped(LOUDNESS_LUFS - loudness) if loudness > SILENT_LUFS else 0.0
    for _ in range(3):
        limiter = Limiter(rate_hz, gain_db, CEILING_DB)
        count = _encode(raw, encoded, marks, rate_hz, limiter, stopped)
        made = loudness + gain_db - limiter.taken_db  # as it is measured, to a twentieth of an LU
        if loudness <= SILENT_LUFS or abs(LOUDNESS_LUFS - made) <= TOLERANCE_LU:
            break
        gain_db = _clipped(gain_db + LOUDNESS_LUFS - made)
    raw.unlink()
    times = spare / files.times.name
    times.unlink(missing_ok=True)
    write_new(times, json.dumps([_row(sentence) for sentence in sentences]).encode())
    peak_db = 20 * math.log10(max(limiter.peak, 1e-5))
    joined = Joined(count, encoded.stat().st_size, max(made, SILENT_LUFS), peak_db)
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    times.replace(files.times)
    encoded.replace(files.audio)
    sync_folder(files.folder)
    return joined


def _sound(
    said: Sequence[Said], takes: Takes, rate_hz: int, sentences: list[NarratedSentence],
    stopped: Callable[[], bool],
) -> Iterator[Samples]:  # fmt: skip
    """Yield the sound of a chapter, and add its sentences with their times."""
    joiner = Joiner(rate_hz)
    joiner.end_segment(LEAD_S)
    heard = False
    for each in said:
        if stopped():
            raise Stopped
        if not each.key:
            joiner.end_segment(each.pause_s)  # a sentence that could not be spoken
            continue
        found = takes.facts(each.key)
        try:
            samples = takes.samples(each.key)
        except BadRequest as error:
            raise Damaged(each.key) from error
        if found is None:
            raise Damaged(each.key)
        parts = joiner.write(samples), joiner.end_segment(each.pause_s)
        yield from parts
        heard = True
        start_s = max((joiner.origin or 0) / rate_hz, 0.0)
        words = (
            NarratedWord(each.start + a, each.start + b, start_s + start, start_s + end)
            for a, b, start, end in found[0].words
        )
        end_s = start_s + len(samples) / rate_hz
        span = each.block, each.start, each.end
        sentences.append(NarratedSentence(*span, start_s, end_s, tuple(words)))
    yield joiner.finish()
    yield silence(said[-1].pause_s if heard else LEAD_S, rate_hz)


def _encode(
    raw: Path, target: Path, marks: Sequence[Mark], rate_hz: int, limiter: Limiter,
    stopped: Callable[[], bool],
) -> int:  # fmt: skip
    """Write the samples of `raw` as FLAC, as `limiter` gives them. Return how many there are."""
    encoder, start = open_file(marks, "flac", rate_hz)
    count = 0
    try:
        with target.open("wb+") as file, raw.open("rb") as source:
            for samples in _levelled(source, limiter, stopped):
                count += len(samples)
                file.write(encoder.write(samples))
            file.write(encoder.finish())
            file.seek(0)
            first = start(file.read(42), count)
            file.seek(0)
            file.write(first)
            file.flush()
            os.fsync(file.fileno())
    finally:
        encoder.close()
    return count


def _levelled(source: BinaryIO, limiter: Limiter, stopped: Callable[[], bool]) -> Iterator[Samples]:
    while data := source.read(2 * _READ_SAMPLES):
        if stopped():
            raise Stopped
        yield limiter.write(from_int16(np.frombuffer(data, np.int16)))
    yield limiter.finish()


def _clipped(gain_db: float) -> float:
    return min(max(gain_db, -MAX_GAIN_DB), MAX_GAIN_DB)


def _row(sentence: NarratedSentence) -> list[object]:
    words = [[w.start, w.end, round(w.start_s, 4), round(w.end_s, 4)] for w in sentence.words]
    times = [round(sentence.start_s, 4), round(sentence.end_s, 4)]
    return [sentence.block, sentence.start, sentence.end, *times, words]
