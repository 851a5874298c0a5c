"""Make narrations of beeps, in which the time of each character is known."""

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vivavoce.audio import flac_with_length, open_encoder
from vivavoce.books.book import (
    Block,
    Book,
    Chapter,
    NarratedChapter,
    NarratedSentence,
    NarratedWord,
    Narration,
    Picture,
)
from vivavoce.models.tone import CHAR_S, RATE_HZ, tones
from vivavoce.provenance import Mark
from vivavoce.types import Samples, Segment

PAUSE_S = 0.3  # before each sentence
SENTENCE = re.compile(r"\S[^.!?]*[.!?]*")
TEXT = "The lamp is on the table. It burns all night, and nobody knows why!"


def png(width: int = 8, height: int = 8) -> Picture:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = b"".join(b"\0" + b"\x20\x60\xa0" * width for _ in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Picture(data, "image/png")


def narrated(
    folder: Path,
    chapters: Sequence[tuple[str, Sequence[Block]]],
    *,
    title: str = "The Lamp",
    authors: tuple[str, ...] = ("Ann Author", "Ben Writer"),
    language: str | None = "en",
    cover: Picture | None = None,
    marks: Sequence[Mark] = (Mark("tone", "sine"),),
    rate_hz: int = RATE_HZ,
) -> Narration:
    """Return a narration whose audio is in `folder`. Blocks with `skipped` are not spoken."""
    made = [
        _chapter(folder / f"{number}.flac", Chapter(name, tuple(blocks)), rate_hz)
        for number, (name, blocks) in enumerate(chapters)
    ]
    book = Book(title, tuple(each.chapter for each in made), authors, language, cover)
    return Narration(book, rate_hz, made, "Sine", marks)


def short(folder: Path, titles: Sequence[str], text: str = "Hi.", **more: object) -> Narration:
    """Return a narration of chapters with one paragraph each."""
    return narrated(folder, [(title, [Block(text)]) for title in titles], **more)  # type: ignore[arg-type]


def starts_s(narration: Narration) -> list[float]:
    """Return the true start of each chapter."""
    lengths = [chapter.samples for chapter in narration.chapters]
    return [sum(lengths[:number]) / narration.rate_hz for number in range(len(lengths))]


def _chapter(path: Path, chapter: Chapter, rate_hz: int) -> NarratedChapter:
    parts: list[Samples] = []
    sentences: list[NarratedSentence] = []
    at = 0
    char_s = CHAR_S * RATE_HZ / rate_hz  # the same samples
    for number, block in enumerate(chapter.blocks):
        for found in SENTENCE.finditer(block.text if not block.skipped else ""):
            pause = np.zeros(int(PAUSE_S * rate_hz), np.float32)
            segment = Segment(found[0], "sine", "en")
            sound = 0.3 * tones(segment, 0, int(len(found[0]) * CHAR_S * RATE_HZ), CHAR_S)
            start_s = (at + len(pause)) / rate_hz
            words = tuple(
                NarratedWord(
                    found.start() + word.start(),
                    found.start() + word.end(),
                    start_s + word.start() * char_s,
                    start_s + word.end() * char_s,
                )
                for word in re.finditer(r"\S+", found[0])
            )
            parts += [pause, sound]
            at += len(pause) + len(sound)
            end_s = start_s + len(found[0]) * char_s
            sentences.append(NarratedSentence(number, *found.span(), start_s, end_s, words))
    samples = np.concatenate([*parts, np.zeros(0, np.float32)])
    encoder = open_encoder("flac", rate_hz)
    path.write_bytes(flac_with_length(encoder.write(samples) + encoder.finish(), len(samples)))
    return NarratedChapter(chapter, path, len(samples), sentences)
