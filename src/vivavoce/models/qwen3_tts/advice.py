"""Advise smaller weights where a CPU is slower than real time. Importing it imports no torch."""

import logging

from vivavoce.types import EngineInfo

log = logging.getLogger(__name__)

# Time of a frame and its codec with int8 weights, relative to the others. Measured, see
# docs/performance.md.
SHARE = {"float32": 0.5, "bfloat16": 0.7, "float16": 0.65}
REAL_TIME = 1.0  # seconds for a second of audio


def int8_advice(description: str, factor: float) -> str:
    """Return the advice to set int8 weights, or an empty text if it does not apply.

    `description` is the model's, with device and weights. `factor` is the time to make a second of
    audio. The advice applies on a CPU that is slower than real time and would not be with int8.
    """
    share = next((share for name, share in SHARE.items() if f"on cpu, {name}" in description), None)
    if share is None or factor <= REAL_TIME or factor * share > REAL_TIME:
        return ""
    return (
        f"slower than real time here ({factor:.2f} s for a second of audio): "
        f'qwen_weights = "int8" would take about {factor * share:.2f} s'
    )


def warn_if_slow(info: EngineInfo, factor: float) -> None:
    """Log the advice for the model of `info`, which takes `factor` seconds for one of audio."""
    if advice := int8_advice(info.description, factor):
        log.warning("%r is %s", info.name, advice)
