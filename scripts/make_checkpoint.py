"""Make small random Qwen3-TTS checkpoints in the released layout.

They have a config, a tokenizer and the language model's weights.

    python scripts/make_checkpoint.py --task custom_voice --out FOLDER      (tiny, a few MB)
    python scripts/make_checkpoint.py --task base --size 1.7b --out FOLDER  (released, gigabytes)

The real loader and the real loop run on them, so that tests need no download. Names and shapes are
repeated here on purpose: they come from the released files, not from the modules under test.
Weights are seeded noise, scaled to keep activations near 1. The codec's folder,
`speech_tokenizer/`, is not made here.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel

LANGUAGES = {
    "chinese": 2055, "english": 2050, "german": 2053, "italian": 2070, "portuguese": 2071,
    "spanish": 2054, "japanese": 2058, "korean": 2064, "french": 2061, "russian": 2069,
    "beijing_dialect": 2074, "sichuan_dialect": 2062,
}  # fmt: skip
SPEAKERS = {
    "serena": 3066, "vivian": 3065, "uncle_fu": 3010, "ryan": 3061, "aiden": 2861, "ono_anna": 2873,
    "sohee": 2864, "eric": 2875, "dylan": 2878,
}  # fmt: skip
DIALECTS = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}
CODEC_IDS = {
    "codec_pad_id": 2148, "codec_bos_id": 2149, "codec_eos_token_id": 2150, "codec_think_id": 2154,
    "codec_nothink_id": 2155, "codec_think_bos_id": 2156, "codec_think_eos_id": 2157,
}  # fmt: skip
MARKERS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>",
)  # fmt: skip
WORDS = (
    "assistant",
    "user",
    "Ġthe",
    "Ġand",
    "ing",
    "er",
)  # what the small tokenizer joins; Ġ is a space
GENERATION = {
    "do_sample": True, "repetition_penalty": 1.05, "temperature": 0.9, "top_p": 1.0, "top_k": 50,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_p": 1.0,
    "subtalker_top_k": 50, "max_new_tokens": 8192,
}  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """The shape of one decoder."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class Shape:
    """The shape of the language model. `codec_vocab` and `codes` are the released ones by default.

    The text table has `text_vocab` rows, or as many as the small tokenizer needs if that is more.
    """

    talker: Stack
    predictor: Stack
    text_hidden: int
    codebooks: int = 16
    codec_vocab: int = 3072
    codes: int = 2048
    size: str = "0b6"
    text_vocab: int = 0


TINY = Shape(Stack(64, 128, 2, 4, 2, 16), Stack(48, 96, 2, 4, 2, 16), text_hidden=48)
RELEASED_PREDICTOR = Stack(1024, 3072, 5, 16, 8, 128)
RELEASED_TEXT = {"text_hidden": 2048, "text_vocab": 151936}
SHAPES = {
    "tiny": TINY,
    "tiny-1.7b": replace(TINY, size="1b7"),  # follows instructions
    "0.6b": Shape(Stack(1024, 3072, 28, 16, 8, 128), RELEASED_PREDICTOR, **RELEASED_TEXT),
    "1.7b": Shape(
        Stack(2048, 6144, 28, 16, 8, 128), RELEASED_PREDICTOR, **RELEASED_TEXT, size="1b7"
    ),
}


