"""Compute the steps of a frame in plain torch, the reference for the kernels.

Signatures are those of `kernels`, which documents each function.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from vivavoce.models.qwen3_tts.network.rotary import rotate

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.network.kv_cache import Memory
    from vivavoce.models.qwen3_tts.network.sampler import Sampler


def product(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    norm: Tensor | None = None,
    eps: float = 0.0,
    residual: Tensor | None = None,
    gated: bool = False,
) -> Tensor:
    return around(
        lambda x: linear(x, weight, scale, bias),
        x,
        norm=norm,
        eps=eps,
        residual=residual,
        gated=gated,
    )


def around(
    multiply: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    norm: Tensor | None,
    eps: float,
    residual: Tensor | None,
    gated: bool,
) -> Tensor:
    """Apply norm, product, gate and residual around any `multiply`."""
    made = multiply(x if norm is None else rms_norm(x, norm, eps))
    if gated:
        gate, up = made.chunk(2, dim=-1)
        made = F.silu(gate) * up
    return made if residual is None else residual + made


def linear(x: Tensor, weight: Tensor, scale: Tensor | None, bias: Tensor | None) -> Tensor:
    """Multiply by numbers, or by bytes with a `scale` for each row.

    Every float type holds a byte exactly.
    """
    if scale is None:
        return F.linear(x, weight, bias)
    made = F.linear(x, weight.to(x.dtype)) * scale  # float32, as the scale is
    return (made if bias is None else made + bias).to(x.dtype)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    if x.dtype is torch.float32 and x.device.type == "cpu":
        # torch's own takes ten operators there, and a frame has 325 of these norms. The root of
        # mean and eps is a hypotenuse.
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        return x / torch.hypot(size, _root(eps)) * weight
    if weight.dim() == 1:
        return F.rms_norm(x, weight.shape, weight, eps)
    return F.rms_norm(x, weight.shape[-1:], None, eps) * weight  # a weight for each head


@cache
def _root(eps: float) -> Tensor:
    return torch.tensor(eps**0.5, device="cpu")


def attend(heads: Tensor, norm: Tensor, eps: float, memory: "Memory", layer: int) -> Tensor:
    rows, time, count, _ = heads.shape
    kv_heads = count - norm.shape[0]
    turned, values = torch.split_with_sizes(heads, (norm.shape[0], kv_heads), dim=2)
    turned = rotate(rms_norm(turned, norm, eps), memory.rotation).transpose(1, 2)
    queries, keys = torch.split_with_sizes(turned, (count - 2 * kv_heads, kv_heads), dim=1)
    keys, values = memory.remember(layer, keys, values.transpose(1, 2))
    heard = _attention(queries, keys, values, memory.mask)  # [rows, heads, time, head_dim]
    return heard.transpose(1, 2).reshape(rows, time, -1)


def _attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the attention of `queries` [rows, heads, time, head_dim].

    `keys` and `values` are [rows, kv_heads, kept, head_dim].
    """
    if queries.shape[2] > 1:
        return F.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=True)
    # One new position: the heads that share a key head become its time axis, to copy no key.
    rows, heads, _, head_dim = queries.shape
    grouped = queries.reshape(rows, keys.shape[1], -1, head_dim)
    return F.scaled_dot_product_attention(grouped, keys, values, mask).reshape(
        rows, heads, 1, head_dim
    )


def first_codes(logits: Tensor, sampler: "Sampler", frame: Tensor) -> Tensor:
    return sampler.sample_first_plain(logits, frame)


def later_codes(
    logits: Tensor, sampler: "Sampler", frame: Tensor, codebook: int, noise: Tensor | None
) -> Tensor:
    return sampler.sample_rest_plain(logits, noise)
