import gc
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio import (
    MEDIA_TYPES,
    SAMPLE_RATES,
    check_rate,
    nearest_rate,
    open_encoder,
    to_int16,
)
from vivavoce.audio.encode import _AvEncoder, _codec
from vivavoce.errors import BadRequest, MissingDependency
from vivavoce.types import AudioFormat

from .signals import chunkings, cut, speech_like

FORMATS = get_args(AudioFormat)
COMPRESSED = ("mp3", "opus", "aac", "flac")
LOSSLESS = ("wav", "pcm", "flac")
DEMUXERS = {
    "wav": "wav", "pcm": "s16le", "mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac",
    "ulaw": "mulaw", "alaw": "alaw", "m4a": "mov",
}  # fmt: skip
HEADLESS = ("pcm", "ulaw", "alaw")
STREAMED = [name for name in FORMATS if name != "m4a"]
EVERY_RATE = [(name, rate_hz) for name in FORMATS for rate_hz in SAMPLE_RATES[name]]


def usual_rate(name):
    return nearest_rate(name, 24000)


def encoded(name, samples, rate_hz, sizes=(480,), comment=""):
    encoder = open_encoder(name, rate_hz, comment=comment)
    data = b"".join(encoder.write(piece) for piece in cut(samples, sizes))
    return data + encoder.finish()


def decoded(name, data, rate_hz):
    """The samples as a player would hear them, and their rate."""
    options = {"sample_rate": str(rate_hz), "ch_layout": "mono"} if name in HEADLESS else {}
    with av.open(io.BytesIO(data), format=DEMUXERS[name], options=options) as container:
        frames = list(container.decode(audio=0))
    pieces = [frame.to_ndarray().reshape(-1) for frame in frames]
    scale = np.float32(32768 if pieces[0].dtype == np.int16 else 1)
    return np.concatenate(pieces).astype(np.float32) / scale, frames[0].sample_rate


def best_alignment(reference, heard):
    """How many samples later `reference` is in `heard`, and how well they correlate there."""
    size = 1 << (len(reference) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size))
    delay = int(np.argmax(np.fft.irfft(spectrum, size)))
    piece = heard[delay : delay + len(reference)]
    return delay, np.corrcoef(reference[: len(piece)], piece)[0, 1]


@pytest.mark.parametrize(("name", "rate_hz"), EVERY_RATE)
def test_every_format_and_rate_decodes_to_the_same_sound(name, rate_hz):
    samples = speech_like(0.7, rate_hz)
    heard, heard_rate = decoded(name, encoded(name, samples, rate_hz), rate_hz)
    if name == "opus":  # decoders always speak at 48 kHz
        assert heard_rate == 48000
        samples = speech_like(0.7, 48000)
    else:
        assert heard_rate == rate_hz
    delay, correlation = best_alignment(samples, heard)
    assert correlation > 0.99
    if name in ("mp3", "aac"):
        assert 1000 <= delay <= 1110
        assert len(samples) + delay <= len(heard) < len(samples) + delay + 2 * 1152
    else:
        assert delay <= (2 if name == "opus" else 0)
        assert 0 <= len(heard) - len(samples) < (1024 if name == "m4a" else 1)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 24000])
def test_lossless_formats_give_back_the_exact_samples(name, count):
    samples = speech_like(1.0, 24000)[:count]
    data = encoded(name, samples, 24000)
    if count:
        heard, _ = decoded(name, data, 24000)
        assert np.array_equal(to_int16(heard), to_int16(samples))
    else:
        assert len(data) == {"wav": 44, "pcm": 0, "flac": len(data)}[name]


@pytest.mark.parametrize("count", [1, 4096, 300_001])
def test_a_file_that_is_kept_has_the_same_samples_in_fewer_frames(count):
    samples = np.resize(speech_like(1.0, 24000), count)
    encoder = open_encoder("flac", 24000, kept=True)
    data = b"".join(encoder.write(piece) for piece in cut(samples, (777,))) + encoder.finish()
    at_once = open_encoder("flac", 24000, kept=True)
    assert at_once.write(samples) + at_once.finish() == data
    assert np.array_equal(to_int16(decoded("flac", data, 24000)[0]), to_int16(samples))
    with av.open(io.BytesIO(data)) as container:
        sizes = [frame.samples for frame in container.decode(audio=0)]
    assert sizes[:-1] == [4096] * (len(sizes) - 1)


