"""Rotary positions: tables of cosines and sines, and how queries and keys are turned by them.

The talker's three-axis positions (mrope) are equal for speech, which makes them plain rotary
positions.
"""

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]  # cosines and sines, [rows, time, 1, head_dim] each


def rotary_table(positions: int, head_dim: int, theta: float) -> Rotation:
    """Cosines and sines of `positions` positions [positions, head_dim] in float32; `rotate` wants the sines' signs."""
    steps = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    angles = torch.arange(positions).float()[:, None] * (
        1.0 / theta**steps
    )  # [positions, head_dim / 2]
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat((cosines, cosines), dim=-1), torch.cat((-sines, sines), dim=-1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """`x` [rows, time, heads, head_dim] turned by its positions."""
    cosines, sines = rotation
    return torch.addcmul(
        x * cosines, x.roll(x.shape[-1] // 2, -1), sines
    )  # rolled: its halves change places
