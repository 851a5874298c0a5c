"""Hold the memory of one decoder stream: one flat tensor and an age.

Each layer that looks back takes a `Slot` of the flat tensor when the decoder is built. It does not
know the contents of a slot. A batch of streams is one [batch, elements] tensor. Gathering, copying
and scattering streams is one operation each, on the device, for any number of layers. The host
reads no value back.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Slot:
    """A layer's part of the flat memory: `shape` elements per stream, from `start`."""

    start: int
    shape: tuple[int, ...]

    def of(self, memory: Tensor) -> Tensor:
        """Return this slot of `memory` [batch, elements] as a writable view [batch, *shape]."""
        size = math.prod(self.shape)
        return memory[:, self.start : self.start + size].view(memory.shape[0], *self.shape)


class Layout:
    """Allocator of slots, used while the layers are built."""

    def __init__(self) -> None:
        self.elements = 0

    def take(self, *shape: int) -> Slot:
        """Return a new slot of `shape` elements per stream."""
        slot = Slot(self.elements, shape)
        self.elements += math.prod(shape)
        return slot


@dataclass(frozen=True, slots=True)
class Past:
    """Memory of the streams of one batch during a step. Layers read and rewrite their slots."""

    memory: Tensor  # [batch, elements], changed in place
    age: Tensor  # [batch] int64: frames each stream had before this step

    def row(self, index: int) -> "Past":
        """Return the stream at `index` as a batch of one that shares its memory."""
        return Past(self.memory[index : index + 1], self.age[index : index + 1])


@dataclass(frozen=True, slots=True)
class DecoderState:
    """State of one stream between two steps.

    Its size never changes. Before the first frame it is zeros.
    """

    memory: Tensor  # [elements], in the decoder's dtype
    age: Tensor  # [] int64: frames decoded so far

    def clone(self) -> "DecoderState":
        """Return an independent copy. Both may be continued."""
        return DecoderState(self.memory.clone(), self.age.clone())


def gather(states: Sequence[DecoderState]) -> Past:
    """Return the states as one batch.

    The memory of a single stream is used in place, several are copied together.
    """
    if len(states) == 1:
        return Past(states[0].memory[None], states[0].age[None])
    return Past(
        torch.stack([state.memory for state in states]),
        torch.stack([state.age for state in states]),
    )


def scatter(past: Past, frames: int, states: Sequence[DecoderState]) -> None:
    """Write a stepped batch back into its streams' states, each `frames` older."""
    for row, state in enumerate(states):
        if len(states) > 1:
            state.memory.copy_(past.memory[row])
        state.age.add_(frames)
