"""Decode an uploaded recording of any common format, in bounded time and memory.

Knows no model. Every error names the field `ref_audio`.

- Only the given bytes are read. Protocols and formats that can name other files (playlists, HLS,
  concat) are not tried.
- Decoding stops as soon as the recording is longer than allowed, whatever its header says.
"""

import io
import struct
from collections.abc import Iterator
from typing import Final

import av
import av.audio
import av.container
import av.error
import numpy as np

from vivavoce.audio.containers import flac_length
from vivavoce.audio.join import SILENCE_LEVEL
from vivavoce.audio.pcm import from_int16
from vivavoce.errors import BadRequest
from vivavoce.types import Samples

MIN_S: Final = 1.0
MAX_S: Final = 30.0
MAX_BYTES: Final = 16 * 2**20
RATES_HZ: Final = (8_000, 192_000)
MAX_CHANNELS: Final = 8
FORMATS: Final = "wav, mp3, flac, ogg (opus or vorbis), m4a, aac or webm"
# FFmpeg's names. None of these demuxers opens anything beside what it is given.
_DEMUXERS: Final = "wav,mp3,flac,ogg,aac,matroska,webm,mov,mp4,m4a"
_CODECS: Final = (
    "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le",
    "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw",
    "mp3", "mp3float", "flac", "vorbis", "opus", "libopus", "aac", "alac",
)  # fmt: skip
_OPTIONS: Final = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "",
    "codec_whitelist": ",".join(_CODECS),  # a cover picture is not decoded either
    "ignore_editlist": "1",  # an MP4's list of cuts may repeat a second of sound millions of times
}
_BOXES: Final = (  # that an MP4 may begin with
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx",
)  # fmt: skip
_SCALE: Final = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}
# Of the packets: more that cannot be decoded is damage, less a tag or a cut.
_SKIPPED_SHARE: Final = 0.1
_EMPTY: Samples = np.zeros(0, dtype=np.float32)


def comment_in(data: bytes) -> str | None:
    """Return the comment of an audio file, or `None`. Raises `BadRequest` if it is no such file."""
    options = _OPTIONS | {"analyzeduration": "0"}
    try:
        with av.open(io.BytesIO(data), options=options) as container:
            tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRequest(f"this is none of the formats {FORMATS}", field="file") from error
    found = [value for each in tags for name, value in each.items() if name.lower() == "comment"]
    return found[0] if found else None


def decode_recording(
    data: bytes, *, min_s: float = MIN_S, max_s: float = MAX_S
) -> tuple[Samples, int]:
    """Return the first audio stream as float32 mono in [-1, 1], and its sample rate.

    Channels are averaged. Raises `BadRequest` (`ref_audio`) unless the data are a recording of
    `min_s` to `max_s` seconds: for too many bytes, another format, silence, non-finite samples.
    """
    if not data:
        raise _refused("is empty: send the file's bytes")
    if len(data) > MAX_BYTES:
        raise _refused(f"has {len(data):,} bytes, the limit is {MAX_BYTES:,}: {_how_to_cut(max_s)}")
    _check_sample_tables(data)
    try:
        with av.open(
            io.BytesIO(data), "r", options=_OPTIONS, metadata_errors="replace"
        ) as container:
            samples, rate_hz = _read(container, max_s)
    except (av.error.FFmpegError, UnicodeError) as error:
        raise _refused(
            f"cannot be read as {FORMATS} ({_reason(error)}): convert it first"
        ) from error
    _check_sound(samples, rate_hz, min_s)
    return samples.clip(-1.0, 1.0), rate_hz


def decode_flac(data: bytes) -> Samples:
    """Return the samples of a mono FLAC file that this server has written.

    Raises `BadRequest` if it is damaged, or ends before its header says.
    """
    try:
        with av.open(io.BytesIO(data), "r", format="flac") as container:
            container.streams.audio[0].codec_context.thread_count = 1
            frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    except (av.error.FFmpegError, IndexError) as error:
        raise BadRequest(
            f"file cannot be read as flac ({error}): remove it", field="file"
        ) from error
    samples = from_int16(np.concatenate(frames)) if frames else _EMPTY
    if len(samples) != flac_length(data):
        raise BadRequest("file is not whole: remove it", field="file")
    return samples


