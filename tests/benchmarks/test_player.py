"""Test the benchmark's arithmetic: playback, audibility, arrival times and targets."""

import math

import numpy as np
import pytest
from benchmarks.load import Answer, LoadRun
from benchmarks.player import Arrival, FirstAudible, is_audible, percentile, play, poisson_arrivals
from benchmarks.report import Measure, Target, load_measures
from benchmarks.wire import Address
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.audio.pcm import to_pcm16
from vivavoce.errors import SettingsError

moments = st.floats(0, 10, allow_nan=False)
answers = st.lists(st.tuples(moments, st.floats(0.001, 1)), min_size=1, max_size=20).map(
    lambda pairs: [Arrival(at, audio) for at, audio in sorted(pairs)]
)


def test_audio_that_comes_faster_than_it_plays_has_no_gap() -> None:
    arrivals = [Arrival(0.1 + 0.05 * i, 0.1) for i in range(10)]
    heard = play(arrivals, 0.6, start_buffer_s=0.0)
    assert (heard.started_s, heard.gaps_s) == (0.1, ())
    assert heard.ended_s == pytest.approx(1.1)


def test_player_waits_for_its_start_buffer() -> None:
    arrivals = [Arrival(1.0, 0.08), Arrival(2.0, 0.08), Arrival(3.0, 0.08)]
    assert play(arrivals, 3.0, start_buffer_s=0.16).started_s == 2.0


def test_answer_shorter_than_the_start_buffer_plays_when_it_is_complete() -> None:
    heard = play([Arrival(1.0, 0.05)], 1.5, start_buffer_s=0.2)
    assert (heard.started_s, heard.gaps_s) == (1.5, ())
    assert heard.ended_s == pytest.approx(1.55)


def test_late_audio_is_one_gap_of_the_time_it_was_late() -> None:
    arrivals = [Arrival(0.0, 0.2), Arrival(0.5, 0.2), Arrival(0.6, 0.2)]
    heard = play(arrivals, 0.6, start_buffer_s=0.2)
    assert heard.gaps_s == pytest.approx((0.3,))
    assert heard.ended_s == pytest.approx(0.9)


def test_start_buffer_covers_lateness_up_to_its_own_length() -> None:
    late = [Arrival(0.0, 0.1), Arrival(0.1, 0.1), Arrival(0.29, 0.1)]
    assert play(late, 0.29, start_buffer_s=0.2).gaps_s == ()
    assert play(late, 0.29, start_buffer_s=0.1).gaps_s == pytest.approx((0.09,))


def test_audio_that_comes_just_in_time_is_no_gap() -> None:
    arrivals = [Arrival(i * 0.1, 0.1) for i in range(1000)]
    assert play(arrivals, 100.0, start_buffer_s=0.1).gaps_s == ()


@given(answers, st.floats(0, 2))
def test_playing_takes_the_audio_and_the_gaps_and_nothing_else(
    arrivals: list[Arrival], buffer_s: float
) -> None:
    heard = play(arrivals, arrivals[-1].at_s, start_buffer_s=buffer_s)
    audio_s = math.fsum(arrival.audio_s for arrival in arrivals)
    assert heard.ended_s - heard.started_s == pytest.approx(
        audio_s + math.fsum(heard.gaps_s), abs=1e-4
    )
    assert heard.ended_s >= arrivals[-1].at_s + arrivals[-1].audio_s - 1e-4


@given(answers)
def test_player_that_has_everything_before_it_starts_never_runs_dry(
    arrivals: list[Arrival],
) -> None:
    assert play(arrivals, arrivals[-1].at_s, start_buffer_s=math.inf).gaps_s == ()


@pytest.mark.parametrize(
    ("peak", "audible"), [(0.0, False), (0.0019, False), (0.0021, True), (-0.5, True)]
)
def test_only_samples_above_the_silence_level_are_audible(peak: float, audible: bool) -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[50] = peak
    assert is_audible(to_pcm16(samples)) is audible


