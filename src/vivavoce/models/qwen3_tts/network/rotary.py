"""Rotate queries and keys by tables of cosines and sines.

The talker's three-axis positions (mrope) are equal for speech, which makes them plain rotary
positions.
"""

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]  # cosines and sines, [rows, time, 1, head_dim] each


def rotary_table(positions: int, head_dim: int, theta: float) -> Rotation:
    """Return float32 cosines and sines of `positions` positions [positions, head_dim].

    The sines have the signs that `rotate` expects.
    """
    steps = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    # [positions, head_dim / 2]
    angles = torch.arange(positions).float()[:, None] * (1.0 / theta**steps)
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat((cosines, cosines), dim=-1), torch.cat((-sines, sines), dim=-1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate `x` [rows, time, heads, head_dim] by its positions."""
    cosines, sines = rotation
    swapped = x.roll(x.shape[-1] // 2, -1)  # the halves of each head change places
    return torch.addcmul(x * cosines, swapped, sines)
