"""Which models have to go so that another one fits: sums of bytes and an order, nothing else."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Sized(Protocol):
    """Something that takes memory."""

    @property
    def memory_bytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


def choose_victims(candidates: Sequence[S], missing_bytes: int) -> list[S] | None:
    """Return the first of `candidates` that free `missing_bytes` together, none of them needlessly;
    `None` if all do not.

    The order of `candidates` is the order in which they should go.
    """
    chosen: list[S] = []
    for candidate in candidates:
        if missing_bytes <= 0:
            break
        if candidate.memory_bytes:
            chosen.append(candidate)
            missing_bytes -= candidate.memory_bytes
    if missing_bytes > 0:
        return None
    for candidate in reversed(chosen):  # who should go last stays, if the others are enough
        if missing_bytes + candidate.memory_bytes <= 0:
            chosen.remove(candidate)
            missing_bytes += candidate.memory_bytes
    return chosen


def format_gb(size: int) -> str:
    """`size` bytes for people, in the unit of the settings."""
    return f"{size / 1e9:.2f} GB"
