"""Choose between Triton kernels and their plain torch twins for the steps of a frame.

`product`, `attend`, `rms_norm`, `first_codes` and `later_codes` exist twice with the same
signature: in `plain`, the reference, which runs on every device, and in a module of Triton kernels
(`product`, `attention`, `norm`, `draw`).

- Kernels run on CUDA where Triton is installed, in bfloat16 and float32.
- A CPU uses them inside `interpreted()` only, which is how they are tested without a GPU.
- Inside `recorded()` they are recorded and not run: tensors on the meta device are enough.
- Triton is imported with the first kernel. Nothing here needs it to be installed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels import plain
from vivavoce.models.qwen3_tts.kernels.launch import Launch, recording

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.network.kv_cache import Burst, Step
    from vivavoce.models.qwen3_tts.network.sampler import Sampler

log = logging.getLogger(__name__)

# of a product, twice as many as streams: the code predictor begins with two positions of each
MAX_ROWS = 128
# new positions of a row: prompts have more, and any number of them, each of which would be compiled
# for
MAX_TIME = 2
DTYPES = (
    torch.bfloat16,
    torch.float32,
)  # float16 would overflow where a norm is folded into a product

INTERPRET = "TRITON_INTERPRET"

_trial: str | None = None  # the device type that kernels are tried on, beside CUDA


@cache
def installed() -> bool:
    """True if Triton is installed."""
    return find_spec("triton") is not None


@cache
def runs() -> bool:
    """True if a small product by a kernel succeeds here, or there is no GPU to try it on."""
    if not torch.cuda.is_available():
        return True
    try:
        ones = torch.ones(16, 16, device="cuda", dtype=torch.bfloat16)
        return bool((_kernels("product").product(ones, ones) == 16).all())
    except (
        Exception
    ) as error:  # what Triton raises without a C compiler, or for an old GPU, has no common type
        log.warning("no Triton kernels here (%s): frames are made by plain torch", error)
        return False


def used_on(device: torch.device, dtype: torch.dtype) -> bool:
    """True if frames on `device` between whose matrices numbers are `dtype` are made by kernels."""
    if dtype not in DTYPES or not installed():
        return False
    return device.type == _trial or (device.type == "cuda" and runs())


def used_for(x: Tensor) -> bool:
    """True if what is computed from `x` is computed by a kernel."""
    return (x.is_cuda or _trial is not None) and used_on(x.device, x.dtype)


@contextmanager
def interpreted() -> Iterator[None]:
    """Use the kernels on a CPU, run by Triton's interpreter.

    Set `INTERPRET` in the environment first: Triton, which torch may import, reads it when it is
    imported. Raises `RuntimeError` if Triton compiles.
    """
    if not is_interpreting():
        raise RuntimeError(f"Triton compiles in this process: set {INTERPRET}=1 before it starts")
    with _tried_on("cpu"):
        yield


def is_interpreting() -> bool:
    """True if Triton was imported to interpret kernels."""
    import triton.language

    return type(triton.language.sum).__name__ == "InterpretedFunction"


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Record the kernels that tensors on the meta device would launch."""
    with _tried_on("meta"), recording() as launches:
        yield launches


@contextmanager
def _tried_on(device: str) -> Iterator[None]:
    global _trial
    before, _trial = _trial, device
    try:
        yield
    finally:
        _trial = before


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
    """Multiply `x` [..., inputs] by `weight` [outputs, inputs]: → [..., outputs].

    With `scale` [outputs] weights are bytes. `norm` [inputs] is the weight of an RMSNorm of `x`
    before the product, `residual` [..., outputs] is added after it. With `gated` the first half of
    the outputs gates the second, SwiGLU's way, and the result has half as many.
    """
    few = x.shape[:-1].numel() <= MAX_ROWS and (x.dim() == 2 or x.shape[1] <= MAX_TIME)
    chosen = _kernels("product") if few and used_for(x) else plain
    made: Tensor = chosen.product(
        x, weight, scale, bias, norm=norm, eps=eps, residual=residual, gated=gated
    )
    return made


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale rows of `x` [..., size] to unit root mean square, then by `weight` [size]; sums are float32."""
    chosen = _kernels("norm") if weight.dim() == 1 and used_for(x) else plain
    made: Tensor = chosen.rms_norm(x, weight, eps)
    return made


def attend(heads: Tensor, norm: Tensor, eps: float, memory: "Step | Burst", layer: int) -> Tensor:
    """Attend from new positions to these and the past of each row: → [rows, time, heads ×
    head_dim].

    `heads` [rows, time, heads + 2 × kv heads, head_dim] are queries, keys and values. Queries and
    keys are normalised by `norm` [heads + kv heads, head_dim] and rotated, keys and values are
    written to the `layer` of the cache.
    """
    chosen = _kernels("attention") if used_for(heads) and _is_power(heads.shape[-1]) else plain
    made: Tensor = chosen.attend(heads, norm, eps, memory, layer)
    return made


def first_codes(logits: Tensor, sampler: "Sampler", frame: Tensor) -> Tensor:
    """Draw first codes [rows] from the talker's `logits` [rows, vocabulary] for each row's `frame` number [rows]."""
    chosen = _kernels("draw") if used_for(logits) else plain
    made: Tensor = chosen.first_codes(logits, sampler, frame)
    return made


def later_codes(
    logits: Tensor, sampler: "Sampler", frame: Tensor, codebook: int, noise: Tensor | None
) -> Tensor:
    """Draw codes [rows] of `codebook` from `logits` [rows, entries] for each row's `frame` number
    [rows].

    `noise` [rows, entries] is the counter's for this codebook if it was made before; kernels make
    their own.
    """
    chosen = _kernels("draw") if used_for(logits) else plain
    made: Tensor = chosen.later_codes(logits, sampler, frame, codebook, noise)
    return made


@cache
def _kernels(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}_kernels")


def _is_power(size: int) -> bool:
    """True if `size` is a power of 2, as Triton's blocks are."""
    return size & (size - 1) == 0
