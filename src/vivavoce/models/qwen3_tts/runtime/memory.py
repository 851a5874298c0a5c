"""Estimate the memory of a loaded checkpoint from its configuration and weight file headers.

    weights  elements of the matrices of `talker.*` × bytes of one as it is kept
           + elements of its other tensors × bytes of the dtype
             (norms of queries and keys once for each head)
           + elements of the codec's tensors `decoder.*` × 4, float32 always
           + of a Base checkpoint also its two encoders, which prepare recordings: × 4 likewise
    slots    slots × bytes of the dtype
             × (talker layers × 2 × kv heads × (positions + 1) × head dim      keys, values: past
              + predictor layers × 2 × kv heads × (codebooks + 1) × head dim   keys, values: frame
              + positions × talker hidden)                                     text during speech

It counts the memory of the device and the main memory together, and loads nothing. Not counted are:

- the temporary tensors of a step,
- the codec's memory of each stream (about 5 MB at the released shape, on CUDA twice),
- cached prompt prefixes (`batch.PREFIX_BYTES` at most),
- CUDA graphs and torch itself.
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
# Of a slot, for the prompt. A segment takes 300 at most, the rest is for `instruct`.
PROMPT_POSITIONS = 512
MAX_FRAMES = 1024  # of one segment
MAX_REFERENCE_TOKENS = 256  # of a recording's text: 30 s of quick speech have about 150
SLOTS = 8  # concurrent streams where memory is not counted
MAX_SLOTS = 64
# Of a stream at the released shape, with the copy that is restored if a step fails.
CODEC_SLOT_BYTES = 16 << 20
RESERVED_BYTES = 3 << 29  # 1.6 GB of the device for CUDA, torch, graphs and a step's own tensors
POSITIONS = 64  # a slot is a whole number of these, since attention is fast on few lengths only
# A Base checkpoint also reads the recording, a position a frame, and its text.
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
    """Return the bytes that the checkpoint in `folder` takes with `slots` streams.

    A number takes `item_bytes`. One of a matrix takes `matrix_bytes` if matrices are kept in
    another form (see `linear`). Raises `MissingDependency` for absent weight files, `EngineFault`
    for damaged ones.
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
    """Return the positions of a slot, for prompt and frames."""
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
    """Return the number of concurrent streams for the setting `wanted`.

    "auto" is what fits into the free memory of a CUDA `device`. Elsewhere it is `SLOTS`: memory
    there is shared with other programs, and more streams are not faster.
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
    """Return the slots, 1 to `MAX_SLOTS`, that fit into `free_bytes`.

    The model takes `empty_bytes` without any slot.
    """
    left = free_bytes - empty_bytes - RESERVED_BYTES
    return max(1, min(MAX_SLOTS, left // (slot_bytes + CODEC_SLOT_BYTES)))


def prompt_positions(config: Config) -> int:
    """Return the positions of a slot that are for the prompt."""
    return PROMPT_POSITIONS + (REFERENCE_POSITIONS if config.task == "base" else 0)


def _language_elements(folder: Path, config: Config) -> tuple[int, int]:
    """Return the elements of the matrices of `talker.*`, and of its other tensors.

    The others are embeddings, norms and biases.
    """
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
    """Return the number of copies of a tensor.

    The norms of queries and of keys are stored once for each head.
    """
    decoder = config.predictor if name.startswith("talker.code_predictor.") else config.talker
    return {"q_norm": decoder.heads, "k_norm": decoder.kv_heads}.get(name.split(".")[-2], 1)


def _elements(folder: Path, prefix: str) -> int:
    return sum(
        math.prod(shape)
        for name, shape in tensor_shapes(folder).items()
        if name.startswith(prefix) and not _is_left(name)
    )


def _encoder_elements(folder: Path, codebooks: int) -> int:
    """Return the elements of the codec's encoder, with the codebooks that it uses.

    It uses as many as the checkpoint has, the first of which is in another group.
    """
    return sum(
        math.prod(shape)
        for name, shape in tensor_shapes(folder).items()
        if name.startswith("encoder.") and not _is_left(name) and _book(name) < codebooks - 1
    )


def _book(name: str) -> int:
    """Return the codebook of the second group that a tensor belongs to, -1 for none."""
    found = re.match(r"encoder\.quantizer\.acoustic_\w+\.layers\.(\d+)\.", name)
    return int(found[1]) if found else -1


def _is_left(name: str) -> bool:
    """True if a tensor is not loaded.

    Codebooks are loaded as quotients of two tensors, and the decoder only looks them up.
    """
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
