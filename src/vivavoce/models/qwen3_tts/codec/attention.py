"""Compute rotary positions and multi-head attention for the codec's decoder and encoder.

It keeps no memory itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Rotation = tuple[Tensor, Tensor]  # cosines and sines, each [B, 1, T, head_dim]


def rotation(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rotation:
    """Return the rotary embedding (Su et al., 2021) of `positions` [B, T].

    It is computed in float32, then cast to `dtype`.
    """
    exponents = (
        torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    )
    angles = positions[..., None].float() * (1.0 / theta**exponents)  # [B, T, head_dim / 2]
    angles = torch.cat([angles, angles], dim=-1)[:, None]  # [B, 1, T, head_dim]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate `x` [B, heads, T, head_dim] by its positions.

    A pair is one channel of each half, not two neighbours.
    """
    cos, sin = by
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class Attention(nn.Module):
    """The four projections of an attention layer, and the attention itself.

    The caller joins the keys with those in memory.
    """

    def __init__(self, hidden: int, heads: int, kv_heads: int, head_dim: int, bias: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.groups = heads // kv_heads
        self.q_proj = nn.Linear(hidden, heads * head_dim, bias=bias)
        self.k_proj = nn.Linear(hidden, kv_heads * head_dim, bias=bias)
        self.v_proj = nn.Linear(hidden, kv_heads * head_dim, bias=bias)
        self.o_proj = nn.Linear(heads * head_dim, hidden, bias=bias)

    def project(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries, rotated keys, and values of `x` [B, T, hidden].

        Each is [B, heads, T, head_dim].
        """
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return rotate(q, by), rotate(k, by), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention's output [B, T, hidden].

        `mask` [B or 1, 1, T, keys] is true where a query sees a key. None is causal.
        """
        k, v = (x.repeat_interleave(self.groups, dim=1) if self.groups > 1 else x for x in (k, v))
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        y: Tensor = self.o_proj(h.transpose(1, 2).flatten(2))
        return y


class LayerScale(nn.Module):
    """A learnt factor per channel on a residual branch (Touvron et al., 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x
