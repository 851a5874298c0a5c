"""The stack of transformer layers that the talker and the code predictor are both made of (Qwen3's).

It knows neither text nor sound: hidden states in, hidden states out. Where keys and values are kept is decided by
the `Memory` it is given (see `cache`). Parameter names are those of the released files.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import DecoderConfig
from vivavoce.models.qwen3_tts.checkpoint.weights import Part
from vivavoce.models.qwen3_tts.network.linear import Linear
from vivavoce.models.qwen3_tts.network.rotary import Rotation, rotate


class Memory(Protocol):
    """Where attention finds the past: one object for a forward pass through all layers."""

    rotation: Rotation  # of the new hidden states' positions, [rows or 1, time, 1, head_dim] each
    mask: (
        Tensor | None
    )  # [rows or 1, 1, time, kept], added to scores: 0 or -inf; None: everything may be looked at

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new keys and values [rows, kv_heads, time, head_dim]; gives all, [rows, kv_heads, kept, head_dim]."""
        ...


class Embedding(nn.Module):
    """A table of vectors, likewise."""

    def __init__(self, entries: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries, size))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)


class RMSNorm(nn.Module):
    """Scales the last dimension to unit root mean square; the mean is taken in float32 whatever the weights' dtype."""

    def __init__(self, *shape: int, eps: float, parts: tuple[Part, ...] = ()) -> None:
        super().__init__()
        self.parts = parts
        self.weight = nn.Parameter(torch.empty(shape))
        self.eps = eps
        self._share, self._least = shape[-1] ** -0.5, torch.tensor(eps**0.5, device="cpu")

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is torch.float32 and x.device.type == "cpu":
            # torch's own is ten operators there, and a frame has 325 of them: the root of mean and eps is a hypotenuse.
            size = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self._share
            return x / torch.hypot(size, self._least) * self.weight
        if self.weight.dim() == 1:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return (
            F.rms_norm(x, self.weight.shape[-1:], None, self.eps) * self.weight
        )  # a weight for each head


class Attention(nn.Module):
    """Causal attention with grouped key-value heads, normalised queries and keys, and rotary positions."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.heads, self.kv_heads = config.heads, config.kv_heads
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        # Side by side, queries, keys and values take one product, and queries and keys one norm and one rotation.
        projections = (Part("q_proj", queries), Part("k_proj", keys), Part("v_proj", keys))
        self.qkv_proj = Linear(config.hidden_size, queries + 2 * keys, parts=projections)
        self.o_proj = Linear(queries, config.hidden_size)
        norms = (
            Part("q_norm", config.heads, repeated=True),
            Part("k_norm", config.kv_heads, repeated=True),
        )
        self.qk_norm = RMSNorm(
            config.heads + config.kv_heads, config.head_dim, eps=config.norm_eps, parts=norms
        )

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        rows, time, _ = x.shape
        heads = self.qkv_proj(x).view(rows, time, -1, self.head_dim)
        turned, values = torch.split_with_sizes(
            heads, (self.heads + self.kv_heads, self.kv_heads), dim=2
        )
        turned = rotate(self.qk_norm(turned), memory.rotation).transpose(1, 2)
        queries, keys = torch.split_with_sizes(
            turned, (self.heads, self.kv_heads), dim=1
        )  # [rows, …, time, head_dim]
        keys, values = memory.remember(self.layer, keys, values.transpose(1, 2))
        heard = attend(queries, keys, values, memory.mask)  # [rows, heads, time, head_dim]
        return self.o_proj(heard.transpose(1, 2).reshape(rows, time, -1))  # type: ignore[no-any-return]  # nn.Module


class SwiGLU(nn.Module):
    """The gated feed-forward half of a layer."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        halves = (
            Part("gate_proj", config.intermediate_size),
            Part("up_proj", config.intermediate_size),
        )
        self.gate_up_proj = Linear(config.hidden_size, 2 * config.intermediate_size, parts=halves)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)  # type: ignore[no-any-return]  # nn.Module


class Layer(nn.Module):
    """Attention, then feed-forward, each on normalised input and added to what came in."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), memory)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]  # nn.Module


class Decoder(nn.Module):
    """All layers and the last norm: [rows, time, hidden] → [rows, time, hidden]."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.norm_eps)

    def decode(self, x: Tensor, memory: Memory) -> Tensor:
        """Return the hidden states of the new positions, which are remembered in `memory`."""
        for layer in self.layers:
            x = layer(x, memory)
        return self.norm(x)  # type: ignore[no-any-return]  # nn.Module


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """What `queries` [rows, heads, time, head_dim] find in `keys` and `values` [rows, kv_heads, kept, head_dim]."""
    if queries.shape[2] > 1:
        return F.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=True)
    # One new position: the heads that share a key head become its time axis, so that no key is copied.
    rows, heads, _, head_dim = queries.shape
    grouped = queries.reshape(rows, keys.shape[1], -1, head_dim)
    return F.scaled_dot_product_attention(grouped, keys, values, mask).reshape(
        rows, heads, 1, head_dim
    )
