"""The 12 Hz speech tokenizer: codes to samples (whole or streamed), samples to codes."""

from vivavoce.models.qwen3_tts.codec.config import (
    CodecConfig,
    DecoderConfig,
    EncoderConfig,
    read_codec_config,
)
from vivavoce.models.qwen3_tts.codec.decoder import CodecDecoder, load_decoder
from vivavoce.models.qwen3_tts.codec.encoder import CodecEncoder, load_encoder
from vivavoce.models.qwen3_tts.codec.state import DecoderState

__all__ = [
    "CodecConfig",
    "CodecDecoder",
    "CodecEncoder",
    "DecoderConfig",
    "DecoderState",
    "EncoderConfig",
    "load_decoder",
    "load_encoder",
    "read_codec_config",
]
