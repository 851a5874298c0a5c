"""Attend with several heads, for the codec's decoder and encoder. It keeps no memory itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.network.rotary import Rotation, rotate


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
