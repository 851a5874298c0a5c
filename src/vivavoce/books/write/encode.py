"""Encode a sound as packets of one codec, in parts that threads may make at the same time.

A part begins and ends in a pause. Its encoder has heard a little before it and hears a little after
it, and only the packets between are kept: so the parts follow each other as one encoder's would.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from typing import Final, Literal, TypeAlias

import av
import av.codec.codec
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import from_int16
from vivavoce.audio.frames import audio_frame
from vivavoce.books.write.sound import CodecName, Sound
from vivavoce.errors import MissingDependency

PART_S: Final = 120  # a megabyte of packets
Packet: TypeAlias = "av.Packet[av.AudioStream]"
_MARGIN: Final = 16  # frames before and after a part
_PARTS_AHEAD: Final = 3
_FRAMES_AT_ONCE: Final = 64  # of one copy


@dataclass(frozen=True, slots=True)
class Codec:
    """FFmpeg's names and options."""

    encoder: Literal["aac", "libmp3lame", "libopus", "flac"]
    sample_format: Literal["fltp", "s16"]
    bit_rate: int = 0  # bits a second at 24 kHz; 0 for lossless
    options: Mapping[str, str] = field(default_factory=dict)
    gain: float = 1.0  # of the samples that it takes

    def bits(self, rate_hz: int) -> int:
        """Return the bits a second for a sound at `rate_hz`."""
        return self.bit_rate * (2 if rate_hz <= 12000 else 6 if rate_hz > 24000 else 4) // 4


CODECS: Final[Mapping[CodecName, Codec]] = {
    # Three times as fast as the searches that it leaves out, and as near to the samples.
    "aac": Codec("aac", "fltp", 64_000, {"aac_coder": "fast", "aac_tns": "0"}),
    # Without the bit reservoir no packet needs the ones before it. LAME takes 0.45 dB away from
    # samples at low bit rates, lest they clip (`scale` in presets.c). Ours have 3 dB to spare.
    "mp3": Codec(
        "libmp3lame", "fltp", 64_000, {"reservoir": "0", "compression_level": "7"}, gain=1 / 0.95
    ),
    "opus": Codec("libopus", "s16", 40_000, {"application": "audio", "compression_level": "3"}),
    "flac": Codec("flac", "s16"),
}


def open_codec(codec: Codec, rate_hz: int) -> av.AudioCodecContext:
    """Return an encoder. Raises `MissingDependency` if the installed PyAV lacks it."""
    try:
        context = av.CodecContext.create(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise MissingDependency(
            f"the installed PyAV was built without the {codec.encoder!r} encoder; "
            "install the published wheel: pip install --force-reinstall --only-binary av av"
        ) from error
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate_hz, "mono", codec.sample_format
    context.options = dict(codec.options)
    if codec.bit_rate:
        context.bit_rate = codec.bits(rate_hz)
    context.open()
    return context


def packets(sound: Sound, codec: Codec, executor: Executor | None = None) -> Iterator[Packet]:
    """Yield the packets of the whole sound, in order."""
    cuts = [0, *_cuts(sound, codec)]
    ends = [*cuts[1:], None]
    parts = (encode_part(sound, codec, *part) for part in zip(cuts, ends, strict=True))
    if executor is None:
        yield from chain.from_iterable(parts)
        return
    waiting = deque(executor.submit(list, part) for part in islice(parts, _PARTS_AHEAD))
    try:
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(executor.submit(list, part) for part in islice(parts, 1))
    finally:
        for future in waiting:
            future.cancel()


def packet_count(sound: Sound, codec: Codec) -> int:
    """Return the number of packets, or a few more."""
    return sound.samples // open_codec(codec, sound.rate_hz).frame_size + 8


def encode_part(sound: Sound, codec: Codec, first: int, last: int | None) -> Iterator[Packet]:
    """Yield the packets `first` to `last`, which is not among them. `None` is the end."""
    context = open_codec(codec, sound.rate_hz)
    size = context.frame_size
    number = max(first - _MARGIN, 0)
    start = number * size
    end = sound.samples if last is None else min((last + _MARGIN) * size, sound.samples)
    for frame in chain(_frames(sound, codec, start, end, size), [None]):
        for packet in context.encode(frame):
            if first <= number and (last is None or number < last):
                yield packet
            number += 1


def _cuts(sound: Sound, codec: Codec) -> list[int]:
    """Return the first packets of all parts but the first, each in a pause if there is one."""
    if not codec.bit_rate:  # packets without loss are numbered, and fast
        return []
    size = open_codec(codec, sound.rate_hz).frame_size
    cuts, step = [0], PART_S * sound.rate_hz
    ends = [*sound.pauses, sound.samples]
    for pause, following in pairwise(ends):
        while following - cuts[-1] > 2 * step and pause - cuts[-1] < step:  # no pause for long
            cuts.append(cuts[-1] + step)
        if pause - cuts[-1] >= step:
            cuts.append(pause)
    return [cut // size for cut in cuts[1:]]


def _frames(sound: Sound, codec: Codec, start: int, end: int, size: int) -> Iterator[av.AudioFrame]:
    """Yield the samples from `start` to `end`, many frames of `size` at once."""
    pending, held = list[NDArray[np.int16]](), 0
    for block in chain(sound.read(start, end), [None]):
        if block is not None:
            pending.append(block)
            held += len(block)
            if held < _FRAMES_AT_ONCE * size:
                continue
        if held:
            samples = np.concatenate(pending)
            whole = held if block is None else held - held % size
            is_float = codec.sample_format == "fltp"
            values = from_int16(samples) * np.float32(codec.gain) if is_float else samples
            if whole:  # FFmpeg cuts it into frames
                yield audio_frame(values[:whole], codec.sample_format, sound.rate_hz, start)
            start += whole
            pending, held = [samples[whole:]], held - whole