def make_checkpoint(
    folder: Path, task: str, shape: Shape = TINY, *, seed: int = 0, shards: int = 1
) -> Path:
    """Write a checkpoint of `task` with `shards` weight files into `folder`. Return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    markers, text_vocab = write_tokenizer(folder)
    text_vocab = max(text_vocab, shape.text_vocab)
    write_json(folder / "config.json", config(task, shape, markers, text_vocab))
    write_json(folder / "generation_config.json", GENERATION)
    tensors = dict(random_tensors(shape, text_vocab, seed))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    where: dict[str, str] = {}
    for number in range(shards):
        part = dict(list(tensors.items())[number::shards])
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        save_file(part, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(part, name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": where})
    return folder


def config(task: str, shape: Shape, markers: dict[str, int], text_vocab: int) -> dict[str, Any]:
    """Return `config.json` as released checkpoints have it."""
    half = shape.talker.head_dim // 2
    speakers = SPEAKERS if task == "custom_voice" else {}
    third = half // 3
    talker = stack_config(shape.talker, shape.codec_vocab, shape.codebooks) | CODEC_IDS
    talker |= {
        "text_hidden_size": shape.text_hidden,
        "text_vocab_size": text_vocab,
        "position_id_per_seconds": 13,
        "rope_scaling": {
            "interleaved": True,
            "mrope_section": [half - 2 * third, third, third],
            "type": "default",
        },
        "codec_language_id": LANGUAGES,
        "spk_id": speakers,
        "spk_is_dialect": {name: DIALECTS.get(name, False) for name in speakers},
        "code_predictor_config": stack_config(shape.predictor, shape.codes, shape.codebooks),
    }
    return {
        "architectures": ["Qwen3TTSForConditionalGeneration"],
        "model_type": "qwen3_tts",
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        "tts_model_size": shape.size,
        "tts_model_type": task,
        "im_start_token_id": markers["<|im_start|>"],
        "im_end_token_id": markers["<|im_end|>"],
        "tts_pad_token_id": markers["<tts_pad>"],
        "tts_bos_token_id": markers["<tts_text_bos>"],
        "tts_eos_token_id": markers["<tts_text_eod>"],
        "speaker_encoder_config": {"enc_dim": shape.talker.hidden, "sample_rate": 24000},
        "talker_config": talker,
    }


def stack_config(stack: Stack, vocab: int, codebooks: int) -> dict[str, Any]:
    """Return the part of `config.json` that describes one decoder."""
    return {
        "vocab_size": vocab, "hidden_size": stack.hidden, "intermediate_size": stack.intermediate,
        "num_hidden_layers": stack.layers, "num_attention_heads": stack.heads,
        "num_key_value_heads": stack.kv_heads, "head_dim": stack.head_dim, "hidden_act": "silu",
        "attention_bias": False, "use_sliding_window": False, "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000, "num_code_groups": codebooks,
    }  # fmt: skip


def write_tokenizer(folder: Path) -> tuple[dict[str, int], int]:
    """Write a byte-level BPE with a few words.

    Return the ids of the markers and the size of the vocabulary.
    """
    vocab = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    merges = []
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocab:
                merges.append(f"{word[: end - 1]} {word[end - 1]}")
                vocab[word[:end]] = len(vocab)
    markers = {text: len(vocab) + index for index, text in enumerate(MARKERS)}
    flags = {
        "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
        "special": True,
    }  # fmt: skip
    write_json(folder / "vocab.json", vocab)
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8"
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "added_tokens_decoder": {
                str(number): {"content": text, **flags} for text, number in markers.items()
            },
            "tokenizer_class": "Qwen2Tokenizer",
            "processor_class": "Qwen3TTSProcessor",
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "model_max_length": 131072,
        },
    )
    return markers, len(vocab) + len(markers) + 3  # a few unused rows, as in the released table


def random_tensors(shape: Shape, text_vocab: int, seed: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the language model's tensors by their released names, in bfloat16."""
    generator = torch.Generator().manual_seed(seed)
    for name, size in tensor_shapes(shape, text_vocab):
        # Whole numbers scaled to variance 1, not `randn`: the same on every processor, as reference
        # tensors need.
        noise = torch.randint(-4096, 4097, size, generator=generator) * (math.sqrt(3) / 4096)
        if name.endswith("norm.weight"):
            tensor = 1 + 0.1 * noise
        elif name.endswith("bias"):
            tensor = 0.05 * noise
        elif "embedding" in name:
            tensor = 0.5 * noise
        else:
            tensor = noise / math.sqrt(size[-1])
        yield name, tensor.to(torch.bfloat16)


def tensor_shapes(shape: Shape, text_vocab: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Return the name and shape of every tensor of the language model."""
    hidden, inner, text = shape.talker.hidden, shape.predictor.hidden, shape.text_hidden
    yield "talker.model.text_embedding.weight", (text_vocab, text)
    yield "talker.model.codec_embedding.weight", (shape.codec_vocab, hidden)
    yield from stack_shapes("talker.model", shape.talker)
    for name, rows in (("linear_fc1", text), ("linear_fc2", hidden)):
        yield f"talker.text_projection.{name}.weight", (rows, text)
        yield f"talker.text_projection.{name}.bias", (rows,)
    yield "talker.codec_head.weight", (shape.codec_vocab, hidden)
    yield from stack_shapes("talker.code_predictor.model", shape.predictor)
    for index in range(shape.codebooks - 1):
        yield f"talker.code_predictor.model.codec_embedding.{index}.weight", (shape.codes, hidden)
        yield f"talker.code_predictor.lm_head.{index}.weight", (shape.codes, inner)
    if hidden != inner:
        yield "talker.code_predictor.small_to_mtp_projection.weight", (inner, hidden)
        yield "talker.code_predictor.small_to_mtp_projection.bias", (inner,)


def stack_shapes(prefix: str, stack: Stack) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Return the name and shape of every tensor of one decoder's layers."""
    queries, keys = stack.heads * stack.head_dim, stack.kv_heads * stack.head_dim
    sizes = {
        "input_layernorm": (stack.hidden,),
        "self_attn.q_proj": (queries, stack.hidden),
        "self_attn.k_proj": (keys, stack.hidden),
        "self_attn.v_proj": (keys, stack.hidden),
        "self_attn.o_proj": (stack.hidden, queries),
        "self_attn.q_norm": (stack.head_dim,),
        "self_attn.k_norm": (stack.head_dim,),
        "post_attention_layernorm": (stack.hidden,),
        "mlp.gate_proj": (stack.intermediate, stack.hidden),
        "mlp.up_proj": (stack.intermediate, stack.hidden),
        "mlp.down_proj": (stack.hidden, stack.intermediate),
    }
    for layer in range(stack.layers):
        for name, size in sizes.items():
            yield f"{prefix}.layers.{layer}.{name}.weight", size
    yield f"{prefix}.norm.weight", (stack.hidden,)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--task", default="custom_voice", choices=["custom_voice", "voice_design", "base"]
    )
    parser.add_argument("--size", default="tiny", choices=list(SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    make_checkpoint(wanted.out, wanted.task, SHAPES[wanted.size], seed=wanted.seed)


if __name__ == "__main__":
    main()
