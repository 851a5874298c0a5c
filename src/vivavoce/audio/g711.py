"""Compress samples for telephones, one byte each: the μ-law and A-law of ITU-T G.711."""

from functools import lru_cache
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.frames import audio_frame
from vivavoce.audio.pcm import to_int16
from vivavoce.types import Samples

Law = Literal["ulaw", "alaw"]


def compress(samples: Samples, law: Law) -> bytes:
    """Return a byte for each sample."""
    return _table(law)[to_int16(samples).view(np.uint16)].tobytes()


@lru_cache
def _table(law: Law) -> NDArray[np.uint8]:
    """Return FFmpeg's byte for each 16-bit sample: 0 to 32767, then -32768 to -1."""
    codec = av.CodecContext.create("pcm_mulaw" if law == "ulaw" else "pcm_alaw", "w")
    codec.sample_rate, codec.layout, codec.format = 8000, "mono", "s16"
    samples = np.arange(2**16, dtype=np.uint16).view(np.int16)
    packets = codec.encode(audio_frame(samples, "s16", 8000, 0))
    return np.frombuffer(b"".join(map(bytes, packets)), np.uint8)
