import io

import av
import pytest

from vivavoce.audio import SAMPLE_RATES, flac_with_length, open_encoder

from .signals import speech_like


def streamed(samples, rate_hz):
    encoder = open_encoder("flac", rate_hz)
    return encoder.write(samples) + encoder.finish()


def stated_and_decoded(data):
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        stated = stream.duration and stream.duration * stream.time_base * stream.rate
        return stated, sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("rate_hz", SAMPLE_RATES["flac"])
def test_a_whole_file_can_state_its_length(rate_hz):
    samples = speech_like(0.7, rate_hz)
    data = flac_with_length(streamed(samples, rate_hz), len(samples))
    assert stated_and_decoded(data) == (len(samples), len(samples))


def test_only_the_length_changes():
    data = streamed(speech_like(0.2, 24000), 24000)
    longest = flac_with_length(data, 2**36 - 1)
    assert len(longest) == len(data)
    assert {index for index in range(len(data)) if data[index] != longest[index]} == {
        21,
        22,
        23,
        24,
        25,
    }
    assert flac_with_length(data[:42], 4800) == flac_with_length(data, 4800)[:42]


def test_a_length_past_the_field_stays_unknown():
    data = streamed(speech_like(0.2, 24000), 24000)
    assert flac_with_length(data, 2**36) == data
