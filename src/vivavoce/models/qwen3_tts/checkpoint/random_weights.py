"""Build language models and codecs of the released shapes with random weights, for benchmarks.

They are made in memory, without a download. A frame of noise takes as long as a frame of speech.
The text embedding is left out, since a frame reads nothing of it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import (
    CodecIds,
    Config,
    GenerationConfig,
    SamplingDefaults,
    StackConfig,
    TextIds,
)
from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile, build
from vivavoce.models.qwen3_tts.codec import CodecDecoder
from vivavoce.models.qwen3_tts.codec.config import DecoderConfig
from vivavoce.models.qwen3_tts.codec.decoder import lay_out
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, numbers_between
from vivavoce.models.qwen3_tts.network.packing import packing
from vivavoce.models.qwen3_tts.network.talker import Talker

_TINY = StackConfig(32, 48, 2, 4, 2, 8, 1e6, 1e-6)
PREDICTOR = StackConfig(1024, 3072, 5, 16, 8, 128, 1e6, 1e-6)
TALKERS: Mapping[str, tuple[str, StackConfig, StackConfig]] = {
    "0.6b": ("0b6", StackConfig(1024, 3072, 28, 16, 8, 128, 1e6, 1e-6), PREDICTOR),
    "1.7b": ("1b7", StackConfig(2048, 6144, 28, 16, 8, 128, 1e6, 1e-6), PREDICTOR),
    # Not a released shape: for tests of the benchmarks.
    "tiny": ("0b6", _TINY, replace(_TINY, layers=1)),
}
CODEC = DecoderConfig(hidden_size=512, intermediate_size=1024)
TINY_CODEC = DecoderConfig(
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


class RandomTensors(TensorFile):
    """Tensors that are drawn when they are read. `shapes` has those that were read."""

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        self.device, self.dtype = device, torch.float32
        self.shapes: dict[str, tuple[int, ...]] = {}
        drawn = "cpu" if device.type == "meta" else device
        self._generator = torch.Generator(drawn).manual_seed(seed)

    def read(self, name: str, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
        self.shapes[name] = tuple(shape)
        tensor = torch.empty(shape, device=self.device, dtype=dtype or self.dtype)
        return tensor.normal_(*statistics(name, shape), generator=self._generator)


def statistics(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the mean and the standard deviation of a tensor's values.

    They keep signals near 1. Samples stay well inside [-1, 1], and are not silent.
    """
    if name.endswith(("norm.weight", "cluster_usage")):
        return 1.0, 0.0
    if name.endswith(("scale", "gamma")):
        return 0.3, 0.0
    if name.endswith(("bias", "alpha", "beta")):
        return 0.0, 0.05
    if "embedding" in name:
        return 0.0, 1.0 if "codebook" in name else 0.5
    gain = 0.5 if ".block." in name or shape[0] == 1 else 1.0
    return 0.0, gain / math.sqrt(math.prod(shape[1:]))


@torch.no_grad()
def random_talker(
    config: Config, device: torch.device, dtype: torch.dtype, form: WeightFormat, seed: int = 0
) -> Talker:
    """Return a talker of the shape of `config`, packed like a loaded one."""
    with torch.device("meta"):
        talker = Talker(config)
    tensors = RandomTensors(device, seed)
    tensors.dtype = numbers_between(form, dtype)
    with packing(form, dtype) as pack:
        for path, module in talker.named_modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                drawn = tensors.read(f"{path}.{name}", tuple(parameter.shape))
                setattr(module, name, nn.Parameter(drawn, requires_grad=False))
            pack(module)
    talker.eval()
    return talker


def random_codec(
    device: torch.device, *, config: DecoderConfig = CODEC, dtype: torch.dtype = torch.float32
) -> CodecDecoder:
    """Return a codec decoder, by default of the released shape, with the same weights each time."""
    codec = build(lambda: CodecDecoder(config), RandomTensors(device), "decoder.")
    codec.to(dtype)
    lay_out(codec)
    return codec
