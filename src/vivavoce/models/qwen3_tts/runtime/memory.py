"""What a checkpoint takes in memory once it is loaded, from its configuration and the headers of
its weight files.

    weights   elements of the matrices of `talker.*` × bytes of one as it is kept
            + elements of its other tensors × bytes of the dtype, norms of queries and keys once for each head
            + elements of the codec's tensors `decoder.*` × 4, float32 always
           + of a Base checkpoint also its two encoders, which prepare recordings: × 4 likewise
    slots     slots × bytes of the dtype × (talker layers × 2 × kv heads × (positions + 1) × head dim
                                            + predictor layers × 2 × kv heads × (codebooks + 1) × head dim
                                            + positions × talker hidden)

In the order of the slots: keys and values of the past, those of one frame, the text that is read
while speaking. It counts the memory of the device and the main memory together. It does not count
what a step needs while it runs, the codec's memory of each stream (about 5 MB at the released
shape, on CUDA twice), beginnings of prompts that are kept (`frame.PREFIX_BYTES` at most), CUDA
graphs and torch itself. It loads nothing.
"""

import math
import re
from pathlib import Path
from typing import Literal

import torch

from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.checkpoint.weights import tensor_shapes
from vivavoce.models.qwen3_tts.prompt.cloning import MAX_REFERENCE_S
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S

CODEC = "speech_tokenizer"  # the codec's folder in a checkpoint
CODEC_ITEM_BYTES = 4
PROMPT_POSITIONS = (
    512  # of a slot are for the prompt: a segment takes 300 at most, the rest is for `instruct`
)
MAX_FRAMES = 1024  # of one segment
MAX_REFERENCE_TOKENS = 256  # of the words of a recording: 30 s of quick speech are some 150
SLOTS = 8  # streams at once where memory is not counted
MAX_SLOTS = 64
CODEC_SLOT_BYTES = (
    16 << 20
)  # of a stream at the released shape, with the copy that is put back if a step fails
RESERVED_BYTES = 3 << 29  # 1.6 GB of the device for CUDA, torch, graphs and a step's own tensors
POSITIONS = (
    64  # a slot is a whole number of these: attention is slow on lengths that are none of a few
)
# A Base checkpoint reads the recording too, a position a frame, and its words.
REFERENCE_POSITIONS = round(MAX_REFERENCE_S / FRAME_S) + MAX_REFERENCE_TOKENS


def footprint(
    folder: Path,
    config: Config,
    *,
    item_bytes: int,
    slots: int,
    max_frames: int = MAX_FRAMES,
    matrix_bytes: int | None = None,
) -> int:
    """Return the bytes that the checkpoint in `folder` takes with `slots` streams, in a dtype of
    `item_bytes` each number.

    A number of a matrix takes `matrix_bytes` where they are kept in another form (see `linear`).
    Raises `MissingDependency` for absent weight files, `EngineFault` for damaged ones.
    """
    matrices, others = _language_elements(folder, config)
    codec = _elements(folder / CODEC, "decoder.")
    if config.task == "base":
        codec += _elements(folder, "speaker_encoder.") + _encoder_elements(
            folder / CODEC, config.codebooks
        )
    slot = _slot_elements(config, slot_positions(config, max_frames))
    matrix_bytes = item_bytes if matrix_bytes is None else matrix_bytes
    return matrices * matrix_bytes + (others + slots * slot) * item_bytes + codec * CODEC_ITEM_BYTES


def slot_positions(config: Config, max_frames: int) -> int:
    """Positions of prompt and frames that a slot has room for."""
    needed = prompt_positions(config) + min(max_frames, config.generation.max_frames)
    return min(-(-needed // POSITIONS) * POSITIONS, config.max_positions)


def choose_slots(
    wanted: int | Literal["auto"],
    folder: Path,
    config: Config,
    device: torch.device,
    *,
    item_bytes: int,
    matrix_bytes: int,
    max_frames: int = MAX_FRAMES,
) -> int:
    """Return the streams at once that were `wanted`; "auto" is what fits into the free memory of a
    CUDA `device`.

    Elsewhere it is `SLOTS`: memory there is shared with other programs, and more streams are not
    faster.
    """
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return SLOTS
    free, _ = torch.cuda.mem_get_info(device)
    empty, one = (
        footprint(
            folder,
            config,
            item_bytes=item_bytes,
            matrix_bytes=matrix_bytes,
            slots=slots,
            max_frames=max_frames,
        )
        for slots in (0, 1)
    )
    return fitting_slots(free, empty, one - empty)


def fitting_slots(free_bytes: int, empty_bytes: int, slot_bytes: int) -> int:
    """How many slots fit beside a model that takes `empty_bytes` without any: 1 to `MAX_SLOTS`."""
    left = free_bytes - empty_bytes - RESERVED_BYTES
    return max(1, min(MAX_SLOTS, left // (slot_bytes + CODEC_SLOT_BYTES)))


def prompt_positions(config: Config) -> int:
    """Positions of a slot that are for the prompt."""
    return PROMPT_POSITIONS + (REFERENCE_POSITIONS if config.task == "base" else 0)


def _language_elements(folder: Path, config: Config) -> tuple[int, int]:
    """Of `talker.*`, elements of the matrices, and of embeddings, norms and biases."""
    matrices = others = 0
    for name, shape in tensor_shapes(folder).items():
        if not name.startswith("talker."):
            continue
        if name.endswith(".bias") or "embedding" in name or "norm" in name:
            others += math.prod(shape) * _repeats(name, config)
        else:
            matrices += math.prod(shape)
    return matrices, others


def _repeats(name: str, config: Config) -> int:
    """How often a tensor is kept: the norms of queries and of keys stand beside each other, once for each head."""
    decoder = config.predictor if name.startswith("talker.code_predictor.") else config.talker
    return {"q_norm": decoder.heads, "k_norm": decoder.kv_heads}.get(name.split(".")[-2], 1)


def _elements(folder: Path, prefix: str) -> int:
    return sum(
        math.prod(shape)
        for name, shape in tensor_shapes(folder).items()
        if name.startswith(prefix) and not _is_left(name)
    )


def _encoder_elements(folder: Path, codebooks: int) -> int:
    """Return the codec encoder's; of its codebooks only as many are used as the checkpoint speaks in, the first apart."""
    return sum(
        math.prod(shape)
        for name, shape in tensor_shapes(folder).items()
        if name.startswith("encoder.") and not _is_left(name) and _book(name) < codebooks - 1
    )


def _book(name: str) -> int:
    """Which of the second group's codebooks a tensor belongs to; -1: none of them."""
    found = re.match(r"encoder\.quantizer\.acoustic_\w+\.layers\.(\d+)\.", name)
    return int(found[1]) if found else -1


def _is_left(name: str) -> bool:
    """True if a tensor stays in the file: a codebook is the quotient of two, and is looked up in, not searched."""
    return (
        name.endswith(("cluster_usage", "initialized"))
        or (name.startswith("decoder.quantizer.") and ".input_proj." in name)
        or (name.startswith("encoder.quantizer.") and ".output_proj." in name)
    )


def _slot_elements(config: Config, positions: int) -> int:
    talker, predictor = config.talker, config.predictor
    past = talker.layers * 2 * talker.kv_heads * talker.head_dim * (positions + 1)
    frame = predictor.layers * 2 * predictor.kv_heads * predictor.head_dim * (config.codebooks + 1)
    return past + frame + positions * talker.hidden_size
