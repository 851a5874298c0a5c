"""Check that the audio of chapters is read as one sound, from any place."""

import random
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.books.write.narrations import TEXT, short
from tests.decoding import decode
from vivavoce.audio import flac_with_length, to_int16
from vivavoce.books.book import Narration
from vivavoce.books.write.sound import Sound
from vivavoce.errors import VivavoceError


def read(sound: Sound, start: int, end: int) -> NDArray[np.int16]:
    return np.concatenate([*sound.read(start, end), np.zeros(0, np.int16)])


def whole(narration: Narration) -> NDArray[np.int16]:
    return to_int16(
        np.concatenate([decode(each.path.read_bytes())[0] for each in narration.chapters])
    )


@pytest.mark.parametrize("has_length", [True, False])
def test_any_part_is_as_in_the_whole(tmp_path: Path, has_length: bool) -> None:
    narration = short(tmp_path, ["One", "Two", "Three", "Four"], TEXT * 4)
    if not has_length:
        for chapter in narration.chapters:
            data = chapter.path.read_bytes()
            fields = int.from_bytes(data[18:26], "big") >> 36 << 36
            chapter.path.write_bytes(data[:18] + fields.to_bytes(8, "big") + data[26:])
            assert flac_with_length(chapter.path.read_bytes(), chapter.samples) == data
    sound, truth = Sound(narration.chapters, 24_000, 24_000), whole(narration)
    assert sound.samples == len(truth)
    draw = random.Random(1)
    for _ in range(30):
        start, end = sorted(draw.randrange(len(truth) + 1) for _ in range(2))
        assert np.array_equal(read(sound, start, end), truth[start:end]), (start, end)


def test_any_part_of_a_converted_sound_is_as_in_the_whole(tmp_path: Path) -> None:
    narration = short(tmp_path, ["One", "Two"], TEXT * 2, rate_hz=22_050)
    sound = Sound(narration.chapters, 22_050, 24_000)
    truth = read(sound, 0, sound.samples)
    assert len(truth) == sound.samples == round(len(whole(narration)) * 24_000 / 22_050)
    draw = random.Random(2)
    cuts = sorted({0, sound.samples, *(draw.randrange(sound.samples) for _ in range(20))})
    parts = [read(sound, *pair) for pair in pairwise(cuts)]
    assert list(map(len, parts)) == list(np.diff(cuts))
    joined = np.concatenate(parts)
    assert np.abs(joined.astype(int) - truth).max() <= 2


def test_pauses_are_before_sentences(tmp_path: Path) -> None:
    narration = short(tmp_path, ["One", "Two"], TEXT)
    sound, truth = Sound(narration.chapters, 24_000, 24_000), whole(narration)
    assert len(sound.pauses) == 4
    for pause in sound.pauses:
        assert np.abs(truth[pause : pause + 100]).max() == 0


@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_audio_names_the_chapter(tmp_path: Path, damage: str) -> None:
    narration = short(tmp_path, ["One", "Two"], TEXT)
    path = narration.chapters[1].path
    data = path.read_bytes()
    path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])
    if damage == "missing":
        path.unlink()
    sound = Sound(narration.chapters, 24_000, 24_000)
    with pytest.raises(
        VivavoceError, match=r"chapter 'Two' in '.*1\.flac' cannot be read .* again"
    ):
        list(chain(sound.read(0, sound.samples)))
