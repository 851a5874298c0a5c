"""Normalise rows (RMSNorm) with a Triton kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.launch import launch, power


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    rows, out = x.reshape(-1, x.shape[-1]), torch.empty(x.shape, device=x.device, dtype=x.dtype)
    size = rows.shape[1]
    launch(
        _norm,
        (len(rows),),
        rows,
        rows.stride(0),
        weight,
        out,
        size,
        eps,
        BLOCK=power(size),
        num_warps=4,
    )
    return out


@triton.jit
def _norm(x_ptr, x_stride, weight_ptr, out_ptr, size, eps, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < size
    x = tl.load(x_ptr + row * x_stride + at, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + at, mask=inside, other=0.0).to(tl.float32)
    scaled = x * tl.rsqrt(tl.sum(x * x) / size + eps) * weight
    tl.store(out_ptr + row * size + at, scaled, mask=inside)
