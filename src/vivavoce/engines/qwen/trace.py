"""Every number on the way from a request to its codes, for comparing this engine with another implementation.

It makes one stream alone in float32 on the CPU, and knows no audio: a clone's x-vector and codes come ready-made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.engines.qwen.checkpoint import Checkpoint, load_checkpoint
from vivavoce.engines.qwen.prompt import PromptRequest
from vivavoce.engines.qwen.sampler import Sampling


@dataclass(frozen=True, slots=True, eq=False)
class TraceRequest:
    """What to trace. At most `max_frames` frames are made, fewer if the end of speech comes first."""

    prompt: PromptRequest
    sampling: Sampling = field(default_factory=Sampling)
    max_frames: int = 64


def trace(checkpoint: Path | Checkpoint, request: TraceRequest) -> Mapping[str, Tensor]:
    """`prompt` [positions, hidden], `trailing` [tokens, hidden], `codes` [frames, codebooks] and `logits`.

    The logits [frames, vocabulary] are the talker's own, before penalties; the frame that ends the speech is left out.
    """
    if isinstance(checkpoint, Path):
        checkpoint = load_checkpoint(checkpoint, torch.device("cpu"), torch.float32)
    prompt, trailing = checkpoint.prompt(request.prompt)
    length = max(len(prompt) + request.max_frames, len(trailing) + 1)
    batch = checkpoint.batch(1, length)
    batch.open(prompt, trailing, request.sampling)
    codes: list[Tensor] = []
    logits: list[Tensor] = []
    while len(codes) < request.max_frames and batch.room(0):
        frame = batch.step()
        if frame.codes[0, 0] == checkpoint.config.codec_ids.eos:
            break
        codes.append(frame.codes[0])
        logits.append(frame.logits[0])
    return {
        "prompt": prompt,
        "trailing": trailing,
        "codes": torch.stack(codes) if codes else torch.zeros(0, checkpoint.config.codebooks, dtype=torch.int64),
        "logits": torch.stack(logits) if logits else torch.zeros(0, checkpoint.config.codec_vocab_size),
    }
