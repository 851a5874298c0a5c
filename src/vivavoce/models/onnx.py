"""Disable the telemetry of onnxruntime.

onnxruntime 1.32 for Linux stores an identifier of the machine and prepares reports, unless a
variable is set before the library is loaded. `onnxruntime.disable_telemetry_events()` comes too
late: the identifier is written by then. This module knows no model.
"""

import os


def disable_telemetry() -> None:
    """Disable telemetry, unless the user has set `ORT_DISABLE_TELEMETRY`.

    Call this before onnxruntime is imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