def test_loudest_negative_sample_is_audible() -> None:
    assert is_audible(np.array([-32768], dtype="<i2").tobytes())


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_first_audible_sample_is_found_however_the_stream_is_cut(cut: int) -> None:
    # Paired one byte off, each quiet 1 would be a loud 256 and found too early.
    pcm = np.array([0, 1, 1, 1, 1, 1, 20_000, 0], dtype="<i2").tobytes()
    first = FirstAudible()
    found_after = next(
        end for end in range(cut, len(pcm) + cut, cut) if first.write(pcm[end - cut : end])
    )
    assert found_after - cut < 14 <= found_after


def test_silence_is_never_found_audible() -> None:
    first = FirstAudible()
    assert not any(first.write(b"\0" * 4801) for _ in range(10))


def test_percentile_lies_between_neighbours_and_is_no_number_of_nothing() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.5
    assert percentile([5.0], 99) == 5.0
    assert math.isnan(percentile([], 50))


def test_poisson_callers_come_at_the_rate_in_order_and_in_time() -> None:
    moments = list(poisson_arrivals(50.0, duration_s=100.0, at_most=10_000, seed=1))
    assert moments == sorted(moments)
    assert moments[-1] < 100.0
    assert len(moments) == pytest.approx(5000, rel=0.05)  # a standard deviation is 71
    assert np.std(np.diff(moments)) == pytest.approx(
        1 / 50, rel=0.1
    )  # exponential: as wide as its mean


def test_poisson_callers_are_bounded_in_number_and_repeatable() -> None:
    first = list(poisson_arrivals(50.0, duration_s=100.0, at_most=7, seed=3))
    assert len(first) == 7
    assert first == list(poisson_arrivals(50.0, duration_s=100.0, at_most=7, seed=3))


def answer(*arrivals: Arrival, status: str = "200", asked_s: float = 0.0) -> Answer:
    first_s = arrivals[0].at_s if arrivals else math.nan
    return Answer(
        status, asked_s, first_s, first_s, arrivals[-1].at_s if arrivals else asked_s, arrivals
    )


def test_load_is_summed_up_as_its_listeners_felt_it() -> None:
    smooth = answer(Arrival(1.1, 0.5), Arrival(1.2, 0.5), asked_s=1.0)
    stuttering = answer(Arrival(2.3, 0.2), Arrival(3.0, 0.3), asked_s=2.0)
    refused = answer(status="429", asked_s=2.0)
    run = LoadRun((smooth, stuttering, refused), wall_s=3.0, lags_s=(0.001,))
    measured = {each.name: each.value for each in load_measures(run, start_buffer_s=0.2)}
    assert measured["requests"] == 3
    assert measured["time to first byte, p50"] == pytest.approx(
        200.0
    )  # between 100 and 300 ms; no byte, no time
    assert measured["underruns"] == 1
    assert measured["silence by underruns"] == pytest.approx(500.0)
    assert measured["throughput"] == pytest.approx(1.5 / 3.0)
    assert (measured["failed requests"], measured["status 429"]) == (1, 1)


def test_load_without_a_good_answer_has_no_times() -> None:
    run = LoadRun((answer(status="none"),), wall_s=1.0, lags_s=())
    measured = {each.name: each.shown for each in load_measures(run, start_buffer_s=0.2)}
    assert measured["time to first audio, p95"] == "–"
    assert measured["failed requests"] == "1"


@pytest.mark.parametrize(
    ("value", "target", "verdict"),
    [
        (30.0, Target(30.0), "met"),
        (30.1, Target(30.0), "missed"),
        (1.7, Target(1.7, at_most=False), "met"),
        (1.69, Target(1.7, at_most=False), "missed"),
        (math.nan, Target(30.0), "missed"),  # nothing was measured
    ],
)
def test_target_is_met_on_its_own_side_only(value: float, target: Target, verdict: str) -> None:
    assert Measure("x", value, "ms", target).verdict == verdict


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:8000", "https://localhost:8000", "localhost:8000", "http://example.org"],
)
def test_only_a_server_of_this_machine_is_measured(url: str) -> None:
    with pytest.raises(SettingsError, match="--url"):
        Address.parse(url)


def test_address_of_this_machine_is_taken_by_name_and_by_number() -> None:
    assert Address.parse("http://localhost:8000/") == Address("localhost", 8000)
    assert Address.parse("http://[::1]:80") == Address("::1", 80)
