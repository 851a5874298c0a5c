"""Decoding what somebody sent: every format, and everything that is none or means harm."""

import io
import random
import struct
import time
import tracemalloc
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vivavoce.audio import decode_recording, wav_bytes
from vivavoce.audio.decode import MAX_BYTES
from vivavoce.errors import BadRequest
from vivavoce.types import Samples

RATE_HZ = 48_000
ENCODED = {
    "mp3": ("mp3", "libmp3lame"), "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"), "m4a": ("ipod", "aac"),
    "mp4-alac": ("mp4", "alac"), "aac": ("adts", "aac"), "webm": ("webm", "libopus"),
}  # fmt: skip
FORMATS = ("wav", *ENCODED)


def tone(seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    """A sine of 440 Hz that swells and fades."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * 440 * at) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * at))).astype(
        np.float32
    )


def encode(samples: Samples, container: str, codec: str) -> bytes:
    """A file of `samples` at 48 kHz, made by FFmpeg."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, RATE_HZ, layout="mono")
        size = stream.codec_context.frame_size or None
        resampler = av.AudioResampler(stream.format.name, "mono", RATE_HZ, size)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "flt", "mono")
        frame.sample_rate = RATE_HZ
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            out.mux(stream.encode(part))
    return file.getvalue()


@cache
def sample_file(name: str, seconds: float = 2.0) -> bytes:
    samples = tone(seconds)
    return wav_bytes(samples, RATE_HZ) if name == "wav" else encode(samples, *ENCODED[name])


def pcm_wav(data: bytes, *, channels: int, bits: int, rate_hz: int, kind: int = 1) -> bytes:
    """A WAV file of raw samples; `kind` 3 is floating point."""
    size = channels * bits // 8
    layout = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, kind, channels, rate_hz, rate_hz * size, size, bits
    )
    body = b"WAVE" + layout + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def refusal(data: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        decode_recording(data)
    assert caught.value.field == "ref_audio"
    return caught.value.message


def spectrum_peak_hz(samples: NDArray[np.float32], rate_hz: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(name: str) -> None:
    samples, rate_hz = decode_recording(sample_file(name))
    assert rate_hz == RATE_HZ
    assert samples.dtype == np.float32
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.06)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)
    assert spectrum_peak_hz(samples, rate_hz) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("name", ["wav", "flac", "mp4-alac"])
def test_what_is_lossless_comes_out_as_it_went_in(name: str) -> None:
    samples, _ = decode_recording(sample_file(name))
    assert len(samples) == 2 * RATE_HZ
    assert np.abs(samples - tone(2.0)).max() <= 2**-15


@pytest.mark.parametrize(
    ("dtype", "bits", "kind", "tolerance"),
    [
        ("u1", 8, 1, 2**-6),
        ("<i2", 16, 1, 2**-14),
        ("<i4", 32, 1, 1e-6),
        ("<f4", 32, 3, 0),
        ("<f8", 64, 3, 1e-7),
    ],
)
def test_every_kind_of_sample_means_the_same(
    dtype: str, bits: int, kind: int, tolerance: float
) -> None:
    wanted = tone(1.0, 16_000)
    scaled = wanted.astype(np.float64) * (1 if kind == 3 else 2 ** (bits - 1)) + (
        128 if dtype == "u1" else 0
    )
    data = pcm_wav(scaled.astype(dtype).tobytes(), channels=1, bits=bits, rate_hz=16_000, kind=kind)
    samples, rate_hz = decode_recording(data)
    assert rate_hz == 16_000
    assert np.abs(samples - wanted).max() <= tolerance


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_channels_are_averaged(channels: int) -> None:
    one = (tone(1.0, 8_000) * 2**15).astype("<i2")
    spread = np.zeros((len(one), channels), "<i2")
    spread[:, 0] = one
    samples, _ = decode_recording(
        pcm_wav(spread.tobytes(), channels=channels, bits=16, rate_hz=8_000)
    )
    assert np.abs(samples - one / 2**15 / channels).max() <= 1e-6


