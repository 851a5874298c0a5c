"""Choose between Triton kernels and their plain torch twins for the steps of a frame.

`product`, `attend`, `rms_norm`, `first_codes` and `later_codes` exist twice with the same
signature. `plain` is the reference and runs on every device. The modules `product_kernels`,
`attention_kernels`, `norm_kernels` and `draw_kernels` hold Triton kernels.

- Kernels run on CUDA where Triton is installed, in bfloat16 and float32.
- A CPU uses them inside `interpreted()` only, which is how they are tested without a GPU.
- Inside `recorded()` they are recorded and not run: tensors on the meta device are enough.
- Other calls on a CPU draw by compiled C code (`native`), where a C compiler is installed. It also
  runs whole decoders, see `transformer`.
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
from vivavoce.models.qwen3_tts.kernels.native import draws

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.network.kv_cache import PredictorStep, Step
    from vivavoce.models.qwen3_tts.network.sampler import Sampler

log = logging.getLogger(__name__)

# Rows of a product, twice the streams: the code predictor begins with two positions of each.
MAX_ROWS = 128
# New positions of a row. Prompts have any number of them, and a kernel would be compiled for each.
MAX_TIME = 2
DTYPES = (torch.bfloat16, torch.float32)  # float16 overflows where a norm is folded into a product

INTERPRET = "TRITON_INTERPRET"

_trial: str | None = None  # device type that also uses kernels, beside CUDA


@cache
def installed() -> bool:
    """True if Triton is installed."""
    return find_spec("triton") is not None


@cache
def runs() -> bool:
    """True if a small product by a kernel succeeds here.

    It is also true without a GPU to try it on.
    """
    if not torch.cuda.is_available():
        return True
    try:
        ones = torch.ones(16, 16, device="cuda", dtype=torch.bfloat16)
        return bool((_kernels("product").product(ones, ones) == 16).all())
    # Triton's errors without a C compiler, or for an old GPU, have no common type.
    except Exception as error:
        log.warning("no Triton kernels here (%s): frames are made by plain torch", error)
        return False


def used_on(device: torch.device, dtype: torch.dtype) -> bool:
    """True if kernels make the frames on `device`.

    `dtype` is the type of the numbers between the matrices.
    """
    if dtype not in DTYPES or not installed():
        return False
    return device.type == _trial or (device.type == "cuda" and runs())


def used_for(x: Tensor) -> bool:
    """True if a kernel computes what depends on `x`."""
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

    - With `scale` [outputs], weights are bytes.
    - `norm` [inputs] is the weight of an RMSNorm of `x` before the product.
    - `residual` [..., outputs] is added after it.
    - With `gated`, the first half of the outputs gates the second like SwiGLU, and the result is
      half as wide.
    """
    few = x.shape[:-1].numel() <= MAX_ROWS and (x.dim() == 2 or x.shape[1] <= MAX_TIME)
    chosen = _kernels("product") if few and used_for(x) else plain
    made: Tensor = chosen.product(
        x, weight, scale, bias, norm=norm, eps=eps, residual=residual, gated=gated
    )
    return made


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale rows of `x` [..., size] to unit root mean square, then by `weight` [size].

    Sums are float32.
    """
    chosen = _kernels("norm") if weight.dim() == 1 and used_for(x) else plain
    made: Tensor = chosen.rms_norm(x, weight, eps)
    return made


def attend(
    heads: Tensor, norm: Tensor, eps: float, memory: "Step | PredictorStep", layer: int
) -> Tensor:
    """Attend from new positions to themselves and the past: → [rows, time, heads × head_dim].

    `heads` [rows, time, heads + 2 × kv heads, head_dim] are queries, keys and values. Queries and
    keys are normalised by `norm` [heads + kv heads, head_dim] and rotated. Keys and values are
    written to the `layer` of the cache.
    """
    chosen = _kernels("attention") if used_for(heads) and _is_power(heads.shape[-1]) else plain
    made: Tensor = chosen.attend(heads, norm, eps, memory, layer)
    return made


def first_codes(logits: Tensor, sampler: "Sampler", frame: Tensor) -> Tensor:
    """Draw first codes [rows] from the talker's `logits` [rows, vocabulary].

    `frame` [rows] is the number of each row's frame.
    """
    made: Tensor = _draws(logits).first_codes(logits, sampler, frame)
    return made


def later_codes(
    logits: Tensor, sampler: "Sampler", frame: Tensor, codebook: int, noise: Tensor | None
) -> Tensor:
    """Draw codes [rows] of `codebook` from `logits` [rows, entries].

    `frame` [rows] is the number of each row's frame. `noise` [rows, entries] is the counter's for
    this codebook if it was made before. Kernels make their own.
    """
    made: Tensor = _draws(logits).later_codes(logits, sampler, frame, codebook, noise)
    return made


def make_noise(x: Tensor) -> bool:
    """True if draws from numbers like `x` make their own noise."""
    return _draws(x) is not plain


def _draws(logits: Tensor) -> ModuleType:
    if used_for(logits):
        return _kernels("draw")
    return draws if draws.used_for(logits) else plain


@cache
def _kernels(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}_kernels")


def _is_power(size: int) -> bool:
    """True if `size` is a power of 2, as Triton's blocks are."""
    return size & (size - 1) == 0
