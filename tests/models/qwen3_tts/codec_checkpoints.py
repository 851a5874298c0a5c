"""Write tiny random speech tokenizers and speaker encoders in the released layout.

Names and shapes are copied from the released files, not taken from the engine's modules, so that a
wrong name in the engine shows. Weights come from numpy's generator: they are the same on every
machine and torch version.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class CodecShape:
    """Dimensions of a speech tokenizer.

    Its rates (1920 samples a frame) are by default the released ones.
    """

    latent: int = 16
    codebook_dim: int = 16
    entries: int = 64
    codebooks: int = 16
    decoder_dim: int = 32
    hidden: int = 16
    intermediate: int = 32
    heads: int = 2
    kv_heads: int = 2
    head_dim: int = 8
    layers: int = 2
    window: int = 72
    rates: tuple[int, ...] = (8, 5, 4, 3)
    ratios: tuple[int, ...] = (2, 2)
    attention_bias: bool = False
    encoder_filters: int = 4
    encoder_hidden: int = 16
    encoder_intermediate: int = 0  # 0: twice the hidden size
    encoder_layers: int = 1
    encoder_heads: int = 2
    encoder_codebook_dim: int = 8
    encoder_rates: tuple[int, ...] = (8, 6, 5, 4)
    encoder_codebooks: int = 20  # in the file; only `codebooks` of them are used

    @property
    def encoder_mlp(self) -> int:
        return self.encoder_intermediate or 2 * self.encoder_hidden


SHAPES = {
    "small": CodecShape(),
    "grouped": CodecShape(
        latent=24, codebook_dim=12, entries=32, decoder_dim=48, hidden=20, intermediate=28,
        heads=4, kv_heads=2, head_dim=6, layers=3, window=5, attention_bias=True,
        encoder_filters=3, encoder_hidden=12, encoder_layers=2, encoder_heads=3,
        encoder_codebook_dim=12,
    ),
    "no-lookback": CodecShape(
        latent=8, hidden=8, layers=1, window=1, decoder_dim=16, encoder_codebook_dim=4
    ),
}  # fmt: skip

RELEASED = CodecShape(
    latent=1024, codebook_dim=512, entries=2048, decoder_dim=1536, hidden=512, intermediate=1024,
    heads=16, kv_heads=16, head_dim=64, layers=8, encoder_filters=64, encoder_hidden=512,
    encoder_intermediate=2048, encoder_layers=8, encoder_heads=8, encoder_codebook_dim=256,
    encoder_codebooks=32,
)  # fmt: skip

# 32 samples a frame instead of 1920: for tests that need many frames rather than real rates.
SLOW_RATE = replace(SHAPES["grouped"], rates=(2, 2, 2, 2), ratios=(2,), encoder_rates=(2, 2, 2, 2))


def random_shape(seed: int) -> CodecShape:
    """Return a speech tokenizer of random dimensions at the released rates."""
    random = np.random.default_rng(seed)

    def draw(*choices: int) -> int:
        return int(random.choice(choices))

    kv_heads, encoder_heads = draw(1, 2, 3), draw(1, 2, 4)
    return CodecShape(
        latent=draw(8, 20, 36), codebook_dim=draw(8, 14, 32), entries=draw(16, 128, 512),
        codebooks=draw(4, 8, 16), decoder_dim=draw(16, 32, 64), hidden=draw(8, 18, 32),
        intermediate=draw(16, 50), heads=kv_heads * draw(1, 2), kv_heads=kv_heads,
        head_dim=draw(4, 8, 10), layers=draw(1, 2, 4), window=draw(2, 9, 72),
        attention_bias=bool(draw(0, 1)), encoder_filters=draw(2, 4, 6),
        encoder_hidden=encoder_heads * draw(4, 8, 10), encoder_layers=draw(1, 2, 3),
        encoder_heads=encoder_heads, encoder_codebook_dim=draw(4, 8, 12),
    )  # fmt: skip


class Names:
    """Named random tensors. Weights have variance 1 / fan-in, so that signals keep their size."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}

    def put(self, name: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> None:
        values = self.random.standard_normal(shape, dtype=np.float32) * std + mean
        self.tensors[name] = torch.from_numpy(values.astype(np.float32))

    def uniform(self, name: str, shape: tuple[int, ...], low: float, high: float) -> None:
        self.tensors[name] = torch.from_numpy(
            self.random.uniform(low, high, shape).astype(np.float32)
        )

    def conv(
        self, name: str, out: int, into: int, kernel: int, *, bias: bool = True, gain: float = 1.0
    ) -> None:
        self.put(f"{name}.weight", (out, into, kernel), gain / math.sqrt(into * kernel))
        if bias:
            self.put(f"{name}.bias", (out,), 0.05)

    def upsampling(self, name: str, into: int, out: int, kernel: int, stride: int) -> None:
        self.put(f"{name}.weight", (into, out, kernel), 1 / math.sqrt(into * kernel / stride))
        self.put(f"{name}.bias", (out,), 0.05)

    def linear(self, name: str, out: int, into: int, *, bias: bool = True) -> None:
        self.put(f"{name}.weight", (out, into), 1 / math.sqrt(into))
        if bias:
            self.put(f"{name}.bias", (out,), 0.05)

    def norm(self, name: str, size: int, *, bias: bool) -> None:
        self.put(f"{name}.weight", (size,), 0.1, mean=1.0)
        if bias:
            self.put(f"{name}.bias", (size,), 0.05)

    def snake(self, name: str, size: int) -> None:
        self.put(f"{name}.alpha", (size,), 0.05)
        self.put(f"{name}.beta", (size,), 0.05)


def codec_tensors(shape: CodecShape, seed: int) -> dict[str, Tensor]:
    """Return the tensors of `speech_tokenizer/model.safetensors`."""
    names = Names(seed)
    _dequantizer(names, shape)
    _frame_transformer(names, shape)
    _waveform(names, shape)
    _encoder_stack(names, shape)
    _encoder_transformer(names, shape)
    _encoder_quantizer(names, shape)
    return names.tensors


def _dequantizer(names: Names, shape: CodecShape) -> None:
    inner = shape.codebook_dim // 2
    for group, books in (("rvq_first", 1), ("rvq_rest", shape.codebooks - 1)):
        prefix = f"decoder.quantizer.{group}"
        for book in range(books):
            names.put(
                f"{prefix}.vq.layers.{book}._codebook.embedding_sum", (shape.entries, inner), 1.0
            )
            names.uniform(
                f"{prefix}.vq.layers.{book}._codebook.cluster_usage", (shape.entries,), 1, 2
            )
        names.conv(f"{prefix}.input_proj", inner, shape.codebook_dim, 1, bias=False)
        names.conv(f"{prefix}.output_proj", shape.codebook_dim, inner, 1, bias=False)


def _attention(
    names: Names, layer: str, hidden: int, sizes: tuple[int, int], *, bias: bool
) -> None:
    queries, keys = sizes
    for name, out, into in (
        ("q_proj", queries, hidden), ("k_proj", keys, hidden), ("v_proj", keys, hidden),
        ("o_proj", hidden, queries)
    ):  # fmt: skip
        names.linear(f"{layer}.self_attn.{name}", out, into, bias=bias)
    for scale in ("self_attn_layer_scale", "mlp_layer_scale"):
        names.uniform(f"{layer}.{scale}.scale", (hidden,), 0.2, 0.5)


def _frame_transformer(names: Names, shape: CodecShape) -> None:
    prefix = "decoder.pre_transformer"
    names.linear(f"{prefix}.input_proj", shape.hidden, shape.latent)
    names.linear(f"{prefix}.output_proj", shape.latent, shape.hidden)
    names.norm(f"{prefix}.norm", shape.hidden, bias=False)
    sizes = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim)
    for number in range(shape.layers):
        layer = f"{prefix}.layers.{number}"
        _attention(names, layer, shape.hidden, sizes, bias=shape.attention_bias)
        names.linear(f"{layer}.mlp.gate_proj", shape.intermediate, shape.hidden, bias=False)
        names.linear(f"{layer}.mlp.up_proj", shape.intermediate, shape.hidden, bias=False)
        names.linear(f"{layer}.mlp.down_proj", shape.hidden, shape.intermediate, bias=False)
        names.norm(f"{layer}.input_layernorm", shape.hidden, bias=False)
        names.norm(f"{layer}.post_attention_layernorm", shape.hidden, bias=False)


