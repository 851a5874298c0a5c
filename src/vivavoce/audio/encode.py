"""Encode samples in nine formats, of which eight are playable as the bytes arrive.

This module writes wav, pcm and the two of telephones. FFmpeg writes mp3, opus, aac, flac and m4a
through PyAV, into memory. A file in m4a is there at its end, where its index is. Every encoder cuts
the stream into its codec's own frames, so the chunks of the input do not change the audio.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

import av
import av.codec.codec
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.containers import wav_header
from vivavoce.audio.frames import audio_frame
from vivavoce.audio.pcm import from_int16, to_int16, to_pcm16
from vivavoce.errors import BadRequest, MissingDependency
from vivavoce.provenance.mark import wav_info
from vivavoce.types import AudioFormat, Samples

# Ogg Opus is audio/ogg by RFC 7845; audio/opus is registered for RTP only, and browsers deny that
# they can play it. audio/pcm is not registered, but it is what speech APIs answer: audio/L16 would
# promise big-endian samples.
MEDIA_TYPES: Mapping[AudioFormat, str] = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "ulaw": "audio/basic",  # RFC 2046: μ-law at 8000 Hz
    "alaw": "audio/x-alaw-basic",
}

_FRAMES_AT_ONCE = 64  # of one copy
_KEPT_FRAME = 4096  # samples: as many as FLAC's subset for all players allows, nearly

_COMMON_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

SAMPLE_RATES: Mapping[AudioFormat, tuple[int, ...]] = {
    "wav": _COMMON_RATES,
    "pcm": _COMMON_RATES,
    "mp3": _COMMON_RATES,  # all that MPEG-1, MPEG-2 and MPEG-2.5 define
    "opus": (8000, 12000, 16000, 24000, 48000),  # all that the codec takes
    "aac": _COMMON_RATES,
    "flac": _COMMON_RATES,
    "m4a": _COMMON_RATES,
    "ulaw": (8000,),  # as telephones have it
    "alaw": (8000,),
}


def check_rate(format: AudioFormat, rate_hz: int) -> None:
    """Raise `BadRequest` (`sample_rate`) if `format` cannot be written at `rate_hz`."""
    choices = SAMPLE_RATES[format]
    if rate_hz not in choices:
        listed = ", ".join(map(str, choices))
        raise BadRequest(
            f"sample_rate {rate_hz!r} is not possible with format {format!r}; "
            f"choose one of {listed}",
            field="sample_rate",
        )


def nearest_rate(format: AudioFormat, rate_hz: int) -> int:
    """Return `rate_hz` if `format` has it, else the next higher rate or the highest."""
    return min((r for r in SAMPLE_RATES[format] if r >= rate_hz), default=SAMPLE_RATES[format][-1])


class Encoder(Protocol):
    """One encoded stream.

    Call `write` any number of times, then `finish` once. `close` gives up midway.
    """

    def write(self, samples: Samples) -> bytes:
        """Take the next samples. Return the bytes that are ready, possibly none."""
        ...

    def finish(self) -> bytes:
        """End the stream. Return the last bytes and free the encoder."""
        ...

    def close(self) -> None:
        """Free the encoder, wherever it stands. May be called again and after `finish`."""
        ...


def open_encoder(
    format: AudioFormat, rate_hz: int, serial: int = 0, comment: str = "", *, kept: bool = False
) -> Encoder:
    """Return an encoder for mono audio at `rate_hz`. `serial` (31 bits) numbers an Ogg stream.

    Of a file that is `kept` to be read again, FLAC has longer frames, in half the time.

    A stream begins with `comment` where the format has a place for it: wav, mp3, opus and flac. All
    of m4a leaves with `finish`, and has a comment too.

    Raises `BadRequest` (`sample_rate`) for a rate that the format does not have and
    `MissingDependency` where the installed PyAV was built without the codec.

    Decoding gives the exact 16-bit samples of wav, pcm and flac, and the exact length of opus.
    m4a notes its encoder's delay, which players cut off. mp3 and aac have no place in a stream to
    note it, so decoded audio begins with about 1100 (mp3) or 1024 (aac) samples of near-silence.
    All three end on a whole frame.
    """
    check_rate(format, rate_hz)
    match format:
        case "wav":
            return _PcmEncoder(header=wav_header(rate_hz, None, wav_info(comment)))
        case "pcm":
            return _PcmEncoder(header=b"")
        case "ulaw" | "alaw":
            return _TelephoneEncoder(format)
        case "mp3" | "opus" | "aac" | "flac" | "m4a":
            return _AvEncoder(_codec(format, rate_hz, serial, comment, kept=kept), rate_hz)


class _PcmEncoder:
    """16-bit little-endian samples after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def write(self, samples: Samples) -> bytes:
        data = self._header + to_pcm16(samples)
        self._header = b""
        return data

    def finish(self) -> bytes:
        return self.write(np.zeros(0, dtype=np.float32))

    def close(self) -> None:
        pass


