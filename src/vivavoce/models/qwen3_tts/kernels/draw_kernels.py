"""Draw codes with one Triton kernel, a program for each row.

- Nothing is sorted. The least score that top-k keeps is found bit by bit, by counting the scores
  above a candidate. That of top-p is found by adding up the shares above.
- Noise is that of `sampler.counter`, so codes equal those of `plain`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.launch import launch, power
from vivavoce.models.qwen3_tts.network.sampler import Sampler, SamplingTensors


def first_codes(logits: Tensor, sampler: Sampler, frame: Tensor) -> Tensor:
    return _drawn(logits, sampler, sampler.talker, frame, 0)


def later_codes(
    logits: Tensor, sampler: Sampler, frame: Tensor, codebook: int, noise: Tensor | None
) -> Tensor:
    return _drawn(logits, sampler, sampler.predictor, frame, codebook)


def _drawn(
    logits: Tensor, sampler: Sampler, settings: SamplingTensors, frame: Tensor, codebook: int
) -> Tensor:
    rows, size = logits.shape
    out = torch.empty(rows, device=logits.device, dtype=torch.int64)
    launch(
        _draw,
        (rows,),
        logits,
        logits.stride(0),
        settings.temperature,
        settings.top_k,
        settings.top_p,
        settings.greedy,
        sampler.seed,
        frame,
        codebook,
        sampler.seen,
        sampler.penalty,
        sampler.suppressed_tokens,
        sampler.min_frames,
        sampler.eos,
        out,
        size,
        FIRST=codebook == 0,
        BLOCK=power(size),
        num_warps=8,
    )
    return out


@triton.jit
def _mix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@triton.jit
def _noise(seed, frame, codebook, BLOCK: tl.constexpr):
    """Return the Gumbel noise of a row's tokens, see `sampler.counter` and `sampler.gumbel`."""
    STRIDE: tl.constexpr = 0x9E3779B97F4A7C15
    key = _mix(_mix(seed.to(tl.uint64) + STRIDE) + frame.to(tl.uint64) * STRIDE)
    key = _mix(key + codebook.to(tl.uint64) * STRIDE)
    bits = _mix(key + tl.arange(0, BLOCK).to(tl.uint64) * STRIDE) >> 41
    uniform = (bits.to(tl.int32).to(tl.float32) + 0.5) * (2.0**-23)
    return -tl.log(-tl.log(uniform))


@triton.jit
def _draw(
    logits_ptr,
    logits_stride,
    temperature_ptr,
    top_k_ptr,
    top_p_ptr,
    greedy_ptr,
    seed_ptr,
    frame_ptr,
    codebook,
    seen_ptr,
    penalty_ptr,
    suppressed_ptr,
    min_frames_ptr,
    eos,
    out_ptr,
    size,
    FIRST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < size
    scores = tl.load(logits_ptr + row * logits_stride + at, mask=inside, other=float("-inf")).to(
        tl.float32
    )
    frame = tl.load(frame_ptr + row)
    if FIRST:
        seen = tl.load(seen_ptr + row * size + at, mask=inside, other=0) != 0
        penalty = tl.load(penalty_ptr + row)
        scores = tl.where(
            seen, tl.where(scores > 0, tl.div_rn(scores, penalty), scores * penalty), scores
        )
        suppressed = tl.load(suppressed_ptr + at, mask=inside, other=0) != 0
        too_soon = frame < tl.load(min_frames_ptr + row)
        scores = tl.where(suppressed | (too_soon & (at == eos)), float("-inf"), scores)
    if tl.load(greedy_ptr + row) == 0:
        scores = tl.div_rn(scores, tl.load(temperature_ptr + row))
        top_k, top_p = tl.load(top_k_ptr + row), tl.load(top_p_ptr + row)
        left = scores
        if (top_k > 0) | (top_p < 1):
            left = _limited(scores, inside, size, top_k, top_p)
        scores = left + _noise(
            tl.load(seed_ptr + row), frame, codebook + tl.zeros([1], tl.int64), BLOCK
        )
    tl.store(out_ptr + row, tl.argmax(scores, axis=0).to(tl.int64))


@triton.jit
def _limited(scores, inside, size, top_k, top_p):
    """Replace the scores that top-k, then top-p, leave out by -inf. Ties stay together."""
    bits = scores.to(tl.int32, bitcast=True)
    # Integers in the order of the scores, from 0 on: the bits of negative numbers are inverted.
    ranks = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64) + 0x80000000
    ranks = tl.where(inside, ranks, 0)
    count = tl.where(top_k > 0, tl.minimum(top_k, size), size)
    least = count * 0  # the highest rank that `count` scores or more reach
    for bit in range(32):
        higher = least | (tl.full([], 1, tl.int64) << (31 - bit))
        reached = tl.sum((ranks >= higher).to(tl.int32))
        least = tl.where(reached >= count, higher, least)
    if top_p < 1:
        best = tl.max(scores)
        shares = tl.where(ranks >= least, tl.exp(scores - best), 0.0)
        above = ranks > least
        tied = tl.max(tl.where(ranks == least, shares, 0.0))
        total = tl.sum(tl.where(above, shares, 0.0)) + tied * (
            count - tl.sum(above.to(tl.int32))
        ).to(tl.float32)
        wanted = top_p * total
        enough = least * 0  # the highest rank with enough mass above it
        for bit in range(32):
            higher = enough | (tl.full([], 1, tl.int64) << (31 - bit))
            mass = tl.sum(tl.where(ranks > higher, shares, 0.0))
            enough = tl.where(mass >= wanted, higher, enough)
        least = tl.maximum(least, enough + 1)
    return tl.where(ranks >= least, scores, float("-inf"))
