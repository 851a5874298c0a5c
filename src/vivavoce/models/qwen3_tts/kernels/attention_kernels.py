"""Attend from one frame's new positions with Triton kernels, split over each row's past.

- A program stands for a row, a key head and a part of the row's own past. It reads the length of
  the past on the device, and normalises and rotates the queries of its key head.
- The program of the first part also normalises and rotates the new keys, and writes them and the
  new values to the cache. It holds them already, so no program waits for another.
- Where the past is split, a second kernel adds up the parts.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.launch import launch, power
from vivavoce.models.qwen3_tts.network.kv_cache import PredictorStep, Step

PROGRAMS = 256  # about twice what a large GPU runs at once
MAX_PARTS = 16
BLOCK = 32  # positions that are read together


def attend(
    heads: Tensor, norm: Tensor, eps: float, memory: Step | PredictorStep, layer: int
) -> Tensor:
    rows, time, count, head_dim = heads.shape
    kv_heads = count - norm.shape[0]
    queries = count - 2 * kv_heads
    moving = isinstance(memory, Step)  # each row at a position of its own
    parts = _parts(rows * kv_heads) if moving else 1
    group = power(time * queries // kv_heads)
    out = torch.empty(rows, time, queries * head_dim, device=heads.device, dtype=heads.dtype)
    sums = sizes = out  # not read without parts
    if parts > 1:
        sums = torch.empty(
            rows, kv_heads, parts, group, head_dim, device=heads.device, dtype=torch.float32
        )
        sizes = torch.empty(
            rows, kv_heads, parts, group, 2, device=heads.device, dtype=torch.float32
        )
    kept = memory.cache.data[layer]  # [2, slots, kv_heads, max_len + 1, head_dim]
    cosines, sines = memory.cache.table
    launch(
        _attend,
        (rows, kv_heads, parts),
        heads,
        norm,
        cosines,
        sines,
        kept,
        *kept.stride()[:4],
        memory.cache.lengths,
        memory.alive if isinstance(memory, Step) else memory.cache.lengths,
        0 if isinstance(memory, Step) else memory.start,
        memory.cache.max_len,
        out,
        sums,
        sizes,
        eps,
        head_dim**-0.5,
        MOVING=moving,
        QUERIES=queries,
        KV_HEADS=kv_heads,
        TIME=time,
        GROUP=group,
        DIM=head_dim,
        PARTS=parts,
        BLOCK=BLOCK,
        num_warps=4,
    )
    if parts > 1:
        launch(
            _combine,
            (rows, queries),
            sums,
            sizes,
            out,
            QUERIES=queries,
            KV_HEADS=kv_heads,
            GROUP=group,
            DIM=head_dim,
            PARTS=parts,
            num_warps=4,
        )
    return out


def _parts(programs: int) -> int:
    """Return the parts of each row's past: enough to keep a GPU busy, more for few rows."""
    return max(1, min(MAX_PARTS, PROGRAMS // power(programs)))


@triton.jit
def _turned(head_ptr, norm_ptr, cosines, sines, eps, DIM: tl.constexpr):
    """Load heads [n, DIM], normalise them and rotate them by their positions."""
    at = tl.arange(0, DIM)[None, :]
    other = (at + DIM // 2) % DIM
    x = tl.load(head_ptr + at).to(tl.float32)
    rolled = tl.load(head_ptr + other).to(tl.float32)
    root = tl.rsqrt(tl.sum(x * x, axis=1) / DIM + eps)[:, None]
    weight, rolled_weight = (
        tl.load(norm_ptr + at).to(tl.float32),
        tl.load(norm_ptr + other).to(tl.float32),
    )
    return x * root * weight * cosines + rolled * root * rolled_weight * sines


@triton.jit
def _attend(
    heads_ptr,
    norm_ptr,
    cosines_ptr,
    sines_ptr,
    cache_ptr,
    side_stride,
    slot_stride,
    head_stride,
    position_stride,
    lengths_ptr,
    alive_ptr,
    start,
    spare,
    out_ptr,
    sums_ptr,
    sizes_ptr,
    eps,
    scale,
    MOVING: tl.constexpr,
    QUERIES: tl.constexpr,
    KV_HEADS: tl.constexpr,
    TIME: tl.constexpr,
    GROUP: tl.constexpr,
    DIM: tl.constexpr,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row, kv_head, part = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    HEADS: tl.constexpr = QUERIES + 2 * KV_HEADS
    SHARED: tl.constexpr = QUERIES // KV_HEADS
    if MOVING:
        length = tl.minimum(tl.load(lengths_ptr + row), spare - 1).to(tl.int32)
        alive = tl.load(alive_ptr + row) != 0
        past, write, position = tl.where(alive, length, 0), tl.where(alive, length, spare), length
    else:
        past, write, position = start, start, start
    dim = tl.arange(0, DIM)

    # The queries of this key head: `SHARED` heads at each of `TIME` positions.
    query = tl.arange(0, GROUP)
    real = query < SHARED * TIME
    when = tl.where(real, query // SHARED, 0)
    head = kv_head * SHARED + query % SHARED
    turn = (position + when)[:, None] * DIM + dim[None, :]
    queries = _turned(
        heads_ptr + ((row * TIME + when) * HEADS + head)[:, None] * DIM,
        norm_ptr + head[:, None] * DIM,
        tl.load(cosines_ptr + turn).to(tl.float32),
        tl.load(sines_ptr + turn).to(tl.float32),
        eps,
        DIM,
    )
    queries *= scale

    most = tl.full([GROUP], float("-inf"), tl.float32)
    total = tl.zeros([GROUP], tl.float32)
    found = tl.zeros([GROUP, DIM], tl.float32)
    slot_ptr = cache_ptr + row * slot_stride + kv_head * head_stride
    if part == 0:
        for new in tl.static_range(TIME):
            here = heads_ptr + (row * TIME + new) * HEADS * DIM
            key_turn = (position + new) * DIM + dim[None, :]
            key = _turned(
                here + (QUERIES + kv_head) * DIM + tl.zeros([1, 1], tl.int32),
                norm_ptr + (QUERIES + kv_head) * DIM,
                tl.load(cosines_ptr + key_turn).to(tl.float32),
                tl.load(sines_ptr + key_turn).to(tl.float32),
                eps,
                DIM,
            ).to(cache_ptr.dtype.element_ty)
            value = tl.load(here + (QUERIES + KV_HEADS + kv_head) * DIM + dim[None, :])
            there = slot_ptr + (write + new) * position_stride + dim[None, :]
            tl.store(there, key)
            tl.store(there + side_stride, value)
            scores = tl.sum(queries * key.to(tl.float32), axis=1)
            scores = tl.where(when >= new, scores, float("-inf"))
            higher = tl.maximum(most, scores)
            shrink, share = tl.exp(most - higher), tl.exp(scores - higher)
            found = found * shrink[:, None] + share[:, None] * value.to(tl.float32)
            total = total * shrink + share
            most = higher

    # This part of the past, whole blocks of it.
    stride = tl.cdiv(tl.cdiv(past, PARTS), BLOCK) * BLOCK
    end = tl.minimum((part + 1) * stride, past)
    for first in range(part * stride, end, BLOCK):
        at = first + tl.arange(0, BLOCK)
        known = at < end
        there = slot_ptr + at[:, None] * position_stride + dim[None, :]
        keys = tl.load(there, mask=known[:, None], other=0.0).to(tl.float32)
        values = tl.load(there + side_stride, mask=known[:, None], other=0.0).to(tl.float32)
        scores = tl.sum(queries[:, None, :] * keys[None, :, :], axis=2)  # [GROUP, BLOCK]
        scores = tl.where(known[None, :], scores, float("-inf"))
        higher = tl.maximum(most, tl.max(scores, axis=1))
        shrink, shares = tl.exp(most - higher), tl.exp(scores - higher[:, None])
        found = found * shrink[:, None] + tl.sum(shares[:, :, None] * values[None, :, :], axis=1)
        total = total * shrink + tl.sum(shares, axis=1)
        most = higher

    if PARTS == 1:
        place = ((row * TIME + when) * QUERIES + head)[:, None] * DIM + dim[None, :]
        tl.store(out_ptr + place, found / total[:, None], mask=real[:, None])
    else:
        place = ((row * KV_HEADS + kv_head) * PARTS + part) * GROUP + query
        tl.store(sums_ptr + place[:, None] * DIM + dim[None, :], found)
        tl.store(sizes_ptr + place * 2, most)
        tl.store(sizes_ptr + place * 2 + 1, total)


@triton.jit
def _combine(
    sums_ptr,
    sizes_ptr,
    out_ptr,
    QUERIES: tl.constexpr,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    DIM: tl.constexpr,
    PARTS: tl.constexpr,
):
    row, head = tl.program_id(0), tl.program_id(1)
    SHARED: tl.constexpr = QUERIES // KV_HEADS
    part, dim = tl.arange(0, PARTS), tl.arange(0, DIM)
    place = ((row * KV_HEADS + head // SHARED) * PARTS + part) * GROUP + head % SHARED
    most = tl.load(sizes_ptr + place * 2)  # -inf for a part that saw no position
    shares = tl.exp(most - tl.max(most))
    total = tl.sum(shares * tl.load(sizes_ptr + place * 2 + 1))
    found = tl.sum(
        shares[:, None] * tl.load(sums_ptr + place[:, None] * DIM + dim[None, :]), axis=0
    )
    tl.store(out_ptr + (row * QUERIES + head) * DIM + dim, found / total)