def _read(container: "av.container.InputContainer", max_s: float) -> tuple[Samples, int]:
    if not container.streams.audio:
        raise _refused("holds no audio: send a recording of a voice")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    if codec is None or codec.name not in _CODECS:  # None: FFmpeg itself has no decoder for it
        found = repr(codec.name) if codec is not None else "what nobody knows"
        raise _refused(f"is encoded as {found}, which is not read here: convert it to wav or flac")
    if not RATES_HZ[0] <= codec.sample_rate <= RATES_HZ[1]:
        raise _refused(
            f"has {codec.sample_rate} samples a second, must be {RATES_HZ[0]} to {RATES_HZ[1]}"
        )
    codec.thread_count = 1  # it is short, and the cores are the models'
    rate_hz, parts, count = codec.sample_rate, [_EMPTY], 0
    for part in _decoded(container, stream, rate_hz):
        count += len(part)
        if count > max_s * rate_hz:
            raise _refused(f"is longer than {max_s:g} s, the limit: {_how_to_cut(max_s)}")
        parts.append(part)
    return np.concatenate(parts), rate_hz


def _decoded(
    container: "av.container.InputContainer", stream: "av.audio.AudioStream", rate_hz: int
) -> Iterator[Samples]:
    """Yield the stream's frames. Skip packets that cannot be decoded, if they are few."""
    packets, problems = 0, list[av.error.FFmpegError]()
    for packet in container.demux(stream):
        packets += 1
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            problems.append(error)
            continue
        for frame in frames:
            if not isinstance(frame, av.AudioFrame) or frame.sample_rate != rate_hz:
                raise _refused("changes its sample rate on the way: convert it to wav or flac")
            yield _mono(frame)
    if len(problems) > 1 + packets * _SKIPPED_SHARE:
        found = (
            f"{len(problems)} of its {packets} packets cannot be decoded ({_reason(problems[0])})"
        )
        raise _refused(f"is damaged, {found}: export it again")


def _mono(frame: av.AudioFrame) -> Samples:
    """Return the frame's channels, averaged."""
    channels, kind = frame.layout.nb_channels, frame.format.name.removesuffix("p")
    if not 1 <= channels <= MAX_CHANNELS or kind not in _SCALE:
        raise _refused(
            f"has {channels} channels of type {kind!r}: send at most {MAX_CHANNELS}, "
            "of at most 32 bits"
        )
    values = frame.to_ndarray()  # [channels, n], or [1, n * channels] where they alternate
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    centre = 128.0 if kind == "u8" else 0.0
    mono: Samples = ((values.astype(np.float64) - centre).mean(axis=0) / _SCALE[kind]).astype(
        np.float32
    )
    return mono


def _check_sound(samples: Samples, rate_hz: int, min_s: float) -> None:
    if not np.isfinite(samples).all():
        raise _refused("holds samples that are not numbers: export it again")
    if len(samples) < min_s * rate_hz:
        seconds = len(samples) / rate_hz
        raise _refused(
            f"has {seconds:.2f} s of sound, fewer than {min_s:g}: send 3 to 10 seconds of speech"
        )
    if np.abs(samples).max() <= SILENCE_LEVEL:
        raise _refused("is silent: send 3 to 10 seconds of speech")


def _check_sample_tables(data: bytes) -> None:
    """Reject an MP4 whose tables claim more samples than it can hold.

    FFmpeg would allocate memory for all of them.
    """
    if data[4:8] not in _BOXES:
        return
    places = ((b"stsz", 8), (b"trun", 4), (b"stz2", 8))
    claimed = sum(sum(_counts(data, box, offset)) for box, offset in places)
    if claimed > len(data):
        raise _refused(
            f"is an MP4 of {len(data):,} bytes that claims {claimed:,} samples: "
            "convert it to wav or flac"
        )


def _counts(data: bytes, box: bytes, offset: int) -> Iterator[int]:
    """Yield the 32-bit numbers `offset` bytes after each name `box` of an MP4 box."""
    at = data.find(box)
    while at >= 0:
        if at + 8 + offset <= len(data):
            yield struct.unpack_from(">I", data, at + 4 + offset)[0]
        at = data.find(box, at + 4)


def _how_to_cut(max_s: float) -> str:
    return (
        "3 to 10 seconds of clear speech are best; "
        f"`ffmpeg -i LONG -t {min(10.0, max_s):g} SHORT.wav` cuts it"
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refused(why: str) -> BadRequest:
    return BadRequest(f"the recording {why}", field="ref_audio")
