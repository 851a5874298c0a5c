"""Disable the telemetry of onnxruntime, and add an output to a network without the package `onnx`.

onnxruntime 1.32 for Linux stores an identifier of the machine and prepares reports, unless a
variable is set before the library is loaded. `onnxruntime.disable_telemetry_events()` comes too
late: the identifier is written by then. This module knows no model.
"""

import os


def disable_telemetry() -> None:
    """Disable it before onnxruntime is imported, unless `ORT_DISABLE_TELEMETRY` is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def with_output(model: bytes, tensor: str) -> bytes:
    """Return `model`, a serialized ONNX `ModelProto`, with `tensor` as its last output.

    Protocol buffers merge a field that comes twice, so a second `graph` (field 7) adds its one
    `output` (field 12), a `ValueInfoProto` that has only a `name` (field 1), to the first.
    """
    info = _field(1, tensor.encode())
    return model + _field(7, _field(12, info))


def _field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field of fewer than 128 bytes."""
    return bytes((number << 3 | 2, len(value))) + value
