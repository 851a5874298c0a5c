"""Multiply few rows with one Triton kernel, with norm, gate and residual folded in.

- A program makes a tile of outputs for up to `MAX_TILE` rows, so weights are read once.
- Sums are float32.
- The norm's root is a factor of a whole row, so it is applied to the sums. A program squares the
  inputs that it reads for the product anyway.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.launch import launch, power

MIN_TILE, MAX_TILE = 16, 64  # rows of a tile; tensor cores multiply 16 at least
DEPTH = 128  # inputs of a tile, the same for any number of rows, and so the order of sums


def product(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    norm: Tensor | None = None,
    eps: float = 0.0,
    residual: Tensor | None = None,
    gated: bool = False,
) -> Tensor:
    assert not (gated and bias is not None), "no gated product of this model has a bias"
    inputs, outputs = weight.shape[1], weight.shape[0] // (2 if gated else 1)
    rows = x.reshape(-1, inputs)
    added = None if residual is None else residual.reshape(-1, outputs)
    out = torch.empty(*x.shape[:-1], outputs, device=x.device, dtype=x.dtype)
    tile = min(max(power(len(rows)), MIN_TILE), MAX_TILE)
    width = _width(outputs, gated)
    launch(
        _product,
        (triton.cdiv(outputs, width), triton.cdiv(len(rows), tile)),
        rows,
        rows.stride(0),
        weight,
        weight if scale is None else scale,
        weight if bias is None else bias,
        weight if norm is None else norm,
        rows if added is None else added,
        0 if added is None else added.stride(0),
        out,
        len(rows),
        outputs,
        inputs,
        eps,
        SCALED=scale is not None,
        BIASED=bias is not None,
        NORMED=norm is not None,
        ADDED=added is not None,
        GATED=gated,
        WIDENED=x.device.type == "cpu",  # Triton's interpreter multiplies no bfloat16
        ROWS=tile,
        WIDTH=width,
        DEPTH=DEPTH if x.dtype is torch.bfloat16 else DEPTH // 2,
        num_warps=4,
        num_stages=5 if tile == MIN_TILE else 3,
    )
    return out


def _width(outputs: int, gated: bool) -> int:
    """Return the outputs of a tile.

    Few outputs have small tiles, so that all processors of a GPU read weights.
    """
    return 16 if gated or outputs <= 2048 else 32


@triton.jit
def _product(
    x_ptr,
    x_stride,
    weight_ptr,
    scale_ptr,
    bias_ptr,
    norm_ptr,
    added_ptr,
    added_stride,
    out_ptr,
    rows,
    outputs,
    inputs,
    eps,
    SCALED: tl.constexpr,
    BIASED: tl.constexpr,
    NORMED: tl.constexpr,
    ADDED: tl.constexpr,
    GATED: tl.constexpr,
    WIDENED: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
):
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    real_row, real_column = row < rows, column < outputs
    sums = tl.zeros([ROWS, WIDTH], dtype=tl.float32)
    ups = tl.zeros([ROWS, WIDTH], dtype=tl.float32)
    squares = tl.zeros([ROWS], dtype=tl.float32)
    kind: tl.constexpr = tl.float32 if WIDENED else x_ptr.dtype.element_ty
    for start in range(0, inputs, DEPTH):
        at = start + tl.arange(0, DEPTH)
        real = at < inputs
        x = tl.load(
            x_ptr + row[:, None] * x_stride + at[None, :],
            mask=real_row[:, None] & real[None, :],
            other=0.0,
        )
        if NORMED:
            wide = x.to(tl.float32)
            squares += tl.sum(wide * wide, axis=1)
            x = (wide * tl.load(norm_ptr + at, mask=real, other=0.0).to(tl.float32)[None, :]).to(
                x.dtype
            )
        place, mask = column[:, None] * inputs + at[None, :], real_column[:, None] & real[None, :]
        weight = tl.load(weight_ptr + place, mask=mask, other=0.0).to(kind)
        sums = tl.dot(x.to(kind), tl.trans(weight), sums, input_precision="ieee")
        if GATED:
            weight = tl.load(weight_ptr + outputs * inputs + place, mask=mask, other=0.0).to(kind)
            ups = tl.dot(x.to(kind), tl.trans(weight), ups, input_precision="ieee")
    if NORMED:
        root = tl.rsqrt(squares / inputs + eps)[:, None]
        sums, ups = sums * root, ups * root
    if SCALED:
        sums *= tl.load(scale_ptr + column, mask=real_column, other=0.0)[None, :]
    if BIASED:
        sums += tl.load(bias_ptr + column, mask=real_column, other=0.0).to(tl.float32)[None, :]
    if GATED:
        if SCALED:
            ups *= tl.load(scale_ptr + outputs + column, mask=real_column, other=0.0)[None, :]
        sums = sums / (1 + tl.exp(-sums)) * ups
    mask = real_row[:, None] & real_column[None, :]
    if ADDED:
        sums += tl.load(
            added_ptr + row[:, None] * added_stride + column[None, :], mask=mask, other=0.0
        ).to(tl.float32)
    tl.store(out_ptr + row[:, None] * outputs + column[None, :], sums, mask=mask)
