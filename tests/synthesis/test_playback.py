"""What is reckoned of a listener, with a clock that the tests set."""

import pytest

from vivavoce.synthesis.playback import PLAYER_BUFFER_S, PlaybackTracker


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def heard(*gaps_s: float, chunk_s: float = 1.0, taking_s: float = 0.0) -> PlaybackTracker:
    """A listener of chunks that each came so many seconds after the one before was taken."""
    clock = Clock()
    playback = PlaybackTracker(clock)
    for gap_s in gaps_s:
        clock.now_s += gap_s
        playback.on_chunk(chunk_s)
        clock.now_s += taking_s
        playback.on_consumed()
    return playback


@pytest.mark.parametrize(
    ("gaps_s", "underruns"),
    [
        ([3.0, 0.5, 0.5, 0.5], 0),  # faster than it is heard
        ([0.0, 1.0, 1.0, 1.0], 0),  # just as fast
        ([0.0, 1.0 + PLAYER_BUFFER_S / 2, 1.0], 0),  # late by less than a player holds back
        ([0.0, 1.0 + PLAYER_BUFFER_S * 1.01, 1.0], 1),
        ([0.0, 5.0, 0.1, 5.0], 2),
        ([0.0, 0.0, 0.0, 3.0], 0),  # what came early is played meanwhile
    ],
)
def test_underruns_are_chunks_that_came_after_all_was_played(
    gaps_s: list[float], underruns: int
) -> None:
    assert heard(*gaps_s).underruns == underruns


def test_a_listener_who_pauses_has_not_run_dry() -> None:
    assert heard(0.0, 0.5, 0.5, taking_s=60.0).underruns == 0


def test_only_the_time_in_which_audio_was_waited_for_counts_as_work() -> None:
    playback = heard(0.5, 0.25, 0.25, taking_s=10.0)
    assert playback.generation_s == pytest.approx(1.0)
    assert playback.audio_s == 3.0
    assert playback.first_s == pytest.approx(100.5)


def test_what_is_not_audible_is_not_the_first_audio() -> None:
    clock = Clock()
    playback = PlaybackTracker(clock)
    playback.on_chunk(0.0)
    playback.on_consumed()
    clock.now_s += 2.0
    playback.on_chunk(0.5)
    assert playback.first_s == pytest.approx(102.0)
    assert playback.underruns == 0
