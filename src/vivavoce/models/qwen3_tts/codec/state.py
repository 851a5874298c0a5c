"""What a streaming decoder remembers of one stream: one flat tensor and an age; it does not know
what is kept in it.

Each layer that looks back takes a `Slot` of the flat tensor when the decoder is built. A batch of
streams is then one [batch, elements] tensor: gathering, copying and scattering streams is one
operation each, on the device, whatever the number of layers, and no value is read back by the host.
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
        """This slot of `memory` [batch, elements] as a writable view [batch, *shape]."""
        size = math.prod(self.shape)
        return memory[:, self.start : self.start + size].view(memory.shape[0], *self.shape)


class Layout:
    """Hands out slots while the layers are built."""

    def __init__(self) -> None:
        self.elements = 0

    def take(self, *shape: int) -> Slot:
        """A new slot of `shape` elements per stream."""
        slot = Slot(self.elements, shape)
        self.elements += math.prod(shape)
        return slot


@dataclass(frozen=True, slots=True)
class Past:
    """The memory of the streams of one batch while the layers run; layers read their slot and write it anew."""

    memory: Tensor  # [batch, elements], changed in place
    age: Tensor  # [batch] int64: frames each stream had before this step

    def row(self, index: int) -> "Past":
        """Return the stream at `index` as a batch of one that shares its memory."""
        return Past(self.memory[index : index + 1], self.age[index : index + 1])


@dataclass(frozen=True, slots=True)
class DecoderState:
    """One stream between two steps.

    Its size never changes; silence before the first frame is zeros.
    """

    memory: Tensor  # [elements], in the decoder's dtype
    age: Tensor  # [] int64: frames decoded so far

    def clone(self) -> "DecoderState":
        """Return an independent copy: both may be continued."""
        return DecoderState(self.memory.clone(), self.age.clone())


def gather(states: Sequence[DecoderState]) -> Past:
    """Return the states as one batch.

    A single stream's memory is used where it lies, several are copied together.
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
