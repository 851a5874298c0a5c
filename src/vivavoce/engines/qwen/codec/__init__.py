"""The 12 Hz speech tokenizer: codes to samples (whole or streamed), samples to codes."""

from vivavoce.engines.qwen.codec.config import CodecConfig, DecoderConfig, EncoderConfig, read_codec_config
from vivavoce.engines.qwen.codec.decoder import CodecDecoder, load_decoder
from vivavoce.engines.qwen.codec.encoder import CodecEncoder, load_encoder
from vivavoce.engines.qwen.codec.state import DecoderState

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
