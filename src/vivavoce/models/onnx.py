"""Disable the telemetry of onnxruntime, and choose a network's outputs without the package `onnx`.

onnxruntime 1.32 for Linux stores an identifier of the machine and prepares reports, unless a
variable is set before the library is loaded. `onnxruntime.disable_telemetry_events()` comes too
late: the identifier is written by then. This module knows no model.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Final

# Numbers of fields in onnx.proto: of ModelProto, GraphProto, NodeProto and ValueInfoProto.
_GRAPH: Final = 7
_NODE, _OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_NAME: Final = 1
_VARINT, _EIGHT_BYTES, _LENGTH = 0, 1, 2  # kinds of fields. The others have four bytes.


def disable_telemetry() -> None:
    """Disable it before onnxruntime is imported, unless `ORT_DISABLE_TELEMETRY` is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def with_outputs(model: bytes, tensors: Sequence[str]) -> bytes:
    """Return `model`, a serialized ONNX `ModelProto`, with `tensors` as its outputs.

    Nodes that these do not need are left out: onnxruntime would run them. A node comes after those
    that it needs, and has no graph inside.
    """
    top = list(_fields(model))
    graph = next(content for number, content, _ in top if number == _GRAPH)
    needed = {tensor.encode() for tensor in tensors}
    kept: list[bytes] = []
    for number, content, raw in reversed(list(_fields(graph))):
        if number == _NODE:
            ends = [(end, name) for end, name, _ in _fields(content)]
            if needed.isdisjoint(name for end, name in ends if end == _NODE_OUTPUT):
                continue
            needed.update(name for end, name in ends if end == _NODE_INPUT)
        if number != _OUTPUT:
            kept.append(raw)
    kept.reverse()
    kept += (_field(_OUTPUT, _field(_NAME, tensor.encode())) for tensor in tensors)
    others = b"".join(raw for number, _, raw in top if number != _GRAPH)
    return others + _field(_GRAPH, b"".join(kept))


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield each field of `message`: its number, its content if it has a length, and its bytes."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _varint(message, at)
        start = at
        if key & 7 == _VARINT:
            _, at = _varint(message, at)
        elif key & 7 == _LENGTH:
            length, start = _varint(message, at)
            at = start + length
        else:
            at += 8 if key & 7 == _EIGHT_BYTES else 4
        yield key >> 3, message[start:at], message[begin:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, in groups of seven bits, lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _field(number: int, content: bytes) -> bytes:
    length, head = len(content), bytes((number << 3 | _LENGTH,))
    while length > 127:
        head += bytes((length & 127 | 128,))
        length >>= 7
    return head + bytes((length,)) + content
