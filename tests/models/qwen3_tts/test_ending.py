"""Stop rules: by the length of the text, and by repetition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.models.qwen3_tts.runtime.stop_rules import (
    LONGEST_PERIOD,
    STUCK_FRAMES,
    Repetition,
    least_frames,
    most_frames,
)


def stuck_after(codes: list[int]) -> int | None:
    """Return the number of `codes` after which they count as repetition."""
    watch = Repetition()
    return next((count for count, code in enumerate(codes, 1) if watch.note(code)), None)


@given(
    st.lists(st.integers(0, 2047), min_size=1, max_size=LONGEST_PERIOD),
    st.lists(st.integers(0, 2047), max_size=60),
)
def test_circle_of_any_period_is_found_in_time(circle: list[int], before: list[int]) -> None:
    found = stuck_after(before + circle * 60)
    assert found is not None
    assert found <= len(before) + len(circle) + STUCK_FRAMES


@given(st.lists(st.integers(0, 2047), min_size=STUCK_FRAMES, max_size=80, unique=True))
def test_codes_that_do_not_repeat_are_let_be(codes: list[int]) -> None:
    assert stuck_after(codes) is None


def test_pause_of_three_seconds_is_let_be() -> None:
    assert stuck_after([7, *[1] * STUCK_FRAMES, 8, *[1] * STUCK_FRAMES]) is None


@pytest.mark.parametrize(
    ("text", "most", "least"), [("Hey.", 62, 0), ("你好", 68, 0), ("a" * 250, 800, 25)]
)
def test_bounds_follow_from_the_width_of_the_text(text: str, most: int, least: int) -> None:
    assert (most_frames(text), least_frames(text)) == (most, least)
