import io
import struct
import wave

import av
import numpy as np
import pytest

from vivavoce.audio import (
    SAMPLE_RATES,
    comment_in,
    flac_with_length,
    from_int16,
    open_encoder,
    to_int16,
    to_pcm16,
    wav_bytes,
    wav_header,
)
from vivavoce.audio.containers import STREAMED_DATA_BYTES
from vivavoce.provenance.mark import wav_info

from .signals import speech_like


def read_with_wave(data):
    with wave.open(io.BytesIO(data)) as reader:
        form = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
        return form, np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")


def read_with_ffmpeg(data):
    with av.open(io.BytesIO(data)) as container:
        return np.concatenate(
            [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        )


@pytest.mark.parametrize("rate_hz", [8000, 24000, 44100])
def test_a_whole_file_has_exact_sizes(rate_hz):
    samples = speech_like(0.3, rate_hz)
    data = wav_bytes(samples, rate_hz)
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    assert struct.unpack_from("<I", data, 40) == (2 * len(samples),)
    form, read = read_with_wave(data)
    assert form == (1, 2, rate_hz)
    assert np.array_equal(read, to_int16(samples))


@pytest.mark.parametrize("data_bytes", [None, 2**32 - 2])
def test_an_unknown_or_unsayable_length_gives_agreeing_sizes_below_two_gigabytes(data_bytes):
    header = wav_header(24000, data_bytes)
    riff, data = struct.unpack_from("<I", header, 4)[0], struct.unpack_from("<I", header, 40)[0]
    assert (riff, data) == (STREAMED_DATA_BYTES + 36, STREAMED_DATA_BYTES)
    assert data % 2 == 0
    assert riff < 2**31


@pytest.mark.parametrize(
    "read", [lambda data: read_with_wave(data)[1], read_with_ffmpeg], ids=["wave", "ffmpeg"]
)
@pytest.mark.parametrize("stop", [0.25, 1.0])
def test_a_streamed_file_is_read_to_where_it_stops(read, stop):
    samples = speech_like(1.0, 24000)[: round(stop * 24000)]
    encoder = open_encoder("wav", 24000)
    streamed = encoder.write(samples) + encoder.finish()
    assert np.array_equal(read(streamed), to_int16(samples))


@pytest.mark.parametrize("comment", ["odd", "even", "für alle"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_comment_is_read_and_changes_no_sample(comment, streamed):
    samples = speech_like(0.1, 24000)
    info, pcm = wav_info(comment), to_pcm16(samples)
    header = wav_header(24000, None if streamed else len(pcm), info)
    data = header + pcm + (b"" if streamed else info)
    assert len(info) % 2 == 0
    assert comment_in(data) == comment
    assert np.array_equal(read_with_wave(data)[1], to_int16(samples))
    assert np.array_equal(read_with_ffmpeg(data), to_int16(samples))
    if not streamed:
        assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)


def test_pcm_is_wav_without_its_header():
    samples = from_int16(to_int16(speech_like(0.1, 24000)))
    assert wav_bytes(samples, 24000)[44:] == to_pcm16(samples)


def streamed_flac(samples, rate_hz):
    encoder = open_encoder("flac", rate_hz)
    return encoder.write(samples) + encoder.finish()


def stated_and_decoded(data):
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        stated = stream.duration and stream.duration * stream.time_base * stream.rate
        return stated, sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("rate_hz", SAMPLE_RATES["flac"])
def test_a_whole_flac_file_can_state_its_length(rate_hz):
    samples = speech_like(0.7, rate_hz)
    data = flac_with_length(streamed_flac(samples, rate_hz), len(samples))
    assert stated_and_decoded(data) == (len(samples), len(samples))


def test_only_the_length_changes():
    data = streamed_flac(speech_like(0.2, 24000), 24000)
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
    data = streamed_flac(speech_like(0.2, 24000), 24000)
    assert flac_with_length(data, 2**36) == data
