"""The RIFF/WAVE header, exact when the length is known and safe for real players when it is not."""

import struct

from vivavoce.audio.pcm import to_pcm16
from vivavoce.types import Samples

# The data size written when the length is unknown. It means "very long" to every reader: even, and
# below 2**31 together with the header, since some readers hold sizes in signed 32-bit integers. The
# two usual values break players: 0 reads as an empty file, 0xFFFFFFFF as -1, and both overflow or
# mismatch the RIFF size.
STREAMED_DATA_BYTES = 0x7FFFF000

_HEADER_BYTES = 44
_MAX_DATA_BYTES = 0xFFFFFFFF - (_HEADER_BYTES - 8)


def wav_header(rate_hz: int, data_bytes: int | None) -> bytes:
    """Return the 44-byte header of a 16-bit mono file with `data_bytes` of samples.

    `None` (a stream of unknown length), or more than the format's 32-bit fields can say, gives
    `STREAMED_DATA_BYTES`. The RIFF size is always the data size + 36, so the two fields agree.
    """
    if data_bytes is None or data_bytes > _MAX_DATA_BYTES:
        data_bytes = STREAMED_DATA_BYTES
    riff = struct.pack("<4sI4s", b"RIFF", data_bytes + _HEADER_BYTES - 8, b"WAVE")
    # size 16, format 1 (PCM), 1 channel, rate, bytes a second, bytes a frame, bits a sample
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return riff + fmt + struct.pack("<4sI", b"data", data_bytes)


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """Return `samples` as a complete 16-bit mono WAV file with exact sizes."""
    data = to_pcm16(samples)
    return wav_header(rate_hz, len(data)) + data
