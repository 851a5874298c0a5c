"""Check the search for the most likely places of sounds, and the pauses between them."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.synthesis.alignment.path import best_path
from vivavoce.synthesis.alignment.pauses import Pauses

RATE_HZ = 16_000


def collapsed(labels: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the sounds of a frame-wise labelling, each with its first frame. -1 is none."""
    return [
        (label, frame)
        for frame, label in enumerate(labels)
        if label >= 0 and (frame == 0 or labels[frame - 1] != label)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_path_is_the_best_of_all(said: list[int], seed: int) -> None:
    frames = 6
    noise = np.random.default_rng(seed)
    tokens = np.log(noise.dirichlet(np.ones(3), frames)).astype(np.float32)  # two sounds and none
    may_follow = np.array([True, *(a != b for a, b in pairwise(said))])
    first = best_path(tokens[:, said], tokens[:, 2], may_follow)
    ways = {}
    for labels in product((-1, 0, 1), repeat=frames):
        found = collapsed(labels)
        if [sound for sound, _ in found] == said:
            score = sum(tokens[frame, label] for frame, label in enumerate(labels))
            ways[labels] = (score, [frame for _, frame in found])
    score = max(ways.values())[0]
    best = [starts for total, starts in ways.values() if total >= score - 1e-4]
    assert first.tolist() in best


@pytest.mark.parametrize(("silent_s", "end_s"), [(0.3, 0.5), (0.05, 0.9)])
def test_a_word_ends_where_a_pause_begins(silent_s: float, end_s: float) -> None:
    samples = 0.3 * np.sin(np.arange(RATE_HZ, dtype=np.float32))
    samples[RATE_HZ // 2 : RATE_HZ // 2 + int(silent_s * RATE_HZ)] = 0
    pauses = Pauses.of(samples, RATE_HZ)
    assert pauses.end_of(0.1, 0.9) == pytest.approx(end_s)
    assert pauses.end_s == pytest.approx(1.0, abs=0.001)


def test_no_audio_has_no_pause() -> None:
    pauses = Pauses.of(np.zeros(10, np.float32), RATE_HZ)
    assert pauses.end_of(0.0, 0.0) == 0.0