def _waveform(names: Names, shape: CodecShape) -> None:
    latent, channels = shape.latent, shape.decoder_dim
    names.conv("decoder.pre_conv.conv", latent, shape.codebook_dim, 3)
    for number, ratio in enumerate(shape.ratios):
        prefix = f"decoder.upsample.{number}"
        names.upsampling(f"{prefix}.0.conv", latent, latent, ratio, ratio)
        names.conv(f"{prefix}.1.dwconv.conv", latent, 1, 7)
        names.norm(f"{prefix}.1.norm", latent, bias=True)
        names.linear(f"{prefix}.1.pwconv1", 4 * latent, latent)
        names.linear(f"{prefix}.1.pwconv2", latent, 4 * latent)
        names.uniform(f"{prefix}.1.gamma", (latent,), 0.2, 0.5)
    names.conv("decoder.decoder.0.conv", channels, latent, 7)
    for number, rate in enumerate(shape.rates, start=1):
        prefix = f"decoder.decoder.{number}.block"
        names.snake(f"{prefix}.0", channels)
        names.upsampling(f"{prefix}.1.conv", channels, channels // 2, 2 * rate, rate)
        channels //= 2
        for unit in (2, 3, 4):
            names.snake(f"{prefix}.{unit}.act1", channels)
            names.conv(f"{prefix}.{unit}.conv1.conv", channels, channels, 7, gain=0.5)
            names.snake(f"{prefix}.{unit}.act2", channels)
            names.conv(f"{prefix}.{unit}.conv2.conv", channels, channels, 1, gain=0.5)
    names.snake(f"decoder.decoder.{len(shape.rates) + 1}", channels)
    # The gain keeps samples well inside [-1, 1], where the final clamp would hide a difference.
    names.conv(f"decoder.decoder.{len(shape.rates) + 2}.conv", 1, channels, 7, gain=0.05)


def _encoder_stack(names: Names, shape: CodecShape) -> None:
    channels, position = shape.encoder_filters, 1
    names.conv("encoder.encoder.layers.0.conv", channels, 1, 7)
    for stride in reversed(shape.encoder_rates):
        prefix = f"encoder.encoder.layers.{position}.block"
        names.conv(f"{prefix}.1.conv", channels // 2, channels, 3)
        names.conv(f"{prefix}.3.conv", channels, channels // 2, 1)
        names.conv(
            f"encoder.encoder.layers.{position + 2}.conv", 2 * channels, channels, 2 * stride
        )
        channels, position = 2 * channels, position + 3
    names.conv(f"encoder.encoder.layers.{position + 1}.conv", shape.encoder_hidden, channels, 3)
    names.conv(
        "encoder.downsample.conv",
        shape.encoder_hidden,
        shape.encoder_hidden,
        4,
        bias=False,
        gain=3.0,
    )


def _encoder_transformer(names: Names, shape: CodecShape) -> None:
    hidden = shape.encoder_hidden
    for number in range(shape.encoder_layers):
        layer = f"encoder.encoder_transformer.layers.{number}"
        _attention(names, layer, hidden, (hidden, hidden), bias=shape.attention_bias)
        names.linear(f"{layer}.mlp.fc1", shape.encoder_mlp, hidden, bias=False)
        names.linear(f"{layer}.mlp.fc2", hidden, shape.encoder_mlp, bias=False)
        names.norm(f"{layer}.input_layernorm", hidden, bias=True)
        names.norm(f"{layer}.post_attention_layernorm", hidden, bias=True)


def _encoder_quantizer(names: Names, shape: CodecShape) -> None:
    inner = shape.encoder_codebook_dim
    for group, books in (("semantic", 1), ("acoustic", shape.encoder_codebooks - 1)):
        prefix = f"encoder.quantizer.{group}_residual_vector_quantizer"
        for book in range(books):
            names.put(f"{prefix}.layers.{book}.codebook.embed_sum", (shape.entries, inner), 1.0)
            names.uniform(f"{prefix}.layers.{book}.codebook.cluster_usage", (shape.entries,), 1, 2)
            names.tensors[f"{prefix}.layers.{book}.codebook.initialized"] = torch.ones(1)
        if inner != shape.encoder_hidden:
            names.conv(f"{prefix}.input_proj", inner, shape.encoder_hidden, 1, bias=False)
            names.conv(f"{prefix}.output_proj", shape.encoder_hidden, inner, 1, bias=False)


def codec_config(shape: CodecShape) -> dict[str, object]:
    """Return the values of `speech_tokenizer/config.json`."""
    frame = math.prod(shape.rates) * math.prod(shape.ratios)
    decoder = {
        "latent_dim": shape.latent, "codebook_dim": shape.codebook_dim,
        "codebook_size": shape.entries, "decoder_dim": shape.decoder_dim,
        "hidden_size": shape.hidden, "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim, "num_hidden_layers": shape.layers,
        "sliding_window": shape.window, "num_quantizers": shape.codebooks,
        "upsample_rates": list(shape.rates), "upsampling_ratios": list(shape.ratios),
        "rope_theta": 10000, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "attention_bias": shape.attention_bias, "max_position_embeddings": 8000,
        "layer_scale_initial_scale": 0.01, "num_semantic_quantizers": 1,
        "vector_quantization_hidden_dimension": shape.codebook_dim,
    }  # fmt: skip
    encoder = {
        "audio_channels": 1, "num_filters": shape.encoder_filters,
        "hidden_size": shape.encoder_hidden, "num_hidden_layers": shape.encoder_layers,
        "num_attention_heads": shape.encoder_heads, "num_key_value_heads": shape.encoder_heads,
        "head_dim": shape.encoder_hidden // shape.encoder_heads,
        "intermediate_size": shape.encoder_mlp, "codebook_size": shape.entries,
        "codebook_dim": shape.encoder_codebook_dim, "attention_bias": shape.attention_bias,
        "vector_quantization_hidden_dimension": shape.encoder_codebook_dim,
        "num_quantizers": shape.encoder_codebooks, "upsampling_ratios": list(shape.encoder_rates),
        "frame_rate": 24000 / frame, "sampling_rate": 24000, "hidden_act": "gelu", "norm_eps": 1e-5,
        "rope_theta": 10000, "sliding_window": 250, "upsample_groups": shape.encoder_hidden,
        "kernel_size": 7, "last_kernel_size": 3, "residual_kernel_size": 3,
        "num_residual_layers": 1, "dilation_growth_rate": 2, "compress": 2,
        "layer_scale_initial_scale": 0.01, "num_semantic_quantizers": 1,
    }  # fmt: skip
    return {
        "model_type": "qwen3_tts_tokenizer_12hz", "architectures": ["Qwen3TTSTokenizerV2Model"],
        "encoder_config": encoder, "decoder_config": decoder,
        "encoder_valid_num_quantizers": shape.codebooks, "input_sample_rate": 24000,
        "output_sample_rate": 24000, "decode_upsample_rate": frame, "encode_downsample_rate": frame,
    }  # fmt: skip


FEATURES = {
    "feature_extractor_type": "EncodecFeatureExtractor", "feature_size": 1, "sampling_rate": 24000,
    "padding_side": "right", "padding_value": 0.0, "return_attention_mask": True,
}  # fmt: skip


def write_codec(folder: Path, shape: CodecShape = CodecShape(), seed: int = 0) -> Path:
    """Write a whole `speech_tokenizer` folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(codec_config(shape), indent=1))
    (folder / "preprocessor_config.json").write_text(json.dumps(FEATURES))
    save_file(codec_tensors(shape, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@dataclass(frozen=True)
class SpeakerShape:
    """Dimensions of a speaker encoder."""

    mels: int = 128
    dim: int = 64
    width: int = 16
    blocks: int = 3
    scale: int = 4
    attention: int = 8
    squeezed: int = 6
    kernels: tuple[int, ...] = (5, 3, 3, 3, 1)
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1)


SPEAKERS = {
    "small": SpeakerShape(),
    "deep": SpeakerShape(
        dim=24,
        width=24,
        blocks=4,
        scale=8,
        kernels=(5, 3, 3, 5, 3, 1),
        dilations=(1, 2, 3, 4, 5, 1),
    ),
}
RELEASED_SPEAKER = SpeakerShape(dim=1024, width=512, scale=8, attention=128, squeezed=128)


def speaker_config(shape: SpeakerShape) -> dict[str, object]:
    """Return `speaker_encoder_config` of a Base checkpoint."""
    return {
        "mel_dim": shape.mels, "enc_dim": shape.dim, "sample_rate": 24000,
        "enc_channels": [shape.width] * (shape.blocks + 1) + [shape.width * shape.blocks],
        "enc_kernel_sizes": list(shape.kernels), "enc_dilations": list(shape.dilations),
        "enc_attention_channels": shape.attention, "enc_res2net_scale": shape.scale,
        "enc_se_channels": shape.squeezed,
    }  # fmt: skip


def speaker_tensors(shape: SpeakerShape, seed: int) -> dict[str, Tensor]:
    """Return the `speaker_encoder.` tensors of a Base checkpoint."""
    names = Names(seed)
    width, joined = shape.width, shape.width * shape.blocks
    names.conv("speaker_encoder.blocks.0.conv", width, shape.mels, shape.kernels[0])
    for block in range(1, shape.blocks + 1):
        prefix = f"speaker_encoder.blocks.{block}"
        names.conv(f"{prefix}.tdnn1.conv", width, width, 1)
        for group in range(shape.scale - 1):
            inner = width // shape.scale
            names.conv(
                f"{prefix}.res2net_block.blocks.{group}.conv", inner, inner, shape.kernels[block]
            )
        names.conv(f"{prefix}.tdnn2.conv", width, width, 1)
        names.conv(f"{prefix}.se_block.conv1", shape.squeezed, width, 1)
        names.conv(f"{prefix}.se_block.conv2", width, shape.squeezed, 1)
    names.conv("speaker_encoder.mfa.conv", joined, joined, shape.kernels[-1])
    names.conv("speaker_encoder.asp.tdnn.conv", shape.attention, 3 * joined, 1)
    names.conv("speaker_encoder.asp.conv", joined, shape.attention, 1)
    names.conv("speaker_encoder.fc", shape.dim, 2 * joined, 1)
    return names.tensors


def write_speaker(folder: Path, shape: SpeakerShape = SpeakerShape(), seed: int = 0) -> Path:
    """Write the speaker encoder's files of a Base checkpoint and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {"tts_model_type": "base", "speaker_encoder_config": speaker_config(shape)}
    (folder / "config.json").write_text(json.dumps(raw, indent=1))
    save_file(speaker_tensors(shape, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def random_codes(shape: CodecShape, frames: int, seed: int, batch: int = 1) -> Tensor:
    """Return random codes [batch, codebooks, frames]."""
    codes = np.random.default_rng(seed).integers(0, shape.entries, (batch, shape.codebooks, frames))
    return torch.from_numpy(codes)


def voice_like(samples: int, seed: int) -> Tensor:
    """Return a voice-like sample [n] in [-1, 1]: gliding harmonics and noise."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / 24000
    phase = (
        2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * random.uniform(1, 3) * time)) / 24000
    )
    harmonics = sum(np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 12))
    envelope = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
    wave = 0.25 * envelope * harmonics + 0.02 * random.standard_normal(samples)
    return torch.from_numpy(np.clip(wave, -1, 1).astype(np.float32))
