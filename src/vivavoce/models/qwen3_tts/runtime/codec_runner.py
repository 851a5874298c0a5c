"""Sounds frames of codes beside the talker: on a track of its own, in shapes of which there are few, without waiting.

It knows the codec and its streams' states, neither segments nor when a frame is due. Codes come from the host and
samples go back to it, so that the two tracks share no memory and need not wait for one another.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from vivavoce.models.qwen3_tts.codec import CodecDecoder, DecoderState
from vivavoce.models.qwen3_tts.codec.state import Past
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, HostCopy, bucket, buckets

LARGEST_CHUNK = 8  # frames that are sounded together; a power of 2


class CodecRunner:
    """Sounds at most `most` streams at once with `decoder`, on `track`."""

    def __init__(self, decoder: CodecDecoder, track: CudaStream, most: int) -> None:
        self._decoder, self._track, self._most = decoder, track, most
        self._codebooks = decoder.config.num_quantizers
        if track.fixed:
            with track.current():
                self._make_buffers()

    def open(self, after: DecoderState | None = None) -> DecoderState:
        """Return the state of a stream that has not begun, or that goes on from `after`."""
        with self._track.current():
            return self._decoder.open() if after is None else after.clone()

    def sound(
        self, codes: Tensor, states: Sequence[DecoderState], *, undo: bool = False
    ) -> HostCopy:
        """Begin to sound the next frames of several streams: their samples [streams, n] are on their way.

        `codes` [streams, codebooks, frames] are on the host; row i continues `states[i]`. With `undo` the states are
        as they were if this raises.
        """
        with self._track.current(), torch.no_grad():
            # Several are stepped in copies, and only written back when all is done.
            in_place = self._track.fixed or len(states) == 1
            before = [state.clone() for state in states] if undo and in_place else []
            try:
                return self._sound(codes, states)
            except RuntimeError:  # torch's own errors are of this type
                for state, kept in zip(states, before, strict=False):
                    state.memory.copy_(kept.memory)
                    state.age.copy_(kept.age)
                raise

    def _sound(self, codes: Tensor, states: Sequence[DecoderState]) -> HostCopy:
        there = self._track.upload(codes)
        if not self._track.fixed:
            return self._track.land(self._decoder.step(there, states).float())
        chunks = [
            self._chunk(there[..., start:end], states) for start, end in powers(codes.shape[-1])
        ]
        return self._track.land(torch.cat(chunks, dim=-1).float())

    def warm_up(self) -> None:
        """Capture a graph for every shape that a call may have. No stream is touched."""
        with self._track.current(), torch.no_grad():
            for rows in buckets(1, self._most):
                for frames in buckets(1, LARGEST_CHUNK):
                    self._step(rows, frames)
                    self._track.capture((rows, frames), partial(self._step, rows, frames))

    def settle(self) -> None:
        """Wait until all that was begun is done."""
        self._track.settle()

    def _make_buffers(self) -> None:
        blank = self._decoder.open()
        self._memory = blank.memory.new_zeros(self._most, *blank.memory.shape)
        self._age = blank.age.new_zeros(self._most)
        shape = (self._most, self._codebooks)
        self._codes = {
            frames: torch.zeros(*shape, frames, dtype=torch.int64, device=self._track.device)
            for frames in buckets(1, LARGEST_CHUNK)
        }

    def _chunk(self, codes: Tensor, states: Sequence[DecoderState]) -> Tensor:
        """Return the samples of a number of frames that there are buffers for, through these."""
        frames, count = codes.shape[-1], len(states)
        rows = bucket(count, self._most)
        self._codes[frames][:count].copy_(codes)
        torch.stack([state.memory for state in states], out=self._memory[:count])
        torch.stack([state.age for state in states], out=self._age[:count])
        samples = self._track.run((rows, frames), partial(self._step, rows, frames))
        for row, state in enumerate(states):
            state.memory.copy_(self._memory[row])
            state.age.add_(frames)
        return samples[:count].clone()

    def _step(self, rows: int, frames: int) -> Tensor:
        samples: Tensor = self._decoder(
            self._codes[frames][:rows], Past(self._memory[:rows], self._age[:rows])
        )
        return samples


def powers(frames: int) -> Iterator[tuple[int, int]]:
    """Where to cut `frames` frames, the largest piece first: each a power of 2, `LARGEST_CHUNK` at most."""
    start, size = 0, LARGEST_CHUNK
    while start < frames:
        while size > frames - start:
            size //= 2
        yield start, start + size
        start += size
