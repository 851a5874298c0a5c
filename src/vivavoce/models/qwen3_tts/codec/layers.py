"""Define causal convolutions and activations of the codec decoder, each with its memory.

It knows no checkpoint and no stack.

- Every layer maps rows [batch, time, channels] and the streams' `Past` to the output of the new
  time steps alone.
- A stream's first step finds zeros in its memory. They are the left padding of the whole-sequence
  definition, so whole and streamed decoding share one code path.
- Attribute names follow the names of the released tensors.

Source: qwen-tts `modeling_qwen3_tts_tokenizer_v2.py`, classes CausalConvNet … DecoderDecoderBlock.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile
from vivavoce.models.qwen3_tts.codec.products import Conv, TransposedConv
from vivavoce.models.qwen3_tts.codec.state import Layout, Past, Slot

RESIDUAL_DILATIONS = (1, 3, 9)


class SnakeBeta(nn.Module):
    """A periodic activation (Ziyin et al., 2020): x + sin²(x · eᵅ) / eᵝ.

    It has two parameters per channel, stored as logarithms.
    """

    frequency: Tensor  # eᵅ
    magnitude: Tensor  # 1 / eᵝ

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.empty(channels), persistent=False)
        self.register_buffer("magnitude", torch.empty(channels), persistent=False)

    def load(self, file: TensorFile, prefix: str) -> None:
        """Fill both buffers from the stored logarithms."""
        alpha, beta = (
            file.read(prefix + name, self.frequency.shape, torch.float32)
            for name in ("alpha", "beta")
        )
        self.frequency = alpha.exp().to(file.dtype)
        self.magnitude = (1 / (beta.exp() + 1e-9)).to(file.dtype)

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the activation of `x`, in `out` if given.

        It is little arithmetic, so each pass over memory counts.
        """
        wave = torch.mul(x, self.frequency, out=out).sin_().square_()
        return torch.addcmul(x, wave, self.magnitude, out=wave)


class CausalConv(nn.Module):
    """A stride-1 convolution over its own step and (kernel - 1) × dilation earlier ones."""

    def __init__(
        self, layout: Layout, into: int, out: int, kernel: int, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = Conv(into, out, kernel, dilation=dilation, groups=groups)
        self.slot = layout.take((kernel - 1) * dilation, into)

    def forward(self, x: Tensor, past: Past, activation: SnakeBeta | None = None) -> Tensor:
        """Return the new outputs [B, T, out] of `x` [B, T, into]."""
        y: Tensor = self.conv(_joined(self.slot, x, past, activation))
        return y


class CausalTransposedConv(nn.Module):
    """Upsampling by `stride`, with a memory of the inputs that later outputs depend on."""

    def __init__(self, layout: Layout, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = TransposedConv(into, out, kernel, stride)
        self.slot = layout.take(kernel // stride - 1, into)

    def forward(self, x: Tensor, past: Past, activation: SnakeBeta | None = None) -> Tensor:
        """Return the new outputs [B, T × stride, out] of `x` [B, T, into]."""
        y: Tensor = self.conv(_joined(self.slot, x, past, activation))
        return y


def _joined(slot: Slot, x: Tensor, past: Past, activation: SnakeBeta | None) -> Tensor:
    """Return the remembered rows and `x` [B, T, channels] as one tensor.

    `x` is activated if `activation` is given. The last rows of the result are remembered.
    """
    kept = slot.shape[0]
    if not kept:
        return x if activation is None else activation(x)
    memory = slot.of(past.memory)
    joined = x.new_empty(x.shape[0], kept + x.shape[1], x.shape[2])
    joined[:, :kept] = memory
    if activation is None:
        joined[:, kept:] = x
    else:
        activation(x, out=joined[:, kept:])
    memory.copy_(joined[:, -kept:])
    return joined


class ConvNeXtBlock(nn.Module):
    """Depthwise causal convolution, a two-layer perceptron per time step, and a residual."""

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.dwconv = CausalConv(layout, channels, channels, kernel=7, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        h = self.pwconv2(F.gelu(self.pwconv1(self.norm(self.dwconv(x, past)))))
        return torch.addcmul(x, self.gamma, h)


class ResidualUnit(nn.Module):
    """SnakeBeta, dilated convolution, SnakeBeta, pointwise convolution, added to its input."""

    def __init__(self, layout: Layout, channels: int, dilation: int) -> None:
        super().__init__()
        self.act1 = SnakeBeta(channels)
        self.conv1 = CausalConv(layout, channels, channels, kernel=7, dilation=dilation)
        self.act2 = SnakeBeta(channels)
        self.conv2 = CausalConv(layout, channels, channels, kernel=1)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        h = self.conv1(x, past, self.act1)
        y: Tensor = self.conv2(h, past, self.act2)
        return y.add_(x)


class UpsampleBlock(nn.Module):
    """SnakeBeta, upsampling by `rate` with half the channels, three residual units."""

    def __init__(self, layout: Layout, channels: int, rate: int) -> None:
        super().__init__()
        half = channels // 2
        self.block = nn.ModuleList(
            [
                SnakeBeta(channels),
                CausalTransposedConv(layout, channels, half, 2 * rate, rate),
                *(ResidualUnit(layout, half, dilation) for dilation in RESIDUAL_DILATIONS),
            ]
        )

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """Upsample `x`: [B, T, channels] → [B, T × rate, channels / 2]."""
        activation, upsampling, *units = self.block
        x = upsampling(x, past, activation)
        for unit in units:
            x = unit(x, past)
        return x
