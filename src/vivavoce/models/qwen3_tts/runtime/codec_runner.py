"""Sounds frames of codes beside the talker: on a track of its own, in shapes of which there are
few, without waiting.

It knows the codec and its streams' states, neither segments nor when a frame is due. Codes come
from the host and samples go back to it, so that the two tracks share no memory and need not wait
for one another.
"""

import weakref
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from vivavoce.errors import Overloaded
from vivavoce.models.qwen3_tts.codec import CodecDecoder, DecoderState
from vivavoce.models.qwen3_tts.codec.state import Past
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, HostCopy, bucket, buckets

LARGEST_CHUNK = 8  # frames that are sounded together; a power of 2


class CodecSlot:
    """A stream's row of the codec's memory: free again when it is closed, or nobody refers to it any more."""

    def __init__(self, index: int, free: list[int]) -> None:
        self.index = index
        self.close = weakref.finalize(self, free.append, index)  # does it once
        self.close.atexit = False


class CodecRunner:
    """Sounds at most `most` streams at once with `decoder`, on `track`.

    What the codec remembers of all streams is one tensor, a row each. Streams that are sounded
    together are picked out by their indices and put back, in as many operations for one as for all.
    """

    def __init__(self, decoder: CodecDecoder, track: CudaStream, most: int) -> None:
        self._decoder, self._track, self._most = decoder, track, most
        self._codebooks = decoder.config.num_quantizers
        self._free = list(range(most))
        with track.current():
            blank = decoder.open()
            # One row more than streams, for the rows that only fill a shape up.
            self._memory = blank.memory.new_zeros(most + 1, *blank.memory.shape)
            self._age = blank.age.new_zeros(most + 1)
            if track.fixed:
                self._make_buffers()

    def open(self, after: DecoderState | None = None) -> CodecSlot:
        """Return the slot of a stream that has not begun, or goes on from `after`.

        Raises `Overloaded` if none is free.
        """
        if not self._free:
            raise Overloaded(
                f"all {self._most} slots are speaking: try again soon", retry_after_s=1.0
            )
        slot = CodecSlot(self._free.pop(0), self._free)
        with self._track.current():
            memory, age = self._memory[slot.index], self._age[slot.index]
            memory.zero_() if after is None else memory.copy_(after.memory)
            age.zero_() if after is None else age.copy_(after.age)
        return slot

    def sound(self, codes: Tensor, slots: Sequence[CodecSlot], *, undo: bool = False) -> HostCopy:
        """Begin to sound the next frames of several streams: their samples [streams, n] are on
        their way.

        `codes` [streams, codebooks, frames] are on the host; row i continues `slots[i]`. With
        `undo` the slots are as they were if this raises.
        """
        with self._track.current(), torch.no_grad():
            cuts = list(powers(codes.shape[-1])) if self._track.fixed else [(0, codes.shape[-1])]
            rows = self._track.upload(torch.tensor([slot.index for slot in slots]))
            alone = None if self._track.fixed or len(slots) > 1 else slots[0].index
            # Several that are picked out are put back when all is done; what follows that may fail
            # on a fixed track.
            in_place = self._track.fixed or alone is not None
            kept = self._pick(rows) if undo and in_place else None
            try:
                there = self._track.upload(codes)
                chunks = [self._chunk(there[..., start:end], rows, alone) for start, end in cuts]
                return self._track.land(
                    (chunks[0] if len(chunks) == 1 else torch.cat(chunks, dim=-1)).float()
                )
            except RuntimeError:  # torch's own errors are of this type
                if kept is not None:
                    self._memory.index_copy_(0, rows, kept.memory)
                    self._age.index_copy_(0, rows, kept.age)
                raise

    def warm_up(self) -> None:
        """Capture a graph for every shape that a call may have. No stream is touched."""
        with self._track.current(), torch.no_grad():
            self._rows.fill_(self._most)
            for rows in buckets(1, self._most):
                for frames in buckets(1, LARGEST_CHUNK):
                    self._step(rows, frames)
                    self._track.capture((rows, frames), partial(self._step, rows, frames))

    def settle(self) -> None:
        """Wait until all that was begun is done."""
        self._track.settle()

    def _make_buffers(self) -> None:
        device, most = self._track.device, self._most
        self._rows = torch.full((most,), most, dtype=torch.int64, device=device)
        self._codes = {
            frames: torch.zeros(most, self._codebooks, frames, dtype=torch.int64, device=device)
            for frames in buckets(1, LARGEST_CHUNK)
        }

    def _pick(self, rows: Tensor) -> Past:
        """A copy of what is remembered in `rows`."""
        return Past(self._memory.index_select(0, rows), self._age.index_select(0, rows))

    def _chunk(self, codes: Tensor, rows: Tensor, alone: int | None) -> Tensor:
        """Return the samples of frames [streams, codebooks, frames], which on a fixed track are as many as a buffer holds."""
        frames, count = codes.shape[-1], len(codes)
        if not self._track.fixed:
            return self._apply(codes, rows, alone)
        shape = bucket(count, self._most)
        self._codes[frames][:count].copy_(codes)
        self._rows.fill_(self._most)
        self._rows[:count].copy_(rows)
        return self._track.run((shape, frames), partial(self._step, shape, frames))[:count].clone()

    def _step(self, rows: int, frames: int) -> Tensor:
        return self._apply(self._codes[frames][:rows], self._rows[:rows], None)

    def _apply(self, codes: Tensor, rows: Tensor, alone: int | None) -> Tensor:
        """Decode, and remembers it; a stream that is `alone` in that row is changed where it lies."""
        older = torch.full_like(rows, codes.shape[-1])
        if alone is not None:
            past = Past(self._memory[alone : alone + 1], self._age[alone : alone + 1])
        else:
            past = self._pick(rows)
        samples: Tensor = self._decoder(codes, past)
        if alone is None:
            self._memory.index_copy_(0, rows, past.memory)
        self._age.index_add_(0, rows, older)
        return samples


def powers(frames: int) -> Iterator[tuple[int, int]]:
    """Where to cut `frames` frames, the largest piece first: each a power of 2, `LARGEST_CHUNK` at most."""
    start, size = 0, LARGEST_CHUNK
    while start < frames:
        while size > frames - start:
            size //= 2
        yield start, start + size
        start += size
