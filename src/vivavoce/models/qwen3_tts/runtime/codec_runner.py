"""Run the codec beside the talker, on a CUDA stream of its own, without waiting.

It knows the codec and its streams' states, neither segments nor when a frame is due. Codes come
from the host and samples go back to it. The two CUDA streams thus share no memory and need not wait
for each other. Calls have few shapes, so that graphs can be captured.
"""

import time
import weakref
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from vivavoce.errors import Overloaded
from vivavoce.models.qwen3_tts.codec import CodecDecoder, DecoderState
from vivavoce.models.qwen3_tts.codec.state import Past
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, HostCopy, bucket, buckets
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S

LARGEST_CHUNK = 8  # frames that are decoded together, a power of 2


class CodecSlot:
    """Row of one stream in the codec's memory.

    It is freed when it is closed or no longer referenced.
    """

    def __init__(self, index: int, free: list[int]) -> None:
        self.index = index
        self.close = weakref.finalize(self, free.append, index)  # runs once
        self.close.atexit = False


class CodecRunner:
    """Decoding of at most `most` streams at once with `decoder`, on `cuda_stream`.

    The memory of all streams is one tensor, a row each. Streams that are decoded together are
    gathered by index and scattered back, in as many operations for one as for all.
    """

    def __init__(self, decoder: CodecDecoder, cuda_stream: CudaStream, most: int) -> None:
        self._decoder, self._cuda_stream, self._most = decoder, cuda_stream, most
        self._codebooks = decoder.config.num_quantizers
        self._free = list(range(most))
        with cuda_stream.current():
            blank = decoder.open()
            # One row more than streams, for the padding of a shape.
            self._memory = blank.memory.new_zeros(most + 1, *blank.memory.shape)
            self._age = blank.age.new_zeros(most + 1)
            if cuda_stream.fixed:
                self._make_buffers()

    def open(self, after: DecoderState | None = None) -> CodecSlot:
        """Return the slot of a new stream, or of one that continues `after`.

        Raises `Overloaded` if none is free.
        """
        if not self._free:
            raise Overloaded(
                f"all {self._most} slots are speaking: try again soon", retry_after_s=1.0
            )
        slot = CodecSlot(self._free.pop(0), self._free)
        with self._cuda_stream.current():
            memory, age = self._memory[slot.index], self._age[slot.index]
            memory.zero_() if after is None else memory.copy_(after.memory)
            age.zero_() if after is None else age.copy_(after.age)
        return slot

    def decode(self, codes: Tensor, slots: Sequence[CodecSlot], *, undo: bool = False) -> HostCopy:
        """Begin to decode the next frames of several streams, to samples [streams, n].

        `codes` [streams, codebooks, frames] are on the host. Row i continues `slots[i]`. With
        `undo` the slots are unchanged if this raises.
        """
        with self._cuda_stream.current(), torch.no_grad():
            cuts = (
                list(powers(codes.shape[-1])) if self._cuda_stream.fixed else [(0, codes.shape[-1])]
            )
            rows = self._cuda_stream.upload(torch.tensor([slot.index for slot in slots]))
            alone = None if self._cuda_stream.fixed or len(slots) > 1 else slots[0].index
            # Without fixed shapes, several streams are scattered back when all is done. Otherwise
            # their memory changes before a later operation may fail.
            in_place = self._cuda_stream.fixed or alone is not None
            kept = self._pick(rows) if undo and in_place else None
            try:
                there = self._cuda_stream.upload(codes)
                chunks = [self._chunk(there[..., start:end], rows, alone) for start, end in cuts]
                return self._cuda_stream.copy_to_host(
                    (chunks[0] if len(chunks) == 1 else torch.cat(chunks, dim=-1)).float()
                )
            except RuntimeError:  # torch's own errors are of this type
                if kept is not None:
                    self._memory.index_copy_(0, rows, kept.memory)
                    self._age.index_copy_(0, rows, kept.age)
                raise

    def warm_up(self) -> None:
        """Capture a graph for every shape that a call may have. No stream is touched."""
        with self._cuda_stream.current(), torch.no_grad():
            self._rows.fill_(self._most)
            for rows in buckets(1, self._most):
                for frames in buckets(1, LARGEST_CHUNK):
                    self._step(rows, frames)
                    self._cuda_stream.capture((rows, frames), partial(self._step, rows, frames))

    def pace(self) -> float:
        """Return the seconds that a second of one stream takes the host, the least of two tries."""
        slot, taken = self.open(), []
        codes = torch.zeros(1, self._codebooks, LARGEST_CHUNK, dtype=torch.int64)
        for _ in range(2):
            start = time.perf_counter()
            self.decode(codes, [slot]).wait()
            taken.append(time.perf_counter() - start)
        slot.close()
        return min(taken) / LARGEST_CHUNK / FRAME_S

    def synchronize(self) -> None:
        """Wait until all queued work is done."""
        self._cuda_stream.synchronize()

    def _make_buffers(self) -> None:
        device, most = self._cuda_stream.device, self._most
        self._rows = torch.full((most,), most, dtype=torch.int64, device=device)
        self._codes = {
            frames: torch.zeros(most, self._codebooks, frames, dtype=torch.int64, device=device)
            for frames in buckets(1, LARGEST_CHUNK)
        }

    def _pick(self, rows: Tensor) -> Past:
        """Return a copy of the memory in `rows`."""
        return Past(self._memory.index_select(0, rows), self._age.index_select(0, rows))

    def _chunk(self, codes: Tensor, rows: Tensor, alone: int | None) -> Tensor:
        """Return the samples of `codes` [streams, codebooks, frames].

        With fixed shapes, the frames are as many as one of the buffers holds.
        """
        frames, count = codes.shape[-1], len(codes)
        if not self._cuda_stream.fixed:
            return self._apply(codes, rows, alone)
        shape = bucket(count, self._most)
        self._codes[frames][:count].copy_(codes)
        self._rows.fill_(self._most)
        self._rows[:count].copy_(rows)
        return self._cuda_stream.run((shape, frames), partial(self._step, shape, frames))[
            :count
        ].clone()

    def _step(self, rows: int, frames: int) -> Tensor:
        return self._apply(self._codes[frames][:rows], self._rows[:rows], None)

    def _apply(self, codes: Tensor, rows: Tensor, alone: int | None) -> Tensor:
        """Decode the codes of `rows` and update their memory.

        A single stream, in row `alone`, is updated in place.
        """
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
    """Yield the pieces of `frames` frames, the largest first, as (start, end).

    Each has a power of 2 of frames, `LARGEST_CHUNK` at most.
    """
    start, size = 0, LARGEST_CHUNK
    while start < frames:
        while size > frames - start:
            size //= 2
        yield start, start + size
        start += size
