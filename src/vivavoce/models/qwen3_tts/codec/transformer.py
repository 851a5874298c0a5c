"""Run the codec decoder's transformer over frames.

It is causal, and each frame sees a fixed window. It knows nothing of audio. A stream's memory holds
the last window - 1 rotated keys and values of each layer. Source: qwen-tts
`modeling_qwen3_tts_tokenizer_v2.py`, DecoderTransformerModel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.codec.attention import Attention, LayerScale
from vivavoce.models.qwen3_tts.codec.config import DecoderConfig
from vivavoce.models.qwen3_tts.codec.state import Layout, Past, Slot
from vivavoce.models.qwen3_tts.network.rotary import Rotation, rotation
from vivavoce.models.qwen3_tts.network.transformer import RMSNorm


class GatedMlp(nn.Module):
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, intermediate, bias=False)
        self.up_proj = nn.Linear(hidden, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


@dataclass(frozen=True, slots=True)
class FrameContext:
    """Rotations and mask of the new frames, the same for every layer of a step."""

    rotation: Rotation
    mask: Tensor  # [B, 1, T, window - 1 + T] bool


def frame_context(
    config: DecoderConfig, age: Tensor, frames: int, dtype: torch.dtype
) -> FrameContext:
    """Return the context of `frames` new frames in streams of `age` [B] frames."""
    kept = config.sliding_window - 1
    step = torch.arange(frames, device=age.device)
    key = torch.arange(-kept, frames, device=age.device)  # relative to the first new frame
    distance = step[:, None] - key[None, :]  # [T, kept + T]
    in_window = (distance >= 0) & (distance <= kept)
    exists = age[:, None] + key >= 0  # [B, kept + T]: a young stream's memory is partly empty
    positions = age[:, None] + step  # [B, T]
    cosines, sines = rotation(positions[:, None], config.head_dim, config.rope_theta)
    turned = cosines.to(dtype), sines.to(dtype)  # [B, 1, T, head_dim]
    return FrameContext(turned, (in_window & exists[:, None])[:, None])


class TransformerLayer(nn.Module):
    """Attention over the window and a gated perceptron, each normalised before and scaled after."""

    def __init__(self, layout: Layout, config: DecoderConfig) -> None:
        super().__init__()
        c = config
        self.self_attn = Attention(
            c.hidden_size,
            c.num_attention_heads,
            c.num_key_value_heads,
            c.head_dim,
            c.attention_bias,
        )
        self.mlp = GatedMlp(c.hidden_size, c.intermediate_size)
        self.input_layernorm = RMSNorm(c.hidden_size, eps=c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, eps=c.rms_norm_eps)
        self.self_attn_layer_scale = LayerScale(c.hidden_size)
        self.mlp_layer_scale = LayerScale(c.hidden_size)
        kept = (c.num_key_value_heads, c.sliding_window - 1, c.head_dim)
        self.keys, self.values = layout.take(*kept), layout.take(*kept)

    def forward(self, x: Tensor, past: Past, context: FrameContext) -> Tensor:  # [B, T, hidden]
        q, k, v = self.self_attn.project(self.input_layernorm(x), context.rotation)
        k, v = _remember(self.keys, k, past), _remember(self.values, v, past)
        x = x + self.self_attn_layer_scale(self.self_attn.attend(q, k, v, context.mask))
        h: Tensor = self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))
        return x + h


def _remember(slot: Slot, new: Tensor, past: Past) -> Tensor:
    """Return the remembered keys or values followed by the `new` ones [B, heads, T, head_dim].

    The last of both stay in memory.
    """
    memory = slot.of(past.memory)  # [B, heads, window - 1, head_dim]
    joined = torch.cat([memory, new], dim=2)
    memory.copy_(joined[:, :, new.shape[2] :])
    return joined


class FrameTransformer(nn.Module):
    """The stack of layers between its projections from and to the convolutions' channels."""

    def __init__(self, layout: Layout, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.input_proj = nn.Linear(config.latent_dim, config.hidden_size)
        self.layers = nn.ModuleList(
            TransformerLayer(layout, config) for _ in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.output_proj = nn.Linear(config.hidden_size, config.latent_dim)

    def forward(self, x: Tensor, past: Past) -> Tensor:  # [B, T, latent] → [B, T, latent]
        h: Tensor = self.input_proj(x)
        context = frame_context(self.config, past.age, x.shape[1], x.dtype)
        for layer in self.layers:
            h = layer(h, past, context)
        y: Tensor = self.output_proj(self.norm(h))
        return y
