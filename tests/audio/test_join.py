import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio import Joiner, SegmentEdge, silence

from .signals import chunkings, cut, joined, sine

RATE = 8000
FADE = 40  # 5 ms
MARGIN = 240  # 30 ms
LEVEL = 0.002


def edged(samples, sizes=(10**9,), **options):
    edge = SegmentEdge(RATE, **options)
    pieces = [edge.write(piece) for piece in cut(samples, sizes)]
    return joined([*pieces, edge.finish()]), edge


def joined_up(segments, pause_s, sizes=(10**9,)):
    joiner = Joiner(RATE)
    pieces = []
    for index, segment in enumerate(segments):
        pieces += [joiner.write(piece) for piece in cut(segment, sizes)]
        if index < len(segments) - 1:
            pieces.append(joiner.end_segment(pause_s))
    return joined([*pieces, joiner.finish()])


def spoken(before, audible, after):
    """Count of quiet, loud and quiet samples."""
    loud = np.full(audible, 0.25, dtype=np.float32)
    return np.concatenate((np.zeros(before, np.float32), loud, np.zeros(after, np.float32)))


def quiet_runs(samples):
    """Lengths of the runs of near-silence between audible samples."""
    gaps = np.diff(np.flatnonzero(np.abs(samples) > LEVEL)) - 1
    return gaps[gaps > 0].tolist()


@pytest.mark.parametrize(("before", "after"), [(0, 0), (100, 50), (240, 240), (5000, 3000)])
def test_near_silence_around_a_segment_is_trimmed_to_the_margin(before, after):
    result, edge = edged(spoken(before, 1000, after))
    assert (edge.leading, edge.trailing) == (min(before, MARGIN), min(after, MARGIN))
    assert len(result) == edge.leading + 1000 + edge.trailing


def test_a_pause_inside_a_segment_stays_as_it_is():
    segment = np.concatenate((spoken(0, 500, 20000), spoken(0, 500, 0)))
    result, _ = edged(segment, [160])
    assert len(result) == len(segment)
    assert np.array_equal(result[FADE:-FADE], segment[FADE:-FADE])


def test_both_ends_are_faded_and_nothing_else():
    segment = spoken(0, 1000, 0)
    result, _ = edged(segment, [7])
    assert abs(result[0]) < 1e-3
    assert abs(result[-1]) < 1e-3
    assert np.array_equal(result[FADE:-FADE], segment[FADE:-FADE])
    assert np.all(np.diff(result[:FADE]) > 0)
    assert np.all(np.diff(result[-FADE:]) < 0)


def test_audible_samples_wait_no_longer_than_the_fade():
    edge = SegmentEdge(RATE)
    given_out = sum(len(edge.write(piece)) for piece in cut(spoken(0, 4000, 0), [100]))
    assert given_out == 4000 - FADE


def test_endless_near_silence_is_held_back_only_up_to_its_bound():
    edge = SegmentEdge(RATE, hold_s=0.5)
    edge.write(spoken(0, 1000, 0))
    given_out = sum(len(edge.write(silence(0.1, RATE))) for _ in range(100))
    assert given_out >= 100 * 800 - 4000 - FADE


def test_a_segment_of_silence_comes_out_as_one_margin():
    result, edge = edged(silence(2.0, RATE), [333])
    assert (len(result), edge.leading, edge.trailing) == (MARGIN, MARGIN, 0)


@settings(max_examples=60, deadline=None)
@given(
    sizes=chunkings,
    runs=st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 400)), max_size=4),
    tail=st.integers(0, 2500),
    hold_s=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_chunk_boundaries_do_not_change_a_segment(sizes, runs, tail, hold_s):
    segment = joined(
        [*[spoken(quiet, loud, 0) for quiet, loud in runs], np.zeros(tail, np.float32)]
    )
    whole, whole_edge = edged(segment, hold_s=hold_s)
    pieces, pieces_edge = edged(segment, sizes, hold_s=hold_s)
    assert np.array_equal(whole, pieces)
    assert (whole_edge.leading, whole_edge.trailing) == (pieces_edge.leading, pieces_edge.trailing)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (100, 60), (4000, 4000)])
@pytest.mark.parametrize("pause_s", [0.1, 0.35])
def test_the_pause_between_segments_is_the_one_asked_for(before, after, pause_s):
    segment = np.concatenate(
        (spoken(before, 0, 0), sine(0.2, RATE) + np.float32(0.5), spoken(0, 0, after))
    )
    faded_below_level = 2 * sum(0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE) < 0.01)
    result = joined_up([segment, segment, segment], pause_s)
    pauses = quiet_runs(result)
    assert len(pauses) == 2
    assert all(0 <= pause - pause_s * RATE <= faded_below_level for pause in pauses)


def test_no_pause_is_put_before_the_first_or_after_the_last_segment():
    result = joined_up([spoken(0, 500, 0)] * 2, 0.25)
    assert len(result) == 500 + 2000 + 500
    assert np.all(np.abs(result[FADE : 500 - FADE]) > LEVEL)
    assert np.all(np.abs(result[-500 + FADE : -FADE]) > LEVEL)


def test_a_segment_without_samples_adds_no_second_pause():
    nothing = np.zeros(0, np.float32)
    assert len(joined_up([spoken(0, 500, 0), nothing, spoken(0, 500, 0)], 0.25)) == 500 + 2000 + 500


def test_segments_are_joined_without_a_click():
    result = joined_up([sine(0.3, RATE, 300) + np.float32(0.3)] * 3, 0.05)
    steepest = np.abs(np.diff(sine(0.3, RATE, 300))).max()
    assert (
        np.abs(np.diff(np.concatenate(([0], result, [0])))).max()
        < steepest + 0.7 * np.pi / 2 / FADE
    )


@settings(max_examples=30, deadline=None)
@given(sizes=chunkings, counts=st.lists(st.integers(0, 1500), min_size=1, max_size=4))
def test_chunk_boundaries_do_not_change_joined_segments(sizes, counts):
    segments = [spoken(300, count, 400) for count in counts]
    assert np.array_equal(joined_up(segments, 0.1), joined_up(segments, 0.1, sizes))
