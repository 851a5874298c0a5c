"""Work that a device does again and again: called as it is, or on CUDA replayed from graphs that
were captured once.

A `CudaStream` is a queue of work of its own: on CUDA a stream, with the graphs captured on it and
the memory they share; elsewhere nothing but the calls. A graph costs the host one launch instead of
thousands. It replays the same kernels on the same addresses, so what is captured reads and writes
fixed tensors, in one of few shapes, and asks the host nothing. This module knows functions and
their keys, not what they compute.

The CUDA lines follow torch's notes on graphs: the first call with a key is its warm-up, on the very
stream of the capture; a graph's results are copied before another graph of the track is replayed,
which may overwrite them, since all share one memory pool; no two graphs of a track ever run at
once.
"""

import logging
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from vivavoce.serving.base import GRAPH_LOCK

log = logging.getLogger(__name__)

T = TypeVar("T")


class CudaStream:
    """A queue of work on `device`, in order, beside the other tracks' on CUDA.

    `fixed` asks those who use it for few shapes and fixed tensors, as graphs need them. On CUDA
    that captures; on a CPU, where nothing can, the same calls are made with the same tensors, which
    is how they are tested.
    """

    def __init__(self, device: torch.device, *, fixed: bool = False) -> None:
        self.device, self.fixed = device, fixed
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._pool = torch.cuda.graph_pool_handle() if fixed and self._stream is not None else None
        self._warm: set[Hashable] = set()
        self._graphs: dict[
            Hashable, tuple[torch.cuda.CUDAGraph, Any]
        ] = {}  # Any: each key's function has its own
        self._captures = self._pool is not None
        self.capture_s = 0.0  # spent on capturing so far

    @property
    def graphs(self) -> int:
        """Graphs captured so far."""
        return len(self._graphs)

    def current(self) -> AbstractContextManager[None]:
        """Queue here whatever this thread asks of the device inside; all memory of the track's work is made inside."""
        return nullcontext() if self._stream is None else _on(self._stream)

    def run(self, key: Hashable, function: Callable[[], T]) -> T:
        """What `function` returns: by a call the first time with this `key`, later by a replay of
        its graph.

        `function` is the same for the same key. What it returns may be overwritten by the next
        `run`.
        """
        if key not in self._graphs and not (
            self._captures and key in self._warm and self.capture(key, function)
        ):
            self._warm.add(key)
            return function()
        graph, result = self._graphs[key]
        graph.replay()
        return cast(T, result)

    def capture(self, key: Hashable, function: Callable[[], T]) -> bool:
        """Capture `function`, which has run on this track before; whether that went well. Nothing
        is computed.

        A graph that cannot be captured, for want of memory say, is no reason not to speak: it is
        said in the log, and what has no graph yet is called as it is from then on.
        """
        if not self._captures:
            return False
        graph = torch.cuda.CUDAGraph()
        start_s = time.monotonic()
        # thread_local: other models' lanes, and those who load them, go on using the device
        # meanwhile.
        into = torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        )
        try:
            with GRAPH_LOCK, torch.no_grad(), into:
                result = function()
        except (
            RuntimeError
        ) as error:  # torch's own errors of CUDA, of memory and of capturing are all of this type
            self._captures = False
            log.warning(
                "no CUDA graph for %s (%s): going on without; set 'qwen_graphs' to off", key, error
            )
            return False
        self._graphs[key] = graph, result
        taken_s = time.monotonic() - start_s
        self.capture_s += taken_s
        log.info("captured a CUDA graph for %s in %.0f ms", key, taken_s * 1000)
        return True

    def land(self, tensor: Tensor) -> "HostCopy":
        """Begin to copy `tensor`, which this track computed, to the host."""
        return HostCopy(tensor)

    def upload(self, tensor: Tensor) -> Tensor:
        """`tensor`, which is on the host, on the device; the host does not wait for the copy."""
        if self._stream is None:
            return tensor.to(self.device)
        # torch keeps a pinned block from being used again before the copies queued from it are
        # done.
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def settle(self) -> None:
        """Wait until all that was queued here is done."""
        if self._stream is not None:
            _queued(self._stream).synchronize()


class HostCopy:
    """A tensor on its way from the device to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._host = tensor
        self._landed: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._landed = _queued(torch.cuda.current_stream(tensor.device))  # behind the copy

    def wait(self) -> Tensor:
        """Return the tensor, on the host, once it is there."""
        if self._landed is not None:
            self._landed.synchronize()
        return self._host.cpu()


def finish(device: torch.device) -> None:
    """Wait until what this thread asked of `device`, outside of any track, is done."""
    if device.type == "cuda":
        _queued(torch.cuda.current_stream(device)).synchronize()


def _queued(stream: torch.cuda.Stream) -> torch.cuda.Event:
    """What has happened when all that is queued on `stream` is done.

    Whoever waits for it sleeps: a thread that spins takes a core from the server, and cannot be
    told from one that computes when the device hangs.
    """
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch types it as a function of anything
    event.record(stream)
    return event


def bucket(count: int, most: int) -> int:
    """Return the next power of 2 from `count` on, or `most` if that is less."""
    assert 0 < count <= most, f"{count} of at most {most}"
    return min(1 << (count - 1).bit_length(), most)


def buckets(first: int, most: int) -> Iterator[int]:
    """`first`, a power of 2, its doubles below `most`, and `most`."""
    size = first
    while size < most:
        yield size
        size *= 2
    yield most


def _on(stream: torch.cuda.Stream) -> AbstractContextManager[None]:
    return cast(
        AbstractContextManager[None], torch.cuda.stream(stream)
    )  # torch types it as a class of its own
