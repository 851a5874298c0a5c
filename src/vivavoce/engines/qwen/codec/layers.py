"""Causal convolutions and activations of the codec decoder, each with its memory; it knows no checkpoint and no stack.

Every layer maps [batch, channels, time] and the streams' `Past` to the output of the new time steps alone. A stream's
first step finds zeros in its memory, which is the left padding of the whole-sequence definition: there is one code
path for whole and streamed decoding. Attribute names follow the released tensors' names.
Source: qwen-tts `modeling_qwen3_tts_tokenizer_v2.py`, classes CausalConvNet … DecoderDecoderBlock.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.engines.qwen.codec.state import Layout, Past

RESIDUAL_DILATIONS = (1, 3, 9)


class CausalConv(nn.Module):
    """A stride-1 convolution that sees its own step and the (kernel - 1) × dilation steps before it."""

    def __init__(self, layout: Layout, into: int, out: int, kernel: int, dilation: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(into, out, kernel, dilation=dilation, groups=groups)
        self.lookback = (kernel - 1) * dilation
        self.slot = layout.take(into, self.lookback)

    def forward(self, x: Tensor, past: Past) -> Tensor:  # [B, into, T] → [B, out, T]
        if self.lookback:
            memory = self.slot.of(past.memory)
            x = torch.cat([memory, x], dim=-1)  # [B, into, lookback + T]
            memory.copy_(x[..., -self.lookback :])
        y: Tensor = self.conv(x)
        return y


class CausalTransposedConv(nn.Module):
    """Upsampling by `stride`; the part of the output that the next step's input still adds to is kept back."""

    def __init__(self, layout: Layout, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(into, out, kernel, stride=stride)
        self.stride = stride
        self.overlap = kernel - stride
        self.slot = layout.take(out, self.overlap)

    def forward(self, x: Tensor, past: Past) -> Tensor:  # [B, into, T] → [B, out, T * stride]
        y = F.conv_transpose1d(x, self.conv.weight, stride=self.stride)  # [B, out, T * stride + overlap]
        ready = x.shape[-1] * self.stride
        if self.overlap:
            memory = self.slot.of(past.memory)
            y[..., : self.overlap] += memory
            memory.copy_(y[..., ready:])
        assert self.conv.bias is not None  # the released layers all have one; it is added once, to finished samples
        return y[..., :ready] + self.conv.bias[:, None]


class SnakeBeta(nn.Module):
    """x + sin²(x · eᵅ) / eᵝ per channel: a periodic activation (Ziyin et al., 2020; both parameters in logarithms)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(channels))
        self.beta = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        frequency, magnitude = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return x + torch.sin(x * frequency).square() / (magnitude + 1e-9)


class ConvNeXtBlock(nn.Module):
    """Depthwise causal convolution, then a two-layer perceptron per time step, added to its input."""

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.dwconv = CausalConv(layout, channels, channels, kernel=7, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        h = self.norm(self.dwconv(x, past).transpose(1, 2))  # [B, T, channels]
        h = self.gamma * self.pwconv2(F.gelu(self.pwconv1(h)))
        y: Tensor = x + h.transpose(1, 2)
        return y


class ResidualUnit(nn.Module):
    """SnakeBeta, dilated convolution, SnakeBeta, pointwise convolution, added to its input."""

    def __init__(self, layout: Layout, channels: int, dilation: int) -> None:
        super().__init__()
        self.act1 = SnakeBeta(channels)
        self.conv1 = CausalConv(layout, channels, channels, kernel=7, dilation=dilation)
        self.act2 = SnakeBeta(channels)
        self.conv2 = CausalConv(layout, channels, channels, kernel=1)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        h = self.conv1(self.act1(x, past), past)
        y: Tensor = x + self.conv2(self.act2(h, past), past)
        return y


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

    def forward(self, x: Tensor, past: Past) -> Tensor:  # [B, channels, T] → [B, channels / 2, T * rate]
        for layer in self.block:
            x = layer(x, past)
        return x
