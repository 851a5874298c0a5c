"""Write checkpoints of random weights in the released layout, for load tests without a download.

Their only voice is called "random", and makes noise. Names and shapes of the tensors are those that
the loaders ask for.
"""

import json
import logging
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tokenizers.pre_tokenizers import ByteLevel

from vivavoce.errors import EngineFault
from vivavoce.models.qwen3_tts.checkpoint import random_weights as random
from vivavoce.models.qwen3_tts.checkpoint.config import (
    CODEC_IDS,
    TEXT_IDS,
    Config,
    StackConfig,
    TextIds,
)
from vivavoce.models.qwen3_tts.checkpoint.weights import SINGLE, build, released
from vivavoce.models.qwen3_tts.codec import CodecDecoder
from vivavoce.models.qwen3_tts.codec.config import MODEL_TYPE, DecoderConfig
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.runtime.memory import CODEC

log = logging.getLogger(__name__)

RANDOM = "random:"
VOICE = "random"
VERSION = 1  # of the files, part of the folder's name
# The letters of a token: a token is a byte, or one of these words. Ġ is a space.
WORDS = ("Ġthe", "Ġand", "Ġof", "Ġto", "Ġin", "Ġis", "Ġyou", "Ġat", "ing", "er", "on", "en", "at")
MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_bos>", "<tts_eod>")
TEXT_VOCABULARY = 151_936
BLOCK = 1 << 24  # numbers that are drawn and used again, more than a matrix of a layer has
SHIFT = 997  # numbers between the beginnings of two tensors


def random_folder(source: str, cache_dir: Path | None) -> Path:
    """Return the folder of the checkpoint `source`, like "random:1.7b", which is written once.

    It is in `cache_dir`, or in the folder for temporary files. Raises `EngineFault` for a size that
    is not known.
    """
    size = source.removeprefix(RANDOM)
    if size not in random.TALKERS:
        raise EngineFault(f"{source!r} is none of {', '.join(RANDOM + s for s in random.TALKERS)}")
    root = cache_dir or Path(tempfile.gettempdir())
    folder = root / f"random-{size}-{VERSION}"
    if not folder.is_dir():
        log.warning("writing random weights to %s: %r makes noise, for load tests", folder, source)
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".random-") as scratch:
            _write_checkpoint(made := Path(scratch, "checkpoint"), size)
            made.rename(folder)  # whole or not at all
    return folder


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """Names and shapes of the tensors of both weight files."""

    talker: dict[str, tuple[int, ...]]
    codec: dict[str, tuple[int, ...]]


def layout(size: str) -> TensorLayout:
    """Return the tensors of a checkpoint of `size`."""
    with torch.device("meta"):
        talker = Talker(_shape(size))
    codec = random.RandomTensors(torch.device("meta"))
    build(lambda: CodecDecoder(_codec(size)), codec, "decoder.")
    shapes = {tensor.name: tensor.shape for tensor in released(talker, "talker.")}
    return TensorLayout(shapes, codec.shapes)


def _write_checkpoint(folder: Path, size: str) -> None:
    """Write all files of a checkpoint that has its own voices."""
    (folder / CODEC).mkdir(parents=True)
    _write_tokenizer(folder)
    _write_json(folder / "config.json", _config(_shape(size)))
    _write_json(folder / "generation_config.json", {"max_new_tokens": 8192})
    codec = {"model_type": MODEL_TYPE, "decoder_config": asdict(_codec(size))}
    _write_json(folder / CODEC / "config.json", codec)
    tensors = layout(size)
    _write_tensors(folder / SINGLE, tensors.talker)
    _write_tensors(folder / CODEC / SINGLE, tensors.codec)


def _shape(size: str) -> Config:
    tiny, vocabulary = size == "tiny", len(_vocabulary()[0])
    return replace(
        random.released_config(size),
        text_vocab_size=vocabulary + len(MARKERS) if tiny else TEXT_VOCABULARY,
        text_hidden_size=32 if tiny else 2048,
        text_ids=TextIds(*range(vocabulary + 1, vocabulary + len(MARKERS))),
    )


def _codec(size: str) -> DecoderConfig:
    return random.TINY_CODEC if size == "tiny" else random.CODEC


def _config(config: Config) -> dict[str, object]:
    """Return `config.json`."""
    talker = _stack(config.talker, config.codec_vocab_size, config.codebooks) | {
        "text_hidden_size": config.text_hidden_size,
        "text_vocab_size": config.text_vocab_size,
        "max_position_embeddings": config.max_positions,
        "codec_language_id": {"english": 2050, "german": 2053, "french": 2061, "chinese": 2055},
        "spk_id": {VOICE: 3061},
        **dict(zip(CODEC_IDS, asdict(config.codec_ids).values(), strict=True)),
        "code_predictor_config": _stack(config.predictor, config.code_vocab_size, config.codebooks),
    }
    return {
        "tts_model_type": "custom_voice",
        "tts_model_size": config.size,
        **dict(zip(TEXT_IDS, asdict(config.text_ids).values(), strict=True)),
        "talker_config": talker,
    }


def _stack(stack: StackConfig, vocabulary: int, codebooks: int) -> dict[str, object]:
    """Return the part of `config.json` that describes one stack of layers."""
    return {
        "hidden_size": stack.hidden_size,
        "intermediate_size": stack.intermediate_size,
        "num_hidden_layers": stack.layers,
        "num_attention_heads": stack.heads,
        "num_key_value_heads": stack.kv_heads,
        "head_dim": stack.head_dim,
        "rope_theta": stack.rope_theta,
        "rms_norm_eps": stack.norm_eps,
        "vocab_size": vocabulary,
        "num_code_groups": codebooks,
    }


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    """Return tokens with their ids, the bytes and a few words, and the merges that make them."""
    merges = {
        word[:end]: f"{word[: end - 1]} {word[end - 1]}"
        for word in WORDS
        for end in range(2, len(word) + 1)
    }
    tokens = dict.fromkeys((*sorted(ByteLevel.alphabet()), *merges))
    return {token: number for number, token in enumerate(tokens)}, list(merges.values())


def _write_tokenizer(folder: Path) -> None:
    vocabulary, merges = _vocabulary()
    _write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("\n".join(("#version: 0.2", *merges, "")), encoding="utf-8")
    markers = {
        len(vocabulary) + number: {"content": name, "special": True}
        for number, name in enumerate(MARKERS)
    }
    _write_json(folder / "tokenizer_config.json", {"added_tokens_decoder": markers})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _write_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write bfloat16 noise in the format of safetensors, one tensor after the other."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    noise = torch.randn(BLOCK + SHIFT * len(shapes), generator=torch.Generator().manual_seed(0))
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, (name, shape) in enumerate(shapes.items()):
            mean, spread = random.statistics(name, shape)
            left = math.prod(shape)
            while left:
                block = noise[SHIFT * number :][: min(left, BLOCK)]
                left -= len(block)
                block = block.mul(spread).add_(mean).to(torch.bfloat16)
                file.write(block.view(torch.uint8).numpy().data)
