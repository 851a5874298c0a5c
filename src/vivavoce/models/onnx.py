"""Disable the telemetry of onnxruntime.

onnxruntime 1.32 for Linux stores an identifier of the machine and prepares reports, unless a
variable is set before the library is loaded. `onnxruntime.disable_telemetry_events()` comes too
late: the identifier is written by then. This module knows no model.
"""

import os


def disable_telemetry() -> None:
    """Disable it before onnxruntime is imported, unless `ORT_DISABLE_TELEMETRY` is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
