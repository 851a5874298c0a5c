"""Read the shapes of the 12 Hz speech tokenizer from `speech_tokenizer/config.json`.

It knows no tensors. A released file leaves out values that equal the reference implementation's
defaults, so every field here has that default. Sources: `configuration_qwen3_tts_tokenizer_v2.py`
(decoder), Mimi's configuration (encoder).
"""

import math
from dataclasses import dataclass
from pathlib import Path

from vivavoce.errors import EngineFault
from vivavoce.models.qwen3_tts.checkpoint.section import Section, read_section

MODEL_TYPE = "qwen3_tts_tokenizer_12hz"


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Shape of the decoder, codes to waveform.

    Quantizer → causal convolution → windowed transformer → upsampling convolutions.
    """

    codebook_size: int = 2048
    codebook_dim: int = 512  # of the quantizer's output, twice that of the codebooks
    num_quantizers: int = 16  # 1 semantic, the rest acoustic
    latent_dim: int = 1024
    hidden_size: int = 1024
    intermediate_size: int = 3072
    num_hidden_layers: int = 8
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    head_dim: int = 64
    attention_bias: bool = False
    hidden_act: str = "silu"
    sliding_window: int = 72  # frames a query sees, its own included
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    upsampling_ratios: tuple[int, ...] = (2, 2)  # by ConvNeXt stages, at `latent_dim` channels
    upsample_rates: tuple[int, ...] = (8, 5, 4, 3)  # by SnakeBeta stages, each halving the channels
    decoder_dim: int = 1536  # channels before the first SnakeBeta stage

    @property
    def samples_per_frame(self) -> int:
        """Number of samples in one frame."""
        return math.prod(self.upsampling_ratios) * math.prod(self.upsample_rates)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Shape of the encoder, waveform to codes, after Mimi.

    Strided causal convolutions → transformer → ×2 downsampling → quantizer.
    """

    audio_channels: int = 1
    num_filters: int = 64
    hidden_size: int = 512
    kernel_size: int = 7
    last_kernel_size: int = 3
    residual_kernel_size: int = 3
    num_residual_layers: int = 1
    dilation_growth_rate: int = 2
    compress: int = 2
    upsampling_ratios: tuple[int, ...] = (8, 6, 5, 4)  # the encoder's strides, reversed
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    num_key_value_heads: int = 8
    head_dim: int = 0  # 0: hidden_size / num_attention_heads
    intermediate_size: int = 2048
    attention_bias: bool = False
    hidden_act: str = "gelu"
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    codebook_size: int = 2048
    codebook_dim: int = 256
    vector_quantization_hidden_dimension: int = 256
    num_quantizers: int = 32  # in the file, of which the talker uses the first `num_code_groups`
    num_semantic_quantizers: int = 1
    sampling_rate: int = 24000
    frame_rate: float = 12.5
    use_causal_conv: bool = True
    use_conv_shortcut: bool = False
    pad_mode: str = "constant"

    @property
    def attention_head_dim(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """Shapes of the whole speech tokenizer."""

    decoder: DecoderConfig
    encoder: EncoderConfig
    num_code_groups: int  # codebooks the talker speaks in
    sample_rate_hz: int
    samples_per_frame: int

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate_hz / self.samples_per_frame


def read_codec_config(folder: Path) -> CodecConfig:
    """Return the shapes in `folder/config.json` (`folder` is a checkpoint's `speech_tokenizer`).

    Raises `MissingDependency` if the file is absent, `EngineFault` if it describes a codec that
    this engine does not run.
    """
    root = read_section(folder / "config.json")
    root.demand("model_type", root.values.get("model_type", MODEL_TYPE), MODEL_TYPE)
    config = CodecConfig(
        decoder=root.optional_section("decoder_config").fill(DecoderConfig),
        encoder=root.optional_section("encoder_config").fill(EncoderConfig),
        num_code_groups=root.integer("encoder_valid_num_quantizers", 16),
        sample_rate_hz=root.integer("output_sample_rate", 24000),
        samples_per_frame=root.integer("decode_upsample_rate", 1920),
    )
    _check_decoder(root, config)
    _check_encoder(root, config)
    return config


def _check_decoder(root: Section, config: CodecConfig) -> None:
    decoder = config.decoder
    root.demand("decoder_config.hidden_act", decoder.hidden_act, "silu")
    root.demand("decode_upsample_rate", config.samples_per_frame, decoder.samples_per_frame)
    root.demand("encoder_valid_num_quantizers", config.num_code_groups, decoder.num_quantizers)
    _check_heads(root, "decoder_config", decoder.num_attention_heads, decoder.num_key_value_heads)
    if decoder.sliding_window < 1:
        raise EngineFault(
            f"{str(root.path)!r}: decoder_config.sliding_window is 0, must be at least 1"
        )


def _check_encoder(root: Section, config: CodecConfig) -> None:
    encoder = config.encoder
    for name, wanted in (
        ("hidden_act", "gelu"),
        ("audio_channels", 1),
        ("use_causal_conv", True),
        ("use_conv_shortcut", False),
        ("pad_mode", "constant"),
        ("sampling_rate", config.sample_rate_hz),
        ("frame_rate", config.frame_rate_hz),
    ):
        root.demand(f"encoder_config.{name}", getattr(encoder, name), wanted)
    stride = math.prod(encoder.upsampling_ratios) * 2
    root.demand("2 × encoder_config.upsampling_ratios", stride, config.samples_per_frame)
    _check_heads(root, "encoder_config", encoder.num_attention_heads, encoder.num_key_value_heads)
    root.demand(
        "encoder_config.vector_quantization_hidden_dimension",
        encoder.vector_quantization_hidden_dimension,
        encoder.codebook_dim,
    )
    if encoder.num_quantizers < config.num_code_groups:
        raise EngineFault(
            f"{str(root.path)!r}: encoder_config.num_quantizers is {encoder.num_quantizers!r}, "
            f"fewer than encoder_valid_num_quantizers {config.num_code_groups!r}"
        )


def _check_heads(root: Section, section: str, heads: int, kv_heads: int) -> None:
    if kv_heads < 1 or heads % kv_heads:
        raise EngineFault(
            f"{str(root.path)!r}: {section}.num_attention_heads {heads!r} is not a multiple of "
            f"num_key_value_heads {kv_heads!r}"
        )
