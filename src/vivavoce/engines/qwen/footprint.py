"""What a checkpoint takes in memory once it is loaded, from its configuration and the headers of its weight files.

    weights   elements of the tensors `talker.*` × bytes of the dtype
            + elements of the codec's tensors `decoder.*` × 4, float32 always
    slots     slots × bytes of the dtype × (talker layers × 2 × kv heads × (positions + 1) × head dim
                                            + predictor layers × 2 × kv heads × codebooks × head dim
                                            + positions × talker hidden)

In the order of the slots: keys and values of the past, those of one frame, the text that is read while speaking. It
counts the memory of the device and the main memory together. It does not count what a step needs while it runs, the
codec's memory of each stream (about 5 MB at the released shape, on CUDA twice), beginnings of prompts that are kept
(`frame.PREFIX_BYTES` at most), CUDA graphs and torch itself. It loads nothing.
"""

import math
from pathlib import Path

from vivavoce.engines.qwen.config import Config
from vivavoce.engines.qwen.weights import tensor_shapes

CODEC = "speech_tokenizer"  # the codec's folder in a checkpoint
CODEC_ITEM_BYTES = 4
PROMPT_POSITIONS = 512  # of a slot are for the prompt: a segment takes 300 at most, the rest is for `instruct`
MAX_FRAMES = 1024  # of one segment


def footprint(folder: Path, config: Config, *, item_bytes: int, slots: int, max_frames: int = MAX_FRAMES) -> int:
    """The bytes that the checkpoint in `folder` takes with `slots` streams, in a dtype of `item_bytes` each number.

    Raises `MissingDependency` for absent weight files, `EngineFault` for damaged ones.
    """
    language = _elements(folder, "talker.")
    codec = _elements(folder / CODEC, "decoder.")
    slot = _slot_elements(config, slot_positions(config, max_frames))
    return (language + slots * slot) * item_bytes + codec * CODEC_ITEM_BYTES


def slot_positions(config: Config, max_frames: int) -> int:
    """Positions of prompt and frames that a slot has room for."""
    return min(PROMPT_POSITIONS + min(max_frames, config.generation.max_frames), config.max_positions)


def _elements(folder: Path, prefix: str) -> int:
    shapes = tensor_shapes(folder)
    return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix) and not _is_left(name))


def _is_left(name: str) -> bool:
    """Whether a tensor stays in the file: a codebook is the quotient of two, and is looked up in, not searched."""
    return name.endswith("cluster_usage") or (name.startswith("decoder.quantizer.") and ".input_proj." in name)


def _slot_elements(config: Config, positions: int) -> int:
    talker, predictor = config.talker, config.predictor
    past = talker.layers * 2 * talker.kv_heads * talker.head_dim * (positions + 1)
    frame = predictor.layers * 2 * predictor.kv_heads * predictor.head_dim * config.codebooks
    return past + frame + positions * talker.hidden_size