def test_recording_is_bounded_by_its_sound() -> None:
    assert len(decode_recording(wav_bytes(tone(30.0, 8_000), 8_000))[0]) == 240_000
    assert "longer than 30 s, the limit" in (long := refusal(wav_bytes(tone(30.1, 8_000), 8_000)))
    assert "ffmpeg -i LONG -t 10 SHORT.wav" in long
    assert "has 0.90 s of sound, fewer than 1" in refusal(wav_bytes(tone(0.9), RATE_HZ))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"RIFF", "cannot be read as wav"),
        (b"hello there, this is no sound" * 100, "cannot be read as wav"),
        (wav_bytes(np.zeros(48_000, np.float32), RATE_HZ), "is silent"),
        (wav_bytes(np.zeros(0, np.float32), RATE_HZ), "has 0.00 s of sound"),
        (
            pcm_wav(
                np.full(16_000, np.nan, "<f4").tobytes(),
                channels=1,
                bits=32,
                rate_hz=16_000,
                kind=3,
            ),
            "not numbers",
        ),
        (
            pcm_wav(
                np.full(16_000, np.inf, "<f4").tobytes(),
                channels=1,
                bits=32,
                rate_hz=16_000,
                kind=3,
            ),
            "not numbers",
        ),
        (
            pcm_wav(bytes(100_000), channels=1, bits=16, rate_hz=2_000_000_000),
            "2000000000 samples a second",
        ),
        (pcm_wav(bytes(100_000), channels=1, bits=16, rate_hz=1), "1 samples a second"),
        (pcm_wav(bytes(100_000), channels=25, bits=16, rate_hz=8_000), "25 channels"),
        (bytes(MAX_BYTES + 1), "16,777,217 bytes, the limit is 16,777,216"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(data: bytes, says: str) -> None:
    assert says in refusal(data)


def test_loud_numbers_are_clipped() -> None:
    data = pcm_wav((tone(1.0, 8_000) * 1e30).tobytes(), channels=1, bits=32, rate_hz=8_000, kind=3)
    samples, _ = decode_recording(data)
    assert np.abs(samples).max() == 1.0


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_file_is_read_as_far_as_it_goes_or_refused(name: str) -> None:
    data, read = sample_file(name), 0
    for end in [*range(0, 200, 9), *range(200, len(data), len(data) // 25)]:
        with suppress(BadRequest):
            samples, rate_hz = decode_recording(data[:end], min_s=0.2)
            read += 1
            assert 0.2 <= len(samples) / rate_hz <= 2.1
    assert (read > 0) is (
        name not in ("m4a", "mp4-alac")
    )  # an MP4 says at its end where everything is


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_file_gives_numbers_or_a_refusal(name: str) -> None:
    chance = random.Random(name)
    for _ in range(40):
        data = bytearray(sample_file(name))
        for _ in range(chance.choice((1, 5, 50))):
            data[
                chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(200)
            ] = chance.randrange(256)
        with suppress(BadRequest):
            samples, _ = decode_recording(bytes(data))
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1.0


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"RIFF\x00\x00\x10\x00WAVE",
        b"ID3\x04",
        b"fLaC",
        b"OggS",
        b"\xff\xfb\x90",
        b"\x1aE\xdf\xa3",
    ],
)
def test_random_bytes_are_refused(start: bytes) -> None:
    chance = random.Random(start)
    for _ in range(20):
        with pytest.raises(BadRequest):
            decode_recording(start + chance.randbytes(20_000))


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "{path}\n",
        "{url}\n",
        "[playlist]\nFile1={url}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation>'
        "<BaseURL>{url}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
    ],
)
def test_list_that_names_a_local_file_is_not_followed(tmp_path: Path, playlist: str) -> None:
    file = tmp_path / "private.wav"
    file.write_bytes(sample_file("wav"))
    assert "cannot be read" in refusal(playlist.format(path=file, url=file.as_uri()).encode())


def test_header_that_lies_about_its_size_changes_nothing() -> None:
    data = bytearray(sample_file("wav"))
    for claimed in (0, 1, 2**31 - 1, 2**32 - 1):
        struct.pack_into("<I", data, 40, claimed)
        struct.pack_into("<I", data, 4, claimed)
        try:
            samples, _ = decode_recording(bytes(data))
        except BadRequest:
            assert claimed < 2
        else:
            assert len(samples) <= 2 * RATE_HZ


def hours_of_silence(name: str, packets: int) -> bytes:
    """A small file: one packet of silence, over and over."""
    container, codec = ENCODED[name]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, RATE_HZ, layout="mono")
        stream.codec_context.open()
        size = stream.codec_context.frame_size
        frame = av.AudioFrame.from_ndarray(np.zeros((1, size), "<i2"), "s16", "mono")
        frame.sample_rate = RATE_HZ
        frame.pts = 0
        silence = bytes(
            next(packet for packet in (*stream.encode(frame), *stream.encode(None)) if packet.size)
        )
        for number in range(packets):
            packet = av.Packet(silence)
            packet.stream, packet.time_base = stream, Fraction(1, RATE_HZ)
            packet.pts = packet.dts = number * size
            out.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(("name", "packets"), [("flac", 300_000), ("ogg", 100_000)])
def test_hours_of_silence_cost_neither_time_nor_memory(name: str, packets: int) -> None:
    data = hours_of_silence(name, packets)
    assert len(data) < 8_000_000
    tracemalloc.start()
    started = time.process_time()
    assert "longer than 30 s" in refusal(data)
    took, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 2.0
    assert peak < 40_000_000


def test_mp4_that_claims_a_hundred_million_samples_is_refused_before_room_is_made() -> None:
    data = bytearray(sample_file("m4a"))
    for box, offset in ((b"stsz", 12), (b"stsc", 16), (b"stts", 12)):
        struct.pack_into(">I", data, data.find(box) + offset, 100_000_000)
    assert "claims 100,000,0" in refusal(bytes(data))


def test_picture_and_film_hold_no_voice() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", 24)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        for part in (picture, None):
            out.mux(stream.encode(part))
    assert "holds no audio" in refusal(file.getvalue())
