"""Where the filters of a stretch put what they take, by ear: bursts are found again."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.audio.filters import Filters
from vivavoce.types import Samples

from .signals import chunkings, cut, joined, speech_like

BURST_S = 0.001  # standard deviation
MOVED_S = 0.2  # more than two atempos move sound, half a window of 64 ms at most each
RATES_HZ = [8000, 12000, 16000, 22050, 24000, 44100, 48000]


def burst(tone_hz: float, width_s: float, rate_hz: int) -> NDArray[np.complex128]:
    reach = round(4 * width_s * rate_hz)
    t = np.arange(-reach, reach + 1) / rate_hz
    return np.exp(-0.5 * (t / width_s) ** 2 + 2j * np.pi * tone_hz * t)


def noisy_speech(count: int, rate_hz: int) -> Samples:
    """Return quiet sound that atempo can compare, without a sample of exactly 0."""
    noise = np.random.default_rng(0).standard_normal(count)
    return (0.2 * np.resize(speech_like(2.0, rate_hz), count) + 0.002 * noise).astype(np.float32)


def with_bursts(bed: Samples, places: list[int], tone_hz: float, rate_hz: int) -> Samples:
    """Return `bed` with a short tone around each place."""
    samples = bed.astype(np.float64)
    tone = burst(tone_hz, BURST_S, rate_hz).real
    for place in places:
        start = place - len(tone) // 2
        samples[start : start + len(tone)] += 0.8 * tone
    return samples.astype(np.float32)


class Passage:
    """Bursts on their way through filters, and what the filters said of their places."""

    def __init__(
        self,
        rates_hz: tuple[int, int],
        speed: float,
        pitch: float,
        sizes: Sequence[int] = (480,),
        seed: int = 0,
        background: Callable[[int, int], Samples] = noisy_speech,
    ) -> None:
        in_rate_hz, self.rate_hz = rates_hz
        tempo = min(max(speed / pitch, 0.25), 4.0)
        self.moved = MOVED_S / pitch * self.rate_hz
        gaps_s = tempo * np.random.default_rng(seed).uniform(0.45, 0.65, 7)
        *bursts, count = (gaps_s.cumsum() * in_rate_hz).round().astype(int).tolist()
        self.bursts = bursts
        tone_hz = 0.3 * min(in_rate_hz, self.rate_hz / pitch)
        filters = Filters(in_rate_hz, self.rate_hz, speed=speed, pitch=pitch, timed=True)
        samples = with_bursts(background(count, in_rate_hz), bursts, tone_hz, in_rate_hz)
        pieces = []
        self.early: list[tuple[int, list[float | None]]] = []  # after so many samples of output
        for piece in cut(samples, sizes):
            pieces.append(filters.write(piece))
            self.early.append((sum(map(len, pieces)), [filters.position(it) for it in bursts]))
        output = joined([*pieces, filters.finish()])
        self.said = np.array([filters.position(it) for it in bursts], dtype=float)
        self.due = np.array(bursts) * (len(output) / count)
        self.grid = np.array([filters.position(it) for it in range(0, 2 * count, 97)], dtype=float)
        self.length = len(output)

        # Shape of a burst in the output, and how loud it is there, from 0 to 1.
        shape = burst(tone_hz * pitch, BURST_S / pitch, self.rate_hz)
        loud = np.abs(np.convolve(output, shape, "same")) * 2 / 0.8 / np.sum(np.abs(shape) ** 2)
        peaks = np.flatnonzero((loud[1:-1] >= loud[:-2]) & (loud[1:-1] > loud[2:])) + 1
        self.found = peaks[loud[peaks] > 0.2]
        self.clear = peaks[loud[peaks] > 0.5]

    def errors_s(self) -> NDArray[np.float64]:
        """Return how far from what was said a copy sounds, for each burst that is still clear.

        At tempo above 1, atempo fades others to less than half or leaves them out.
        """
        return np.array(
            [
                np.min(np.abs(self.found - said)) / self.rate_hz
                for said, due in zip(self.said, self.due, strict=True)
                if np.any(np.abs(self.clear - due) < self.moved)
            ]
        )


rates = st.tuples(st.sampled_from(RATES_HZ), st.sampled_from(RATES_HZ))


@settings(max_examples=25, deadline=None)
@given(
    rates_hz=rates,
    speed=st.floats(0.25, 4),
    pitch=st.floats(0.5, 2),
    sizes=chunkings.filter(lambda sizes: sum(sizes) >= 500 * len(sizes)),
    seed=st.integers(0, 1000),
)
def test_a_sound_is_where_its_position_says(
    rates_hz: tuple[int, int], speed: float, pitch: float, sizes: list[int], seed: int
) -> None:
    passage = Passage(rates_hz, speed, pitch, sizes, seed)
    assert np.all(passage.errors_s() < 0.002)
    assert np.all(np.abs(passage.said - passage.due) < passage.moved)

    # Later sounds are not at earlier places, and none is after the end.
    assert np.all(np.diff(passage.grid) >= 0)
    assert passage.grid[0] >= 0
    assert passage.length - 1 < passage.grid[-1] <= passage.length

    # Known soon after it was given out, and it stays.
    late = 0.022 / pitch * passage.rate_hz + 1
    for length, positions in passage.early:
        for early, said in zip(positions, passage.said, strict=True):
            assert said > length - late if early is None else early == said


# The last number is how many of six must be clear in the output.
@pytest.mark.parametrize(
    ("speed", "clear"), [(0.25, 6), (0.6, 6), (1.0, 6), (1.2, 6), (1.6, 5), (2.5, 3)]
)
@pytest.mark.parametrize("pitch", [1.0, 1.2])
def test_most_sounds_are_still_there(speed: float, clear: int, pitch: float) -> None:
    errors_s = Passage((24000, 16000), speed * pitch, pitch).errors_s()
    assert len(errors_s) >= clear
    assert np.all(errors_s < 0.002)


@pytest.mark.parametrize("speed", [0.3, 0.6, 1.6])
def test_sounds_between_digital_silence_are_where_their_positions_say(speed: float) -> None:
    passage = Passage((24000, 24000), speed, 1.0, background=lambda n, _: np.zeros(n, np.float32))
    errors_s = passage.errors_s()
    assert len(errors_s) >= 5
    assert np.all(errors_s < 0.002)


@pytest.mark.parametrize(("pitch", "out_rate_hz"), [(1.0, 24000), (1.0, 8000), (1.25, 48000)])
def test_without_a_tempo_positions_are_in_proportion_and_known_before(
    pitch: float, out_rate_hz: int
) -> None:
    filters = Filters(24000, out_rate_hz, speed=pitch, pitch=pitch)
    assert filters.position(1000.5) == pytest.approx(1000.5 * out_rate_hz / (24000 * pitch))
    length = len(filters.write(speech_like(0.1, 24000))) + len(filters.finish())
    assert filters.position(2400) == filters.position(9999) == length
