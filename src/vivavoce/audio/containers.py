"""Write the WAV header, and the length in a FLAC header.

Lengths are exact if the length is known. If it is unknown, players accept them all the same.
"""

import struct

from vivavoce.audio.pcm import to_pcm16
from vivavoce.types import Samples

# The data size if the length is unknown: "very long" to every reader. It is even, and below 2**31
# together with the header, as some readers hold sizes in signed 32-bit integers. The two usual
# values break players: 0 reads as an empty file, 0xFFFFFFFF as -1. Both overflow or mismatch the
# RIFF size.
STREAMED_DATA_BYTES = 0x7FFFF000

_HEADER_BYTES = 44
_MAX_DATA_BYTES = 0xFFFFFFFF - (_HEADER_BYTES - 8)

# FLAC's STREAMINFO holds, in one 64-bit number, the rate, the channels, the bits per sample and,
# in the lowest 36 bits, the number of samples. Before it come the marker (4 bytes), the block's
# header (4), and the sizes of blocks and frames (10).
_FLAC_COUNT_AT = slice(18, 26)
_MAX_FLAC_COUNT = 2**36 - 1
_FLAC_INFO_END = 42  # of the marker and STREAMINFO


def wav_header(rate_hz: int, data_bytes: int | None, info: bytes = b"") -> bytes:
    """Return the header of a 16-bit mono file with `data_bytes` of samples and the chunk `info`.

    `None` means a stream of unknown length. It gives `STREAMED_DATA_BYTES`, as does a length that
    the 32-bit fields cannot hold. The RIFF size is always that of all that follows it.

    `info` of a stream is part of the header. That of a file follows its samples, so that they begin
    after 44 bytes, where simple readers take them to be.
    """
    before = info if data_bytes is None else b""
    if data_bytes is None or data_bytes + len(info) > _MAX_DATA_BYTES:
        data_bytes = STREAMED_DATA_BYTES
    riff = struct.pack("<4sI4s", b"RIFF", data_bytes + len(info) + _HEADER_BYTES - 8, b"WAVE")
    # size 16, format 1 (PCM), 1 channel, rate, bytes per second, bytes per frame, bits per sample
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return riff + fmt + before + struct.pack("<4sI", b"data", data_bytes)


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """Return `samples` as a complete 16-bit mono WAV file with exact sizes."""
    data = to_pcm16(samples)
    return wav_header(rate_hz, len(data)) + data


def flac_with_length(data: bytes, sample_count: int) -> bytes:
    """Return the beginning of a FLAC file with its length filled in.

    `data` are the first 42 bytes or more that the encoder wrote. A stream says 0, "unknown", which
    players accept. Readers that allocate the whole file first do not, for example libsndfile's
    Python binding. More samples than 36 bits can hold stay unknown.
    """
    if sample_count > _MAX_FLAC_COUNT:
        return data
    at = _FLAC_COUNT_AT
    fields = int.from_bytes(data[at], "big") | sample_count
    return data[: at.start] + fields.to_bytes(8, "big") + data[at.stop :]


def flac_length(data: bytes) -> int:
    """Return the number of samples that a FLAC file says it has, 0 if it does not say."""
    return int.from_bytes(data[_FLAC_COUNT_AT], "big") & _MAX_FLAC_COUNT


def flac_with_note(data: bytes, kind: bytes, note: bytes) -> bytes:
    """Return a FLAC file with a block of any bytes, which players skip, after its first block.

    `kind` is an application's id of four bytes (RFC 9639, section 8.4).
    """
    last = data[4] & 0x80
    block = bytes([last | 2]) + (len(note) + 4).to_bytes(3, "big") + kind + note
    return (
        data[:4] + bytes([data[4] & 0x7F]) + data[5:_FLAC_INFO_END] + block + data[_FLAC_INFO_END:]
    )


def flac_note(data: bytes, kind: bytes) -> bytes | None:
    """Return the bytes that `flac_with_note` has put into the beginning of a file, or None."""
    size = int.from_bytes(data[_FLAC_INFO_END + 1 : _FLAC_INFO_END + 4], "big")
    start = _FLAC_INFO_END + 4
    is_there = data[:4] == b"fLaC" and data[_FLAC_INFO_END : _FLAC_INFO_END + 1] in (b"\2", b"\x82")
    if not is_there or data[start : start + 4] != kind or len(data) < start + size:
        return None
    return data[start + 4 : start + size]
