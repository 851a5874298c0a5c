import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vivavoce.audio import fade_in, fade_out, from_int16, silence, to_int16, to_pcm16

from .signals import sine

RATE = 24000


@given(arrays(np.int16, st.integers(0, 500)))
def test_sixteen_bit_samples_survive_the_round_trip(samples):
    assert np.array_equal(to_int16(from_int16(samples)), samples)


@pytest.mark.parametrize(
    ("value", "quantised"),
    [
        (0.0, 0),
        (1.0, 32767),
        (-1.0, -32768),
        (7.5, 32767),
        (-7.5, -32768),
        (float("inf"), 32767),
        (float("nan"), 0),
        (0.6 / 32768, 1),
        (-0.6 / 32768, -1),
        (0.4 / 32768, 0),
    ],
)
def test_samples_are_clipped_and_rounded_to_the_nearest(value, quantised):
    assert to_int16(np.array([value], dtype=np.float32)).tolist() == [quantised]


def test_pcm_is_little_endian_two_bytes_a_sample():
    assert to_pcm16(np.array([1 / 32768, -1.0], dtype=np.float32)) == b"\x01\x00\x00\x80"


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.0, 0), (-1.0, 0), (0.25, 6000), (1 / 3, 8000), (1 / RATE, 1)]
)
def test_silence_has_the_exact_count(seconds, count):
    quiet = silence(seconds, RATE)
    assert (len(quiet), quiet.dtype, np.count_nonzero(quiet)) == (count, np.float32, 0)


def test_fades_touch_only_their_five_milliseconds_and_leave_the_input_alone():
    samples = sine(0.1, RATE)
    before = samples.copy()
    risen, fallen = fade_in(samples, RATE), fade_out(samples, RATE)
    assert np.array_equal(samples, before)
    assert np.array_equal(risen[120:], samples[120:])
    assert np.array_equal(fallen[:-120], samples[:-120])
    assert np.abs(risen[:60]).max() < np.abs(samples[:60]).max()
    assert np.array_equal(fallen, fade_in(samples[::-1], RATE)[::-1])


def test_a_fade_rises_monotonically_from_silence_to_the_full_level():
    gains = fade_in(np.ones(120, dtype=np.float32), RATE)
    assert np.all(np.diff(gains) > 0)
    assert gains[0] < 1e-3
    assert gains[-1] > 0.999


@pytest.mark.parametrize("count", [0, 1, 50, 119])
def test_arrays_shorter_than_the_fade_are_faded_as_far_as_they_go(count):
    whole = np.ones(500, dtype=np.float32)
    assert np.array_equal(fade_in(whole[:count], RATE), fade_in(whole, RATE)[:count])
    assert np.array_equal(fade_out(whole[:count], RATE), fade_out(whole, RATE)[500 - count :])
