"""Run the stack of transformer layers (Qwen3's) of the talker and of the code predictor.

It knows neither text nor sound: hidden states in, hidden states out. `Memory` decides where keys
and values are kept (see `kv_cache`), and `kernels` who computes. Parameter names are those of the
released files.
"""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import StackConfig
from vivavoce.models.qwen3_tts.checkpoint.weights import TensorPart
from vivavoce.models.qwen3_tts.kernels import native, plain
from vivavoce.models.qwen3_tts.network.kv_cache import Memory
from vivavoce.models.qwen3_tts.network.linear import Linear


class Embedding(nn.Module):
    """A table of vectors. Its weights are not initialised, like those of `Linear`."""

    def __init__(self, entries: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries, size))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)


class RMSNorm(nn.Module):
    """A norm that scales the last dimension to unit root mean square.

    The mean is taken in float32 for any dtype of the weights.
    """

    def __init__(self, *shape: int, eps: float, parts: tuple[TensorPart, ...] = ()) -> None:
        super().__init__()
        self.parts = parts
        self.weight = nn.Parameter(torch.empty(shape))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return kernels.rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Causal attention with grouped key-value heads, normalised queries and keys, and rotation."""

    def __init__(self, config: StackConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.heads, self.kv_heads = config.heads, config.kv_heads
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        # Together, queries, keys and values take one product, queries and keys one norm and one
        # rotation.
        projections = (
            TensorPart("q_proj", queries),
            TensorPart("k_proj", keys),
            TensorPart("v_proj", keys),
        )
        self.qkv_proj = Linear(config.hidden_size, queries + 2 * keys, parts=projections)
        self.o_proj = Linear(queries, config.hidden_size)
        norms = (
            TensorPart("q_norm", config.heads, repeated=True),
            TensorPart("k_norm", config.kv_heads, repeated=True),
        )
        self.qk_norm = RMSNorm(
            config.heads + config.kv_heads, config.head_dim, eps=config.norm_eps, parts=norms
        )

    def forward(self, x: Tensor, memory: Memory, norm: RMSNorm) -> Tensor:
        """Return `x` plus the attention of `x`, normalised first by `norm`."""
        heads = multiply(x, self.qkv_proj, norm=norm).view(*x.shape[:2], -1, self.head_dim)
        return multiply(
            memory.attend(self.layer, heads, self.qk_norm.weight, self.qk_norm.eps),
            self.o_proj,
            residual=x,
        )


class SwiGLU(nn.Module):
    """The gated feed-forward half of a layer."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        halves = (
            TensorPart("gate_proj", config.intermediate_size),
            TensorPart("up_proj", config.intermediate_size),
        )
        self.gate_up_proj = Linear(config.hidden_size, 2 * config.intermediate_size, parts=halves)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor, norm: RMSNorm) -> Tensor:
        """Return `x` plus the feed-forward of `x`, normalised first by `norm`."""
        return multiply(
            multiply(x, self.gate_up_proj, norm=norm, gated=True), self.down_proj, residual=x
        )


class Layer(nn.Module):
    """Attention, then feed-forward, each on normalised input and added to it."""

    def __init__(self, config: StackConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = self.self_attn(x, memory, self.input_layernorm)
        return self.mlp(x, self.post_attention_layernorm)  # type: ignore[no-any-return]  # nn.Module


class Decoder(nn.Module):
    """All layers and the last norm: [rows, time, hidden] → [rows, time, hidden]."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.norm_eps)

    @cached_property  # matrices are packed once, before they are used
    def _native(self) -> native.NativeDecoder | None:
        return native.decoder(self)

    def decode(self, x: Tensor, memory: Memory) -> Tensor:
        """Return the hidden states of the new positions, which `memory` remembers."""
        return self.norm(self.read(x, memory))  # type: ignore[no-any-return]  # nn.Module

    def read(self, x: Tensor, memory: Memory) -> Tensor:
        """Do the same as `decode` without the last norm."""
        if self._native is not None and (past := memory.native_past()) is not None:
            return self._native.read(x, past)
        for layer in self.layers:
            x = layer(x, memory)
        return x


def multiply(
    x: Tensor,
    matrix: Linear,
    *,
    norm: RMSNorm | None = None,
    residual: Tensor | None = None,
    gated: bool = False,
) -> Tensor:
    """Return the product of `matrix` and `x`, see `kernels.product`.

    `x` is first normalised by `norm` if given.
    """
    weight, eps = (None, 0.0) if norm is None else (norm.weight, norm.eps)
    if matrix.weight is None:  # packed, which is for CPUs
        return plain.around(matrix, x, norm=weight, eps=eps, residual=residual, gated=gated)
    scale, bias = matrix.scale, matrix.bias
    return kernels.product(
        x, matrix.weight, scale, bias, norm=weight, eps=eps, residual=residual, gated=gated
    )
