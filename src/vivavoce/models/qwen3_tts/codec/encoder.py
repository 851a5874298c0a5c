"""Encode samples to codes, for the reference of an in-context clone.

    samples → strided causal convolutions (÷960) → transformer → ÷2 convolution
            → residual quantizer → codes

It does not stream. Source: transformers `modeling_mimi.py` (MimiModel.encode), as qwen-tts 0.1.1
runs it. The transformer's attention is causal over the whole past. The configuration's
`sliding_window` is not applied there.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile, build
from vivavoce.models.qwen3_tts.codec.attention import Attention, LayerScale
from vivavoce.models.qwen3_tts.codec.config import CodecConfig, EncoderConfig, read_codec_config
from vivavoce.models.qwen3_tts.codec.quantizer import Quantizer
from vivavoce.models.qwen3_tts.network.rotary import Rotation, rotation


class StridedConv(nn.Module):
    """A causal convolution over a whole sequence, padded at the end to whole strides."""

    def __init__(
        self, into: int, out: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(into, out, kernel, stride=stride, dilation=dilation)
        self.lookback = (kernel - 1) * dilation + 1 - stride
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:  # [B, into, T] → [B, out, ceil(T / stride)]
        missing = -x.shape[-1] % self.stride
        y: Tensor = self.conv(F.pad(x, (self.lookback, missing)))
        return y


class Downsample(nn.Module):
    """A convolution that halves the latents' rate. It repeats the outermost latent as padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size=4, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # [B, channels, T] → [B, channels, ceil(T / 2)]
        y: Tensor = self.conv(F.pad(x, (2, x.shape[-1] % 2), mode="replicate"))
        return y


class ResidualBlock(nn.Module):
    """ELU, narrow convolution, ELU, pointwise convolution, added to its input."""

    def __init__(self, channels: int, dilation: int, config: EncoderConfig) -> None:
        super().__init__()
        narrow = channels // config.compress
        self.block = nn.Sequential(
            nn.ELU(),
            StridedConv(channels, narrow, config.residual_kernel_size, dilation=dilation),
            nn.ELU(),
            StridedConv(narrow, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.block(x)
        return y


class ConvolutionStack(nn.Module):
    """Samples [B, 1, T] to latents [B, hidden, T / 960].

    Each stride doubles the channels.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        channels = config.num_filters
        stages: list[nn.Module] = [StridedConv(config.audio_channels, channels, config.kernel_size)]
        for stride in reversed(config.upsampling_ratios):
            dilations = (
                config.dilation_growth_rate**depth for depth in range(config.num_residual_layers)
            )
            stages += [ResidualBlock(channels, dilation, config) for dilation in dilations]
            stages += [nn.ELU(), StridedConv(channels, 2 * channels, 2 * stride, stride)]
            channels *= 2
        stages += [nn.ELU(), StridedConv(channels, config.hidden_size, config.last_kernel_size)]
        self.layers = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Mlp(nn.Module):
    """fc2(gelu(fc1(x)))."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden, intermediate, bias=False)
        self.fc2 = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class TransformerLayer(nn.Module):
    """Causal attention and a perceptron, each layer-normalised before and scaled after."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        c = config
        self.self_attn = Attention(
            c.hidden_size,
            c.num_attention_heads,
            c.num_key_value_heads,
            c.attention_head_dim,
            c.attention_bias,
        )
        self.mlp = Mlp(c.hidden_size, c.intermediate_size)
        self.input_layernorm = nn.LayerNorm(c.hidden_size, eps=c.norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(c.hidden_size, eps=c.norm_eps)
        self.self_attn_layer_scale = LayerScale(c.hidden_size)
        self.mlp_layer_scale = LayerScale(c.hidden_size)

    def forward(self, x: Tensor, turned: Rotation) -> Tensor:  # [B, T, hidden]
        q, k, v = self.self_attn.project(self.input_layernorm(x), turned)
        x = x + self.self_attn_layer_scale(self.self_attn.attend(q, k, v, mask=None))
        h: Tensor = self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))
        return x + h


class Transformer(nn.Module):
    """The layers over latents [B, T, hidden]."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(
            TransformerLayer(config) for _ in range(config.num_hidden_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        positions = torch.arange(x.shape[1], device=x.device)
        config = self.config
        cosines, sines = rotation(positions, config.attention_head_dim, config.rope_theta)
        turned = cosines.to(x.dtype), sines.to(x.dtype)  # [T, head_dim]
        for layer in self.layers:
            x = layer(x, turned)
        return x


class CodecEncoder(nn.Module):
    """Encoder of the 12 Hz speech tokenizer.

    Its parameters need no gradient, and all results are on its device.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = config.encoder
        self.sample_rate_hz = config.sample_rate_hz
        self.samples_per_frame = config.samples_per_frame
        self.encoder = ConvolutionStack(c)
        self.encoder_transformer = Transformer(c)
        self.downsample = Downsample(c.hidden_size)
        self.quantizer = Quantizer(c, config.num_code_groups)

    @torch.no_grad()
    def encode(self, samples: Tensor) -> Tensor:
        """Return the codes [codebooks, ceil(n / samples_per_frame)] int64 of `samples` [n].

        `samples` are float mono at `sample_rate_hz`.
        """
        assert samples.dim() == 1, f"samples of shape {list(samples.shape)}"
        assert samples.shape[0] > 0, "no samples"
        weight = self.downsample.conv.weight
        # [1, hidden, n / 960]
        x = self.encoder(samples.to(weight.device, weight.dtype)[None, None])
        x = self.encoder_transformer(x.transpose(1, 2)).transpose(1, 2)
        codes: Tensor = self.quantizer(self.downsample(x))
        return codes[:, : math.ceil(samples.shape[0] / self.samples_per_frame)]


def load_encoder(folder: Path, device: torch.device, dtype: torch.dtype) -> CodecEncoder:
    """Return the encoder in `folder` (a checkpoint's `speech_tokenizer`), on `device` in `dtype`.

    Raises `MissingDependency` for an absent file, `EngineFault` for one that is damaged or does not
    fit its config.
    """
    config = read_codec_config(folder)
    with TensorFile(folder, device, dtype) as file:
        return build(lambda: CodecEncoder(config), file, "encoder.")
