"""Queue repeated device work: plain calls, or on CUDA replays of captured graphs.

A `CudaStream` is a queue of work: on CUDA a stream, its graphs and the memory they share, elsewhere
plain calls. A graph costs the host one launch instead of thousands. It replays the same kernels on
the same addresses. A captured function therefore reads and writes fixed tensors, has one of few
shapes, and reads nothing back to the host. This module knows functions and their keys, not their
results.

The CUDA code follows torch's notes on graphs:

- The first call with a key is its warm-up, on the same stream as the capture.
- A graph's results are copied before another graph of the stream is replayed. That graph may
  overwrite them, since all share one memory pool.
- No two graphs of a stream ever run at once.
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
    """A queue of work on `device`, in order. On CUDA it runs beside other streams.

    `fixed` asks callers for few shapes and fixed tensors, which graphs need. On CUDA the calls are
    then captured. A CPU cannot capture, and makes the same calls with the same tensors, which is
    how they are tested.
    """

    def __init__(self, device: torch.device, *, fixed: bool = False) -> None:
        self.device, self.fixed = device, fixed
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        self._pool = torch.cuda.graph_pool_handle() if fixed and self._stream is not None else None
        self._warm: set[Hashable] = set()
        # Any: each key's function has its own result.
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, Any]] = {}
        self._captures = self._pool is not None
        self.capture_s = 0.0  # spent on capturing so far

    @property
    def graphs(self) -> int:
        """Number of graphs captured so far."""
        return len(self._graphs)

    def current(self) -> AbstractContextManager[None]:
        """Queue on this stream all device work of this thread inside the context.

        All memory of the stream's work is allocated inside it.
        """
        return nullcontext() if self._stream is None else _on(self._stream)

    def run(self, key: Hashable, function: Callable[[], T]) -> T:
        """Return the result of `function`, by a call or by a replay of its graph.

        The first time with a `key` it is called. `function` is the same for the same key. The next
        `run` may overwrite the result.
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
        """Capture `function`, which has run on this stream before, without computing anything.

        Returns False if it cannot be captured, for want of memory for example. Speech goes on
        without graphs: the failure is logged, and everything without a graph is called as it is
        from then on.
        """
        if not self._captures:
            return False
        graph = torch.cuda.CUDAGraph()
        start_s = time.monotonic()
        # thread_local: other models' lanes and loaders go on using the device meanwhile.
        into = torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        )
        try:
            with GRAPH_LOCK, torch.no_grad(), into:
                result = function()
        except RuntimeError as error:  # torch's errors of CUDA, memory and capturing
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

    def copy_to_host(self, tensor: Tensor) -> "HostCopy":
        """Begin to copy `tensor`, which this stream computed, to the host."""
        return HostCopy(tensor)

    def upload(self, tensor: Tensor) -> Tensor:
        """Return a copy on the device of `tensor`, which is on the host.

        The host does not wait for the copy.
        """
        if self._stream is None:
            return tensor.to(self.device)
        # torch does not reuse a pinned block before the copies queued from it are done.
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def synchronize(self) -> None:
        """Wait until all queued work is done."""
        if self._stream is not None:
            _queued(self._stream).synchronize()


class HostCopy:
    """A tensor that is being copied from the device to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._host = tensor
        self._copied: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._copied = _queued(torch.cuda.current_stream(tensor.device))  # behind the copy

    def wait(self) -> Tensor:
        """Return the tensor on the host once it is copied."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._host.cpu()


def finish(device: torch.device) -> None:
    """Wait until this thread's work on `device`, outside of any `CudaStream`, is done."""
    if device.type == "cuda":
        _queued(torch.cuda.current_stream(device)).synchronize()


def _queued(stream: torch.cuda.Stream) -> torch.cuda.Event:
    """Return an event behind all work that is queued on `stream`.

    A thread that waits for it sleeps. A spinning thread would take a core from the server.
    """
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch's
    event.record(stream)
    return event


def bucket(count: int, most: int) -> int:
    """Return the least power of 2 from `count` on, `most` at most."""
    assert 0 < count <= most, f"{count} of at most {most}"
    return min(1 << (count - 1).bit_length(), most)


def buckets(first: int, most: int) -> Iterator[int]:
    """Yield `first`, a power of 2, its doubles below `most`, and `most`."""
    size = first
    while size < most:
        yield size
        size *= 2
    yield most


def _on(stream: torch.cuda.Stream) -> AbstractContextManager[None]:
    # torch types it as a class of its own.
    return cast(AbstractContextManager[None], torch.cuda.stream(stream))
