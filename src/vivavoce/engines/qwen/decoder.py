"""The stack of transformer layers that the talker and the code predictor are both made of (Qwen3's).

It knows neither text nor sound: hidden states in, hidden states out. Where keys and values are kept is decided by
the `Memory` it is given (see `cache`). Parameter names are those of the released files.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.engines.qwen.config import DecoderConfig


class Memory(Protocol):
    """Where attention finds the past: one object for a forward pass through all layers."""

    positions: Tensor  # [rows or 1, time], of the new hidden states
    mask: Tensor  # bool [rows or 1, 1, time, kept], True: may be looked at

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps new keys and values [rows, kv_heads, time, head_dim]; gives all, [rows, kv_heads, kept, head_dim]."""
        ...


class Linear(nn.Module):
    """A matrix product. Unlike torch's own, its weights begin as nothing: they always come from a file."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Embedding(nn.Module):
    """A table of vectors, likewise."""

    def __init__(self, entries: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries, size))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)


class RMSNorm(nn.Module):
    """Scales to unit root mean square; the mean is taken in float32 whatever the weights' dtype."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Attention(nn.Module):
    """Causal attention with grouped key-value heads, normalised queries and keys, and rotary positions."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = Linear(config.hidden_size, queries)
        self.k_proj = Linear(config.hidden_size, keys)
        self.v_proj = Linear(config.hidden_size, keys)
        self.o_proj = Linear(queries, config.hidden_size)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], memory: Memory) -> Tensor:
        rows, time, _ = x.shape
        queries, keys, values = (
            projection(x).view(rows, time, -1, self.head_dim).transpose(1, 2)  # [rows, heads, time, head_dim]
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys = rotate(self.q_norm(queries), rotation), rotate(self.k_norm(keys), rotation)
        keys, values = memory.remember(self.layer, keys, values)
        heard = attend(queries, keys, values, memory.mask)  # [rows, heads, time, head_dim]
        return self.o_proj(heard.transpose(1, 2).reshape(rows, time, -1))  # type: ignore[no-any-return]  # nn.Module


class SwiGLU(nn.Module):
    """The gated feed-forward half of a layer."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]  # nn.Module


class Layer(nn.Module):
    """Attention, then feed-forward, each on normalised input and added to what came in."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], memory: Memory) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotation, memory)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]  # nn.Module


class Decoder(nn.Module):
    """All layers and the last norm: [rows, time, hidden] → [rows, time, hidden]."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)
        self._head_dim, self._theta = config.head_dim, config.rope_theta

    def decode(self, x: Tensor, memory: Memory) -> Tensor:
        """The hidden states of the new positions, which are remembered in `memory`."""
        rotation = rotary(memory.positions, self._head_dim, self._theta, x.dtype)
        for layer in self.layers:
            x = layer(x, rotation, memory)
        return self.norm(x)  # type: ignore[no-any-return]  # nn.Module


def rotary(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of `positions` [rows, time], each [rows, 1, time, head_dim], computed in float32.

    The talker's three-axis positions (mrope) are equal for speech, which makes them plain rotary positions.
    """
    steps = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.int64).float() / head_dim
    angles = positions[:, None, :, None].float() * (1.0 / theta**steps)  # [rows, 1, time, head_dim / 2]
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """`x` [rows, heads, time, head_dim] turned by its positions."""
    cosines, sines = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """What `queries` [rows, heads, time, head_dim] find in `keys` and `values` [rows, kv_heads, kept, head_dim]."""
    if queries.shape[2] > 1:
        return F.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=True)
    # One new position: the heads that share a key head become its time axis, so that no key is copied.
    rows, heads, _, head_dim = queries.shape
    grouped = queries.reshape(rows, keys.shape[1], -1, head_dim)
    return F.scaled_dot_product_attention(grouped, keys, values, mask).reshape(rows, heads, 1, head_dim)
