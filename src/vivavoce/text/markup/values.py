"""Read the values of SSML's attributes: pauses, rates, volumes, pitches.

Labels such as "x-loud" have the sizes that large speech services document for them.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

MAX_PAUSE_S: Final = 10.0
SPEEDS: Final = (0.25, 4.0)
PITCHES: Final = (0.5, 2.0)
VOLUMES_DB: Final = (-120.0, 12.0)  # from inaudible to the most that is not sure to clip

STRENGTHS: Final[Mapping[str, float]] = {
    "none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25,
}  # fmt: skip
DEFAULT_PAUSE_S: Final = STRENGTHS["medium"]
# Level → speed, and volume in dB.
EMPHASIS: Final[Mapping[str, tuple[float, float]]] = {
    "strong": (0.85, 3.0), "moderate": (0.9, 2.0), "none": (1.0, 0.0), "reduced": (1.1, -3.0),
}  # fmt: skip
_RATES = {"x-slow": 0.5, "slow": 0.64, "medium": 1.0, "fast": 1.55, "x-fast": 2.0, "default": 1.0}
_PITCHES = {"x-low": 0.55, "low": 0.8, "medium": 1.0, "high": 1.2, "x-high": 1.45, "default": 1.0}
_VOLUMES_DB = {
    "silent": VOLUMES_DB[0], "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "loud": 3.0,
    "x-loud": 6.0, "default": 0.0,
}  # fmt: skip
_NUMBER = r"([+-]?)(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})"
_TIME = re.compile(rf"{_NUMBER} ?(ms|s|sec|secs|seconds?|milliseconds?)?", re.IGNORECASE)
_AMOUNT = re.compile(rf"{_NUMBER} ?(%|db|st)?", re.IGNORECASE)


def pause_s(time: str) -> float | None:
    """Return a pause such as "1.5s", "500ms" or "2" in seconds, at most `MAX_PAUSE_S`, or None."""
    match = _TIME.fullmatch(time.strip())
    if match is None or match[1] == "-":
        return None
    milli = (match[3] or "").lower().startswith("m")
    return min(MAX_PAUSE_S, float(match[2]) / (1000 if milli else 1))


def speed(rate: str) -> float | None:
    """Return a factor for "fast", "80%", "+10%" or "1.2", or None. Signs mean changes."""
    if (found := _RATES.get(rate.strip().lower())) is not None:
        return found
    sign, value, unit = _amount(rate)
    if value is None or unit not in ("", "%"):
        return None
    factor = value / 100 if unit else value
    return bounded({"": factor, "+": 1 + factor}.get(sign, 1 - factor), SPEEDS)


def pitch(value: str) -> float | None:
    """Return a factor for "high", "+10%" or "-2st", or None, also for frequencies."""
    if (found := _PITCHES.get(value.strip().lower())) is not None:
        return found
    sign, size, unit = _amount(value)
    if size is None or unit not in ("%", "st"):
        return None
    change = -size if sign == "-" else size
    return bounded(2 ** (min(change, 120) / 12) if unit == "st" else 1 + change / 100, PITCHES)


def volume_db(value: str) -> float | None:
    """Return a change in dB for "loud", "+6dB", "-10%" or, of 100, "50", or None."""
    if (found := _VOLUMES_DB.get(value.strip().lower())) is not None:
        return found
    sign, size, unit = _amount(value)
    if size is None or unit == "st":
        return None
    if unit == "db":
        return bounded(-size if sign == "-" else size, VOLUMES_DB)
    part = size / 100 if unit or not sign or size > 1 else size
    level = {"": part, "+": 1 + part}.get(sign, 1 - part)
    return bounded(20 * math.log10(level), VOLUMES_DB) if level > 0 else VOLUMES_DB[0]


def bounded(value: float, limits: tuple[float, float]) -> float:
    """Return `value`, or the limit that it exceeds."""
    return min(max(value, limits[0]), limits[1])


def _amount(value: str) -> tuple[str, float | None, str]:
    """Return the sign, the number and the unit of `value`, the number None if it is none."""
    match = _AMOUNT.fullmatch(value.strip())
    if match is None:
        return "", None, ""
    return match[1], float(match[2]), (match[3] or "").lower()
