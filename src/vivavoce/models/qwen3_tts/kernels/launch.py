"""Launch Triton kernels, or record their launches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch: the kernel and its arguments."""

    kernel: Any  # Triton is not typed
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]  # compile-time arguments, and Triton's own


_record: list[Launch] | None = None


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Record launches instead of making them."""
    global _record
    before, _record = _record, list[Launch]()
    try:
        yield _record
    finally:
        _record = before


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
    """Run `kernel` once for each point of `grid`, on the current stream."""
    if _record is not None:
        _record.append(Launch(kernel, grid, arguments, options))
        return
    kernel[grid](*arguments, **options)


def power(size: int) -> int:
    """Return the least power of 2 that is at least `size`."""
    return 1 << max(size - 1, 0).bit_length()