@pytest.mark.parametrize("rate_hz", SAMPLE_RATES["opus"])
@pytest.mark.parametrize("count", [1, 479, 480, 481, 5000])
def test_opus_keeps_the_exact_length(rate_hz, count):
    heard, _ = decoded("opus", encoded("opus", speech_like(1.0, rate_hz)[:count], rate_hz), rate_hz)
    assert len(heard) == count * 48000 // rate_hz


@settings(max_examples=30, deadline=None)
@given(sizes=chunkings, name=st.sampled_from(FORMATS), count=st.integers(0, 12000))
def test_chunk_boundaries_do_not_change_the_stream(sizes, name, count):
    samples, rate_hz = speech_like(0.5, 24000)[:count], usual_rate(name)
    whole = encoded(name, samples, rate_hz, [10**9])
    pieces = encoded(name, samples, rate_hz, sizes)
    assert whole == pieces


@pytest.mark.parametrize("rate_hz", [24000, 44100, 48000])
@pytest.mark.parametrize("name", STREAMED)
def test_sound_can_be_decoded_after_120_milliseconds_of_input(name, rate_hz):
    rate_hz = nearest_rate(name, rate_hz)
    encoder = open_encoder(name, rate_hz)
    begun = b"".join(
        encoder.write(piece) for piece in cut(speech_like(0.12, rate_hz), [rate_hz // 100])
    )
    encoder.close()
    heard, heard_rate = decoded(name, begun, rate_hz)
    assert len(heard) / heard_rate >= 0.03


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_cut_off_midway_decodes_to_where_it_stops(name):
    rate_hz = usual_rate(name)
    samples = speech_like(2.0, rate_hz)[: rate_hz * 3 // 2]
    encoder = open_encoder(name, rate_hz)
    begun = b"".join(encoder.write(piece) for piece in cut(samples, [rate_hz // 50]))
    encoder.close()
    heard, heard_rate = decoded(name, begun, rate_hz)
    assert 1.5 - 0.15 <= len(heard) / heard_rate <= 1.5
    _, correlation = best_alignment(speech_like(1.3, heard_rate), heard)
    assert correlation > 0.99


@pytest.mark.parametrize("name", STREAMED)
def test_bytes_leave_steadily_so_nothing_gathers_inside(name):
    encoder = open_encoder(name, usual_rate(name))
    second = speech_like(1.0, usual_rate(name))
    sizes = [len(encoder.write(second)) for _ in range(20)]
    assert min(sizes[1:]) > 0.9 * np.median(sizes)
    assert len(encoder.finish()) < 0.3 * np.median(sizes)


def test_all_of_m4a_leaves_at_the_end():
    encoder = open_encoder("m4a", 24000)
    assert encoder.write(speech_like(2.0, 24000)) == b""
    assert encoder.finish()[4:11] == b"ftypM4A"


@pytest.mark.parametrize(
    ("name", "rate_hz", "kbit_s"),
    [
        ("mp3", 24000, 64),
        ("mp3", 48000, 96),
        ("aac", 24000, 64),
        ("m4a", 24000, 64),
        ("opus", 24000, 48),
        ("mp3", 8000, 32),
    ],
)
def test_the_bit_rate_is_one_for_speech(name, rate_hz, kbit_s):
    data = encoded(name, speech_like(4.0, rate_hz), rate_hz)
    assert len(data) * 8 / 4000 == pytest.approx(kbit_s, rel=0.35)


@pytest.mark.parametrize("comment", ["", "by a machine"])
def test_mp3_starts_with_its_comment_and_then_a_frame_of_sound(comment):
    data = encoded("mp3", speech_like(0.5, 24000), 24000, comment=comment)
    if comment:
        assert data[:3] == b"ID3"
        size = sum((byte & 0x7F) << 7 * (3 - at) for at, byte in enumerate(data[6:10]))
        assert size < 100
        data = data[10 + size :]
    assert data[0] == 0xFF
    assert data[1] & 0xE0 == 0xE0
    assert b"Xing" not in data
    assert b"Info" not in data
    assert b"ID3" not in data


@pytest.mark.parametrize("name", FORMATS)
def test_a_comment_changes_no_sample(name):
    rate_hz = usual_rate(name)
    samples = speech_like(0.5, rate_hz)
    plain, marked = (encoded(name, samples, rate_hz, comment=each) for each in ("", "é" * 40))
    assert (len(marked) > len(plain)) is (name in ("wav", "mp3", "opus", "flac", "m4a"))
    heard = [decoded(name, data, rate_hz)[0] for data in (plain, marked)]
    assert np.array_equal(*heard)
    assert marked == encoded(name, samples, rate_hz, [7, 999], comment="é" * 40)


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_of_nothing_ends_without_an_error(name):
    encoder = open_encoder(name, usual_rate(name))
    encoder.write(np.zeros(0, np.float32))
    assert len(encoder.finish()) < 1500


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -7.0])
def test_samples_out_of_range_are_encoded_as_the_nearest_in_range(name, value):
    broken = speech_like(0.5, 24000)
    broken[3000:9000] = value
    rate_hz = usual_rate(name)
    heard, _ = decoded(name, encoded(name, broken, rate_hz), rate_hz)
    assert np.all(np.isfinite(heard))


@pytest.mark.parametrize("name", FORMATS)
def test_an_encoder_can_be_closed_at_any_time_and_again(name):
    for seconds in (0.0, 0.1):
        encoder = open_encoder(name, usual_rate(name))
        encoder.write(speech_like(seconds, 24000))
        encoder.close()
        encoder.close()
    encoder = open_encoder(name, usual_rate(name))
    encoder.finish()
    encoder.close()


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="needs Linux's own account of memory"
)
@pytest.mark.parametrize("name", COMPRESSED)
def test_encoders_given_up_midway_give_back_their_memory(name):
    def give_up_on_sixty():
        for _ in range(60):
            encoder = open_encoder(name, 24000)
            encoder.write(samples)
            encoder.close()

    def resident_mib():
        return (
            int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20
        )

    samples = speech_like(0.1, 24000)
    gc.disable()  # close() itself must free, without the help of a collection
    try:
        give_up_on_sixty()
        before = resident_mib()
        give_up_on_sixty()
        assert resident_mib() - before < 6  # sixty left open hold 20 (mp3, aac) to 400 MiB (flac)
    finally:
        gc.enable()


def test_every_format_has_a_media_type_and_rates():
    assert set(MEDIA_TYPES) == set(SAMPLE_RATES) == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "rate_hz"), [("opus", 44100), ("mp3", 96000), ("wav", 0), ("aac", -1)]
)
def test_a_rate_the_format_lacks_is_refused_with_the_choices(name, rate_hz):
    with pytest.raises(BadRequest) as caught:
        check_rate(name, rate_hz)
    assert caught.value.field == "sample_rate"
    assert repr(rate_hz) in caught.value.message
    assert all(str(choice) in caught.value.message for choice in SAMPLE_RATES[name])
    with pytest.raises(BadRequest):
        open_encoder(name, rate_hz)


@pytest.mark.parametrize(
    ("name", "rate_hz", "nearest"),
    [
        ("opus", 24000, 24000),
        ("opus", 22050, 24000),
        ("opus", 44100, 48000),
        ("wav", 96000, 48000),
        ("mp3", 100, 8000),
    ],
)
def test_the_nearest_rate_never_loses_bandwidth_that_the_format_has(name, rate_hz, nearest):
    assert nearest_rate(name, rate_hz) == nearest
    check_rate(name, nearest)


def test_a_pyav_built_without_the_codec_is_reported_with_the_way_out():
    absent = replace(_codec("mp3", 24000, serial=0), encoder="libabsent")
    with pytest.raises(MissingDependency, match=r"'libabsent'.*pip install"):
        _AvEncoder(absent, 24000)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_a_telephone_hears_each_sample_within_half_a_step_of_its_law(law):
    values = np.arange(-32768, 32768).astype(np.float32) / 32768
    heard, _ = decoded(law, encoded(law, values, 8000), 8000)
    assert np.all(np.abs(heard - values) <= np.abs(values) / 32 + 16 / 32768)
