"""Keep onnxruntime from telling its maker how it is used; it knows no model.

Its packages for Linux, 1.32 at least, keep an identifier of the machine and have reports to send,
unless a variable is set before the library is loaded. `onnxruntime.disable_telemetry_events()`
comes too late: the identifier is written by then.
"""

import os


def disable_telemetry() -> None:
    """Call it before onnxruntime is imported; who has set `ORT_DISABLE_TELEMETRY` has decided already."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
