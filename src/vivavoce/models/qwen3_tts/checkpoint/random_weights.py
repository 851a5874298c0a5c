"""Build language models and codecs of the released shapes with random weights, for benchmarks.

They are made in memory, without a download. A frame of noise takes as long as a frame of speech.
The text embedding is left out, since a frame reads nothing of it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from vivavoce.models.qwen3_tts.checkpoint.config import (
    CodecIds,
    Config,
    DecoderConfig,
    GenerationConfig,
    SamplingDefaults,
    TextIds,
)
from vivavoce.models.qwen3_tts.codec import CodecDecoder
from vivavoce.models.qwen3_tts.codec.config import DecoderConfig as CodecConfig
from vivavoce.models.qwen3_tts.codec.decoder import lay_out
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, numbers_between
from vivavoce.models.qwen3_tts.network.packing import packing
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.network.transformer import Embedding, RMSNorm

_TINY = DecoderConfig(32, 48, 2, 4, 2, 8, 1e6, 1e-6)
PREDICTOR = DecoderConfig(1024, 3072, 5, 16, 8, 128, 1e6, 1e-6)
TALKERS: Mapping[str, tuple[str, DecoderConfig, DecoderConfig]] = {
    "0.6b": ("0b6", DecoderConfig(1024, 3072, 28, 16, 8, 128, 1e6, 1e-6), PREDICTOR),
    "1.7b": ("1b7", DecoderConfig(2048, 6144, 28, 16, 8, 128, 1e6, 1e-6), PREDICTOR),
    # Not a released shape: for tests of the benchmarks.
    "tiny": ("0b6", _TINY, replace(_TINY, layers=1)),
}
CODEC = CodecConfig(hidden_size=512, intermediate_size=1024)
TINY_CODEC = CodecConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=1, latent_dim=32, codebook_dim=32,
    decoder_dim=32,
)  # fmt: skip


def released_config(size: str) -> Config:
    """Return the configuration of "0.6b" or "1.7b" as released, without voices and text."""
    name, talker, predictor = TALKERS[size]
    return Config(
        task="base",
        size=name,
        talker=talker,
        predictor=predictor,
        codebooks=16,
        codec_vocab_size=3072,
        code_vocab_size=2048,
        text_vocab_size=8,
        text_hidden_size=2048,
        max_positions=32768,
        text_ids=TextIds(1, 2, 3, 4, 5),
        codec_ids=CodecIds(2148, 2149, 2150, 2154, 2155, 2156, 2157),
        speakers={},
        dialects={},
        language_ids={},
        generation=GenerationConfig(SamplingDefaults(), SamplingDefaults(), 1.05, 8191),
    )


@torch.no_grad()
def random_talker(
    config: Config, device: torch.device, dtype: torch.dtype, form: WeightFormat, seed: int = 0
) -> Talker:
    """Return a talker of the shape of `config`, packed like a loaded one."""
    with torch.device("meta"):
        talker = Talker(config)
    generator = torch.Generator(device).manual_seed(seed)
    numbers = numbers_between(form, dtype)
    with packing(form, dtype) as pack:
        for module in talker.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                tensor = torch.empty(parameter.shape, device=device, dtype=numbers)
                if isinstance(module, RMSNorm):
                    tensor.fill_(1)
                else:
                    embedding = isinstance(module, Embedding)
                    spread = 0.5 if embedding else 1 / math.sqrt(parameter.shape[-1])
                    tensor.normal_(0, spread, generator=generator)
                setattr(module, name, nn.Parameter(tensor, requires_grad=False))
            pack(module)
    talker.eval()
    return talker


@torch.no_grad()
def random_codec(
    device: torch.device, seed: int = 0, *, config: CodecConfig = CODEC
) -> CodecDecoder:
    """Return a float32 codec decoder, by default of the released shape."""
    torch.manual_seed(seed)
    codec = CodecDecoder(config)
    codec.to(device)
    for tensor in (*codec.parameters(), *codec.buffers()):
        if tensor.is_floating_point():
            tensor.normal_(0, 1 / math.sqrt(max(tensor[0].numel() if tensor.dim() > 1 else 64, 1)))
    codec.requires_grad_(False).eval()
    lay_out(codec)
    return codec
