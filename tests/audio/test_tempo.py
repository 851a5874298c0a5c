import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio import MAX_SPEED, MIN_SPEED, Tempo
from vivavoce.errors import BadRequest

from .signals import chunkings, cut, joined, sine, speech_like

SPEEDS = [0.25, 0.4, 0.5, 0.8, 0.99, 1.1, 1.5, 2.0, 3.0, 4.0]


def respoken(samples, rate_hz, speed, sizes=(480,), *, timed=False):
    tempo = Tempo(rate_hz, speed, timed=timed)
    pieces = [tempo.write(piece) for piece in cut(samples, sizes)]
    return joined([*pieces, tempo.finish()])


def loudest_frequency(samples, rate_hz):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate_hz / len(samples)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("rate_hz", [8000, 24000, 48000])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.1, 1.5])
def test_the_length_is_divided_by_the_speed_exactly(speed, rate_hz, seconds):
    samples = speech_like(seconds, rate_hz)
    result = respoken(samples, rate_hz, speed)
    assert (len(result), result.dtype) == (round(len(samples) / speed), np.float32)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("tone_hz", [150.0, 440.0])
def test_the_pitch_stays(speed, tone_hz):
    result = respoken(sine(3.0, 24000, tone_hz), 24000, speed)
    assert loudest_frequency(result, 24000) == pytest.approx(tone_hz, rel=0.01)


@pytest.mark.parametrize("speed", SPEEDS)
def test_an_event_moves_to_its_time_divided_by_the_speed(speed):
    samples = speech_like(2.0, 24000)
    samples[24000:] = 0.0
    result = respoken(samples, 24000, speed)
    last_audible = np.flatnonzero(np.abs(result) > 0.01)[-1]
    assert last_audible == pytest.approx(24000 / speed, abs=0.1 * 24000)


@settings(max_examples=25, deadline=None)
@given(sizes=chunkings, speed=st.sampled_from(SPEEDS), count=st.integers(0, 20000))
def test_chunk_boundaries_do_not_change_the_samples(sizes, speed, count):
    samples = speech_like(1.0, 24000)[:count]
    whole = respoken(samples, 24000, speed, [10**9])
    assert len(whole) == round(count / speed)
    assert np.array_equal(respoken(samples, 24000, speed, sizes), whole)


def test_speed_one_passes_through_without_delay():
    samples = speech_like(0.1, 24000)
    tempo = Tempo(24000, 1.0)
    assert tempo.write(samples) is samples
    assert len(tempo.finish()) == 0


@pytest.mark.parametrize("speed", SPEEDS)
def test_sound_comes_out_after_a_fifth_of_a_second_of_input(speed):
    tempo = Tempo(24000, speed)
    assert len(joined([tempo.write(piece) for piece in cut(speech_like(0.22, 24000), [480])]))


@pytest.mark.parametrize("speed", [MIN_SPEED / 1.01, MAX_SPEED * 1.01, 0.0, -1.0, float("nan")])
def test_a_speed_out_of_range_is_refused_by_name(speed):
    with pytest.raises(BadRequest, match=r"speed .* 0\.25 to 4\.0") as caught:
        Tempo(24000, speed)
    assert caught.value.field == "speed"


def test_a_stream_given_up_midway_can_be_closed_twice():
    tempo = Tempo(24000, 1.5)
    tempo.write(speech_like(0.5, 24000))
    tempo.close()
    tempo.close()


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("rate_hz", [8000, 24000, 44100])
def test_the_samples_of_a_timed_tempo_are_the_same(speed, rate_hz):
    # But the last ones, which are mixed with the digital silence after the end.
    samples = speech_like(3.0, rate_hz)
    same = round(len(samples) / speed) - rate_hz // 10
    plain, timed = respoken(samples, rate_hz, speed), respoken(samples, rate_hz, speed, timed=True)
    assert len(plain) == len(timed)
    assert np.array_equal(plain[:same], timed[:same])


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.99, 1.1, 4.0])
def test_a_long_stream_keeps_the_positions_of_its_last_ten_seconds(speed):
    rate_hz, seconds = 8000, 60 * max(speed, 0.5)
    tempo = Tempo(rate_hz, speed, timed=True)
    samples = np.resize(speech_like(2.0, rate_hz), round(seconds * rate_hz))
    length = sum(len(tempo.write(piece)) for piece in cut(samples, [800])) + len(tempo.finish())
    places = np.arange(0, len(samples), 1000)
    positions = np.array([tempo.position(place) for place in places])
    kept = places / speed > length - 10 * rate_hz
    assert np.all(np.abs(positions - places / speed)[kept] < 0.12 * rate_hz)
    assert np.all(np.diff(positions) >= 0)
    assert positions[0] > rate_hz  # forgotten
