"""Rotate queries and keys by their positions (Su et al., 2021).

The talker's three-axis positions (mrope) are equal for speech, which makes them plain rotary
positions.
"""

import torch
from torch import Tensor

# Cosines and sines: [rows, time, 1, head_dim] each for heads behind the time, [rows, 1, time,
# head_dim] for heads before it.
Rotation = tuple[Tensor, Tensor]


def rotation(positions: Tensor, head_dim: int, theta: float) -> Rotation:
    """Return float32 cosines and sines [..., head_dim] of `positions` [...].

    The sines have the signs that `rotate` expects.
    """
    steps = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[..., None].float() * (1.0 / theta**steps)  # [..., head_dim / 2]
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat((cosines, cosines), dim=-1), torch.cat((-sines, sines), dim=-1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate the heads `x` [..., head_dim] by their positions.

    A pair is one channel of each half, not two neighbours.
    """
    cosines, sines = rotation
    swapped = x.roll(x.shape[-1] // 2, -1)  # the halves of each head change places
    return torch.addcmul(x * cosines, swapped, sines)