class _TelephoneEncoder:
    """The μ-law or A-law of ITU-T G.711: a byte for each sample, without a header."""

    def __init__(self, law: Literal["ulaw", "alaw"]) -> None:
        self._table = _telephone_bytes("pcm_mulaw" if law == "ulaw" else "pcm_alaw")

    def write(self, samples: Samples) -> bytes:
        return self._table[to_int16(samples).view(np.uint16)].tobytes()

    def finish(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


@lru_cache
def _telephone_bytes(codec_name: str) -> NDArray[np.uint8]:
    """Return FFmpeg's byte for each 16-bit sample: 0 to 32767, then -32768 to -1."""
    codec = av.CodecContext.create(codec_name, "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = 8000, "mono", "s16"
    samples = np.arange(2**16, dtype=np.uint16).view(np.int16)
    packets = codec.encode(audio_frame(samples, "s16", 8000, 0))
    return np.frombuffer(b"".join(map(bytes, packets)), np.uint8)


@dataclass(frozen=True, slots=True)
class _Codec:
    """FFmpeg's names and options for one format."""

    encoder: Literal["libmp3lame", "libopus", "aac", "flac"]
    container: Literal["mp3", "ogg", "adts", "flac", "ipod"]
    sample_format: Literal["s16", "s16p", "fltp"]
    bit_rate: int = 0  # bits a second; 0 for lossless
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""


def _codec(
    format: Literal["mp3", "opus", "aac", "flac", "m4a"],
    rate_hz: int,
    serial: int,
    comment: str = "",
    *,
    kept: bool = False,
) -> _Codec:
    narrow, wide = rate_hz <= 12000, rate_hz > 24000  # telephone, speech, music
    match format:
        case "mp3":
            return _Codec(
                "libmp3lame",
                "mp3",
                # 16-bit integers also keep a NaN away from LAME, which would abort the process over
                # it.
                "s16p",
                bit_rate=32_000 if narrow else 96_000 if wide else 64_000,
                # Without the bit reservoir every frame can be decoded as soon as it is there.
                options={"reservoir": "0"},
                # A Xing header states the length, which a stream cannot go back to fill in.
                # An ID3v2 tag comes before all frames. "bitexact" keeps FFmpeg's name out of it.
                container_options={
                    "write_xing": "0",
                    "id3v2_version": "4" if comment else "0",
                    "fflags": "+bitexact",
                },
                comment=comment,
            )
        case "opus":
            return _Codec(
                "libopus",
                "ogg",
                "s16",
                bit_rate=24_000 if narrow else 48_000,
                options={"application": "audio", "frame_duration": "20"},
                container_options={
                    # Microseconds. FFmpeg keeps one page back, so this is half the latency; the
                    # default is a second.
                    "page_duration": "40000",
                    # Without "bitexact" FFmpeg draws a serial number, and no two files are the
                    # same.
                    "fflags": "+bitexact",
                    "serial_offset": str(serial),
                },
                comment=comment,
            )
        case "aac" | "m4a":
            return _Codec(
                "aac",
                "adts" if format == "aac" else "ipod",  # FFmpeg's name of Apple's kind of MP4
                "fltp",
                bit_rate=32_000 if narrow else 96_000 if wide else 64_000,
                container_options={} if format == "aac" else {"fflags": "+bitexact"},
                comment="" if format == "aac" else comment,
            )
        case "flac":
            # The power of two of samples just below 50 ms; FFmpeg's default would be about 100.
            block = _KEPT_FRAME if kept else 1 << ((rate_hz // 20).bit_length() - 1)
            return _Codec(
                "flac",
                "flac",
                "s16",
                options={"frame_size": str(block), "compression_level": "2" if kept else "5"},
                container_options={"metadata_header_padding": "0"},  # the default is 8 KiB of zeros
                comment=comment,
            )


class _Sink:
    """A file that can only be written to, emptied by `take`.

    It has no `seek`, so FFmpeg never goes back.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        return len(data)

    def take(self, *, end: bool = False) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class _WholeSink(io.BytesIO):
    """A file in memory, which FFmpeg goes back in to write sizes, and so leaves at its end."""

    def take(self, *, end: bool = False) -> bytes:
        return self.getvalue() if end else b""


class _AvEncoder:
    """One codec and its container.

    Holds less than a frame of input and a page of output, however long it runs.
    """

    def __init__(self, codec: _Codec, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._sample_format = codec.sample_format
        self._sink = _WholeSink() if codec.container == "ipod" else _Sink()
        self._container = av.open(
            self._sink,
            "w",
            format=codec.container,
            container_options={"flush_packets": "1", **codec.container_options},
        )
        if codec.comment:
            self._container.metadata["comment"] = codec.comment
        self._stream: av.AudioStream | None = _add_stream(self._container, codec, rate_hz)
        self._container.start_encoding()  # writes the header, which leaves with the first bytes
        self._frame_samples = self._stream.codec_context.frame_size
        self._pending = np.zeros(0, dtype=np.int16)  # less than one frame
        self._position = 0

    def write(self, samples: Samples) -> bytes:
        pending = np.concatenate((self._pending, to_int16(samples)))
        whole = len(pending) - len(pending) % self._frame_samples
        step = _FRAMES_AT_ONCE * self._frame_samples  # which FFmpeg cuts into frames
        for start in range(0, whole, step):
            self._encode(pending[start : min(start + step, whole)])
        self._pending = pending[whole:].copy()
        return self._sink.take()

    def finish(self) -> bytes:
        if len(self._pending):
            self._encode(self._pending)
        self._encode(None)
        self._container.close()  # writes the last page
        data = self._sink.take(end=True)
        self.close()
        return data

    def close(self) -> None:
        self._container.close()
        self._sink.take()
        self._stream = None  # the last reference: the codec's memory goes now, not later

    def _encode(self, frame: NDArray[np.int16] | None) -> None:
        assert self._stream is not None, "the encoder is closed"
        if frame is None:
            self._container.mux(self._stream.encode(None))
            return
        samples = from_int16(frame) if self._sample_format == "fltp" else frame
        av_frame = audio_frame(samples, self._sample_format, self._rate_hz, self._position)
        self._position += len(frame)
        self._container.mux(self._stream.encode(av_frame))


def _add_stream(
    container: av.container.OutputContainer, codec: _Codec, rate_hz: int
) -> av.AudioStream:
    try:
        return container.add_stream(
            codec.encoder,
            rate_hz,
            options=dict(codec.options),
            format=codec.sample_format,
            layout="mono",
            bit_rate=codec.bit_rate,
        )
    except av.codec.codec.UnknownCodecError as error:
        raise MissingDependency(
            f"the installed PyAV was built without the {codec.encoder!r} encoder; "
            "install the published wheel: pip install --force-reinstall --only-binary av av"
        ) from error
