"""Draw codes by compiled code. Signatures are those of `kernels`, which documents each function."""

from ctypes import c_int64, c_void_p
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.native import build

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.network.sampler import Sampler, SamplingTensors


def used_for(logits: Tensor) -> bool:
    """True if compiled code draws from `logits`."""
    cpu = logits.device.type == "cpu" and logits.dtype is torch.float32
    return cpu and build.compiled() is not None


def first_codes(logits: Tensor, sampler: "Sampler", frame: Tensor) -> Tensor:
    return _picked(sampler.first_scores(logits, frame), sampler.talker, sampler.seed, frame, 0)


def later_codes(
    logits: Tensor, sampler: "Sampler", frame: Tensor, codebook: int, noise: Tensor | None
) -> Tensor:
    return _picked(logits, sampler.predictor, sampler.seed, frame, codebook)


def _picked(
    scores: Tensor, settings: "SamplingTensors", seed: Tensor, frame: Tensor, codebook: int
) -> Tensor:
    if not settings.draws:
        return scores.argmax(-1)
    scores, (rows, size) = scores.contiguous(), scores.shape
    made, own = torch.empty(rows, dtype=torch.int64), torch.empty(2 * size)
    limits = (settings.temperature, settings.top_k, settings.top_p, settings.greedy)
    code = build.compiled()
    assert code is not None, "see used_for"
    code.pick(
        c_void_p(scores.data_ptr()),
        c_int64(rows),
        c_int64(size),
        *(c_void_p(tensor.data_ptr()) for tensor in (*limits, seed, frame)),
        c_int64(codebook),
        c_void_p(own.data_ptr()),
        c_void_p(made.data_ptr()),
    )
    return made
