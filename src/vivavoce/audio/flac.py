"""The one field of a FLAC header that a stream has to leave open."""

# Where STREAMINFO holds, in one 64-bit number, the rate, the channels, the bits a sample and, in
# the lowest 36 bits, the count of samples: after the marker (4 bytes), the block's header (4) and
# the sizes of blocks and frames (10).
_COUNT_AT = slice(18, 26)
_MAX_COUNT = 2**36 - 1


def flac_with_length(data: bytes, sample_count: int) -> bytes:
    """Return `data`, a beginning (at least 42 bytes) of what the flac encoder wrote, with the
    length filled in.

    A stream says 0, "unknown", which players accept; readers that allocate the whole file first,
    such as libsndfile's Python binding, do not. Use it where the whole file is there before it is
    sent. More samples than 36 bits can say stay unknown.
    """
    if sample_count > _MAX_COUNT:
        return data
    fields = int.from_bytes(data[_COUNT_AT], "big") | sample_count
    return data[: _COUNT_AT.start] + fields.to_bytes(8, "big") + data[_COUNT_AT.stop :]
