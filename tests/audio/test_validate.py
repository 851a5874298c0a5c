"""What is taken for no speech, and what is not, however it is cut into chunks."""

from itertools import pairwise

import numpy as np
import pytest

from vivavoce.audio.validate import NOISE_S, SILENCE_S, AudioValidator
from vivavoce.models.hibari import HibariModel
from vivavoce.types import Samples, Segment, StopReason

RATE_HZ = 24_000


def tone(seconds: float, amplitude: float = 0.3) -> Samples:
    return (amplitude * np.sin(0.05 * np.arange(round(seconds * RATE_HZ)))).astype(np.float32)


def noise(seconds: float) -> Samples:
    draws = np.random.default_rng(1).normal(scale=3.0, size=round(seconds * RATE_HZ))
    return np.clip(draws, -1, 1).astype(np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


def checked(
    samples: Samples, chunk: int = 1_920, *, max_s: float = 60.0, expects_speech: bool = True
) -> tuple[Samples, StopReason | None]:
    """What is good of the samples, and what is wrong with them."""
    check = AudioValidator(RATE_HZ, max_s=max_s, expects_speech=expects_speech)
    good = [check.write(samples[start : start + chunk]) for start in range(0, len(samples), chunk)]
    return np.concatenate([*good, check.finish()]), check.problem


CHUNKS = pytest.mark.parametrize("chunk", [100, 1_920, 9_999, 10**9])


@CHUNKS
@pytest.mark.parametrize(
    "sound",
    [
        tone(2.0),
        tone(2.0, 1.0),  # as loud as can be
        np.concatenate((quiet(2.0), tone(1.0), quiet(SILENCE_S - 0.1), tone(1.0), quiet(3.0))),
        np.concatenate((tone(1.0), noise(NOISE_S - 0.1), tone(1.0))),
    ],
    ids=["tone", "full scale", "pauses", "a burst"],
)
def test_sound_passes_unchanged(sound: Samples, chunk: int) -> None:
    good, problem = checked(sound, chunk)
    assert problem is None
    assert good.tobytes() == sound.tobytes()


@CHUNKS
@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (np.full(5_000, np.nan, dtype=np.float32), StopReason.NOISE),
        (np.full(5_000, -np.inf, dtype=np.float32), StopReason.NOISE),
        (noise(2.0), StopReason.NOISE),
        (noise(2.0) * 1e6, StopReason.NOISE),
    ],
    ids=["nan", "inf", "noise", "louder than full scale"],
)
def test_noise_ends_it_where_it_was_still_good(
    bad: Samples, problem: StopReason, chunk: int
) -> None:
    sound = tone(1.5)
    good, found = checked(np.concatenate((sound, bad, sound)), chunk)
    assert found is problem
    assert abs(len(sound) - len(good)) <= 480  # a block is judged as a whole
    assert good[:35_500].tobytes() == sound[:35_500].tobytes()


@CHUNKS
def test_noise_from_the_beginning_gives_nothing(chunk: int) -> None:
    for sound in (noise(2.0), noise(0.4), np.full(100, np.nan, dtype=np.float32)):
        good, problem = checked(sound, chunk)
        assert (len(good), problem) == (0, StopReason.NOISE)


@CHUNKS
@pytest.mark.parametrize("seconds", [0.0, 0.5, 20.0])
def test_silence_where_there_are_words_gives_nothing(seconds: float, chunk: int) -> None:
    assert (len(checked(quiet(seconds), chunk)[0]), checked(quiet(seconds), chunk)[1]) == (
        0,
        StopReason.SILENCE,
    )


def test_silence_is_no_problem_where_there_are_no_words() -> None:
    assert checked(quiet(20.0), expects_speech=False)[1] is None
    assert len(checked(quiet(20.0), expects_speech=False)[0]) == 20 * RATE_HZ


@CHUNKS
def test_silence_for_good_ends_it(chunk: int) -> None:
    sound = tone(1.0)
    good, problem = checked(np.concatenate((sound, quiet(20.0))), chunk)
    assert problem is StopReason.SILENCE
    assert good[: len(sound)].tobytes() == sound.tobytes()
    assert len(good) < len(sound) + SILENCE_S * RATE_HZ


@CHUNKS
def test_it_ends_at_its_longest(chunk: int) -> None:
    sound = tone(3.0)
    good, problem = checked(sound, chunk, max_s=2.0)
    assert problem is StopReason.LENGTH
    assert good.tobytes() == sound[: 2 * RATE_HZ].tobytes()
    assert checked(sound, chunk, max_s=3.0)[1] is None


def test_first_sound_is_given_at_once() -> None:
    check = AudioValidator(RATE_HZ, max_s=60.0, expects_speech=True)
    lengths = [
        len(check.write(part)) for part in (quiet(0.08), quiet(0.08), tone(0.08), tone(0.08))
    ]
    assert lengths == [0, 0, 3 * 1_920, 1_920]


def test_an_embedded_voice_passes_even_clipped_by_20_db() -> None:
    model = HibariModel()
    stream = model.open(
        Segment("Stop! Help! Ah, no! That is awful, and I am all alone here.", "heart", "en")
    )
    while not isinstance(chunk := model.step([stream])[0], StopReason):
        if (samples := chunk.samples).size:
            for gain in (1.0, 3.0, 10.0):
                assert checked(np.clip(samples * np.float32(gain), -1.0, 1.0))[1] is None


def test_what_is_good_does_not_depend_on_how_it_is_cut() -> None:
    sound = np.concatenate((quiet(0.3), tone(0.7), noise(0.3), tone(0.5), noise(2.0)))
    goods = [checked(sound, chunk)[0] for chunk in (100, 480, 1_000, 4_800, 10**9)]
    assert all(one.tobytes() == other.tobytes() for one, other in pairwise(goods))
