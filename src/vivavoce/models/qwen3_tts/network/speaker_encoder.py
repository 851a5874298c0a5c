"""Compute an x-vector from a voice sample: the speaker encoder of Base checkpoints.

It knows no codes and no text. ECAPA-TDNN (Desplanques et al., 2020): dilated convolutions over a
log-mel spectrogram, squeeze-excitation Res2Net blocks, their outputs joined, attentive statistics
pooling over time. Attribute names follow the released tensors. Source: qwen-tts
`modeling_qwen3_tts.py`, Qwen3TTSSpeakerEncoder.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.errors import BadRequest, EngineFault, Unsupported
from vivavoce.models.qwen3_tts.checkpoint.section import read_section
from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile, build
from vivavoce.models.qwen3_tts.network.mel import HOP, log_mel, mel_filters

PREFIX = "speaker_encoder."


@dataclass(frozen=True, slots=True)
class SpeakerConfig:
    """Values of `speaker_encoder_config`, by default those of the reference."""

    mel_dim: int = 128
    enc_dim: int = 1024  # of the x-vector: the talker's hidden size
    enc_channels: tuple[int, ...] = (512, 512, 512, 512, 1536)
    enc_kernel_sizes: tuple[int, ...] = (5, 3, 3, 3, 1)
    enc_dilations: tuple[int, ...] = (1, 2, 3, 4, 1)
    enc_attention_channels: int = 128
    enc_res2net_scale: int = 8
    enc_se_channels: int = 128
    sample_rate: int = 24000


class TimeDelay(nn.Module):
    """A convolution of unchanged length (ends reflected), and a ReLU."""

    def __init__(self, into: int, out: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            into, out, kernel, dilation=dilation, padding="same", padding_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:  # [B, into, T] → [B, out, T]
        return F.relu(self.conv(x))


class Res2Net(nn.Module):
    """Channel groups, filtered one after the other. Each adds the previous group's result."""

    def __init__(self, channels: int, scale: int, kernel: int, dilation: int) -> None:
        super().__init__()
        width = channels // scale
        self.scale = scale
        self.blocks = nn.ModuleList(
            TimeDelay(width, width, kernel, dilation) for _ in range(scale - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = x.chunk(self.scale, dim=1)
        done = [first]
        for number, (block, group) in enumerate(zip(self.blocks, rest, strict=True)):
            done.append(block(group if number == 0 else group + done[-1]))
        return torch.cat(done, dim=1)


class SqueezeExcitation(nn.Module):
    """A gate for each channel, computed from the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, squeezed, 1)
        self.conv2 = nn.Conv1d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.relu(self.conv1(x.mean(dim=2, keepdim=True)))
        return x * torch.sigmoid(self.conv2(gate))


class SqueezeExcitationRes2Net(nn.Module):
    """Pointwise, Res2Net, pointwise, squeeze-excitation, added to the input."""

    def __init__(self, channels: int, kernel: int, dilation: int, config: SpeakerConfig) -> None:
        super().__init__()
        self.tdnn1 = TimeDelay(channels, channels, 1)
        self.res2net_block = Res2Net(channels, config.enc_res2net_scale, kernel, dilation)
        self.tdnn2 = TimeDelay(channels, channels, 1)
        self.se_block = SqueezeExcitation(channels, config.enc_se_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))))
        return y


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by an attention per channel."""

    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self.tdnn = TimeDelay(3 * channels, attention, 1)
        self.conv = nn.Conv1d(attention, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # [B, C, T] → [B, 2C, 1]
        even = torch.full_like(x[:, :1], 1 / x.shape[2])
        context = torch.cat([x, *(part.expand_as(x) for part in _statistics(x, even))], dim=1)
        weights = torch.softmax(self.conv(torch.tanh(self.tdnn(context))), dim=2)
        return torch.cat(_statistics(x, weights), dim=1)


def _statistics(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean and standard deviation over time, each [B, C, 1].

    The weights sum to 1 over time.
    """
    mean = (weights * x).sum(dim=2, keepdim=True)
    variance = (weights * (x - mean).square()).sum(dim=2, keepdim=True)
    return mean, variance.clamp(min=1e-12).sqrt()


class SpeakerEncoder(nn.Module):
    """The network from log-mel frames to an x-vector. Its parameters need no gradient."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.config = config
        channels, kernels, dilations = (
            config.enc_channels,
            config.enc_kernel_sizes,
            config.enc_dilations,
        )
        self.blocks = nn.ModuleList(
            [TimeDelay(config.mel_dim, channels[0], kernels[0], dilations[0])]
        )
        for width, kernel, dilation in list(zip(channels, kernels, dilations, strict=True))[1:-1]:
            self.blocks.append(SqueezeExcitationRes2Net(width, kernel, dilation, config))
        self.mfa = TimeDelay(channels[-1], channels[-1], kernels[-1], dilations[-1])
        self.asp = AttentiveStatistics(channels[-1], config.enc_attention_channels)
        self.fc = nn.Conv1d(2 * channels[-1], config.enc_dim, 1)

    @property
    def min_samples(self) -> int:
        """Length of the shortest sample that can be encoded.

        Every convolution's reflected ends must lie inside it.
        """
        kernels, dilations = self.config.enc_kernel_sizes, self.config.enc_dilations
        reach = max(
            (kernel - 1) * dilation // 2
            for kernel, dilation in zip(kernels, dilations, strict=True)
        )
        return HOP * (reach + 2)

    @torch.no_grad()
    def embed(self, samples: Tensor) -> Tensor:
        """Return the x-vector [enc_dim] of `samples` [n], float mono at `config.sample_rate` Hz.

        Raises `BadRequest` if they are too few.
        """
        if samples.shape[0] < self.min_samples:
            raise BadRequest(
                f"the voice sample has {samples.shape[0]!r} samples, fewer than the "
                f"{self.min_samples!r} that the speaker encoder needs: send a few seconds of "
                "speech",
                field="ref_audio",
            )
        weight = self.fc.weight
        filters = mel_filters(self.config.sample_rate, self.config.mel_dim).to(weight.device)
        mel = log_mel(samples.to(weight.device), filters)  # [mel_dim, T]
        vector: Tensor = self(mel[None].to(weight.dtype))[0]
        return vector

    def forward(self, x: Tensor) -> Tensor:  # [B, mel_dim, T] → [B, enc_dim]
        outputs: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        joined = self.mfa(torch.cat(outputs[1:], dim=1))  # the first output only feeds the second
        vectors: Tensor = self.fc(self.asp(joined))[..., 0]
        return vectors


def read_speaker_config(folder: Path) -> SpeakerConfig:
    """Return the speaker encoder's shapes from a checkpoint's `config.json`.

    Raises `Unsupported` if the checkpoint has no speaker encoder, `MissingDependency` if the file
    is absent, `EngineFault` naming an invalid field.
    """
    root = read_section(folder / "config.json")
    task = root.values.get("tts_model_type")
    if task != "base":
        raise Unsupported(
            f"a checkpoint of type {task!r} has no speaker encoder: clone with a Base checkpoint",
            field="model",
        )
    config = root.optional_section("speaker_encoder_config").fill(SpeakerConfig, least=1)
    _check_shapes(config)
    return config


def _check_shapes(config: SpeakerConfig) -> None:
    channels, count = config.enc_channels, len(config.enc_channels)
    if count < 3 or len(config.enc_kernel_sizes) != count or len(config.enc_dilations) != count:
        raise EngineFault(
            f"speaker_encoder_config: enc_channels {channels!r}, enc_kernel_sizes "
            f"{config.enc_kernel_sizes!r} and enc_dilations {config.enc_dilations!r} must have one "
            "length, at least 3"
        )
    if len(set(channels[:-1])) != 1 or channels[-1] != sum(channels[1:-1]):
        raise EngineFault(
            f"speaker_encoder_config.enc_channels is {channels!r}: all but the last must be equal, "
            "the last the sum of all between the first and itself"
        )
    if channels[0] % config.enc_res2net_scale:
        raise EngineFault(
            f"speaker_encoder_config.enc_res2net_scale {config.enc_res2net_scale!r} does not "
            f"divide {channels[0]!r}"
        )


def load_speaker_encoder(folder: Path, device: torch.device, dtype: torch.dtype) -> SpeakerEncoder:
    """Return the speaker encoder of the Base checkpoint in `folder`, on `device` in `dtype`.

    Raises `Unsupported` if the checkpoint has none, `MissingDependency` for an absent file,
    `EngineFault` for one that is damaged or does not fit its config.
    """
    config = read_speaker_config(folder)
    with TensorFile(folder, device, dtype) as file:
        return build(lambda: SpeakerEncoder(config), file, PREFIX)
