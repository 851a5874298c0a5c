import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio import Resampler

from .signals import chunkings, cut, joined, sine, speech_like

PAIRS = [
    (24000, 48000),
    (24000, 16000),
    (24000, 44100),
    (44100, 24000),
    (22050, 48000),
    (48000, 8000),
    (24000, 24000),
]


def resampled(samples, in_rate_hz, out_rate_hz, sizes=(480,)):
    resampler = Resampler(in_rate_hz, out_rate_hz)
    pieces = [resampler.write(piece) for piece in cut(samples, sizes)]
    return joined([*pieces, resampler.finish()])


@pytest.mark.parametrize(("in_rate_hz", "out_rate_hz"), PAIRS)
@pytest.mark.parametrize("count", [0, 1, 100, 4801, 30000])
def test_the_length_is_exact(in_rate_hz, out_rate_hz, count):
    result = resampled(np.zeros(count, np.float32), in_rate_hz, out_rate_hz)
    assert abs(len(result) - count * out_rate_hz / in_rate_hz) <= 0.5
    assert result.dtype == np.float32


@pytest.mark.parametrize(("in_rate_hz", "out_rate_hz"), PAIRS)
def test_a_tone_is_the_same_tone_at_the_new_rate(in_rate_hz, out_rate_hz):
    result = resampled(sine(0.5, in_rate_hz, 440.0), in_rate_hz, out_rate_hz)
    expected = sine(0.5, out_rate_hz, 440.0)
    inner = slice(
        out_rate_hz // 20, -out_rate_hz // 20
    )  # the ends ring: the tone begins and stops at once
    assert np.abs(result[inner] - expected[inner]).max() < 1e-3


def test_what_the_lower_rate_cannot_hold_is_removed_not_folded():
    result = resampled(sine(0.5, 48000, 7000.0), 48000, 8000)
    assert np.abs(result[400:-400]).max() < 1e-3


@settings(max_examples=30, deadline=None)
@given(sizes=chunkings, pair=st.sampled_from(PAIRS), count=st.integers(0, 20000))
def test_chunk_boundaries_do_not_change_the_samples(sizes, pair, count):
    samples = speech_like(1.0, 24000)[:count]
    assert np.array_equal(resampled(samples, *pair, sizes), resampled(samples, *pair, [10**9]))


def test_equal_rates_pass_through_without_delay():
    samples = speech_like(0.1, 24000)
    resampler = Resampler(24000, 24000)
    assert resampler.write(samples) is samples
    assert len(resampler.finish()) == 0


def test_a_strided_view_is_resampled_like_its_copy():
    samples = speech_like(0.5, 48000)
    assert np.array_equal(
        resampled(samples[::2], 24000, 16000), resampled(samples[::2].copy(), 24000, 16000)
    )


def test_sound_comes_out_after_sixty_milliseconds_of_input():
    resampler = Resampler(24000, 48000)
    assert len(joined([resampler.write(piece) for piece in cut(speech_like(0.06, 24000), [240])]))


def test_a_stream_given_up_midway_can_be_closed_twice():
    resampler = Resampler(24000, 48000)
    resampler.write(speech_like(0.1, 24000))
    resampler.close()
    resampler.close()
