"""Multiply by matrices, each in the form that is fastest on its processor.

The form is chosen when weights are loaded. It knows matrices and processors, not the meaning of the
matrices. A frame takes as long as its weights take to be read, so their size counts, and on CPUs
also their layout:

- `PLAIN` is torch's own product, or a kernel's (`kernels`), and the reference for the others.
- `PREPACKED` lays weights out beforehand: float32 by oneDNN, the 16-bit types by oneDNN on
  processors that multiply bfloat16 themselves, elsewhere by FBGEMM as float16 that is multiplied in
  float32. A released weight is a bfloat16 number. float16 holds it without loss from 6e-5 on, and
  within 3e-8 below.
- `INT8` keeps a byte a weight and a scale a row, and rounds the inputs of each product to bytes
  too. FBGEMM multiplies, or its replacement in torch on other processors.
- Where a C compiler is installed, compiled code (`kernels.native`) takes the place of all these
  libraries but for float16. bfloat16 weights are then multiplied in float32.
- `INT8_WEIGHTS` also keeps a byte a weight and a scale a row, and leaves the inputs as they are. It
  is for CUDA, where a kernel multiplies bytes. Elsewhere it is the reference for that kernel.

Inputs and outputs of the first two are float32.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorPart
from vivavoce.models.qwen3_tts.kernels import native
from vivavoce.models.qwen3_tts.kernels.plain import linear

Product: TypeAlias = Callable[[Tensor], Tensor]

# Rows of input that oneDNN packs weights for: measured as fast for one, twice as fast for eight.
BATCH = 16


class WeightFormat(Enum):
    """Storage form of a matrix, and with it the way to multiply."""

    PLAIN = "plain"
    PREPACKED = "prepacked"
    INT8 = "int8"
    INT8_WEIGHTS = "int8-weights"


class Linear(nn.Module):
    """A matrix product whose weights are not initialised, since they always come from a file.

    With `parts` it holds several matrices of the files, which have the same input, one below the
    other.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = False, parts: tuple[TensorPart, ...] = ()
    ) -> None:
        super().__init__()
        self.parts = parts
        self.weight: nn.Parameter | None = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.scale: Tensor | None = None  # [outputs], of bytes
        self.stored_bytes = 0  # of weights and bias as they are kept, once they are there
        self.packed: Product | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is not None:
            return self.packed(x)
        assert self.weight is not None, "a matrix is plain or packed"
        return linear(x, self.weight, self.scale, self.bias)

    def pack(self, form: WeightFormat, dtype: torch.dtype) -> None:
        """Convert the loaded matrix to `form` and `dtype`, and free the plain one."""
        assert self.weight is not None, "it is packed already"
        biases = (
            0 if self.bias is None else self.bias.numel() * numbers_between(form, dtype).itemsize
        )
        self.stored_bytes = self.weight.numel() * item_bytes(form, dtype) + biases
        if form is WeightFormat.PLAIN:
            return
        if form is WeightFormat.INT8_WEIGHTS:
            whole, self.scale = quantized(self.weight.detach())
            self.weight = nn.Parameter(whole, requires_grad=False)
            return
        self.packed = packed(
            self.weight.detach(), None if self.bias is None else self.bias.detach(), form, dtype
        )
        self.weight = self.bias = None


def packed(weight: Tensor, bias: Tensor | None, form: WeightFormat, dtype: torch.dtype) -> Product:
    """Return the product with a float32 `weight` [outputs, inputs], kept in `form`.

    Raises torch's own errors if this processor or this torch does not have `form`.
    """
    if form is WeightFormat.INT8:
        if native.keeps(weight):
            return native.Matrix(*quantized(weight), bias)
        return _int8(weight, bias)
    if dtype is not torch.float16 and native.keeps(weight):
        rounding = dtype is torch.bfloat16 and multiplies_bfloat16()
        return native.Matrix(weight.to(dtype), None, bias, rounding=rounding)
    return (
        _float16(weight, bias)
        if packed_type(dtype) is torch.float16
        else _onednn(weight, bias, dtype)
    )


def item_bytes(form: WeightFormat, dtype: torch.dtype) -> int:
    """Return the bytes that one weight takes."""
    return 1 if form in (WeightFormat.INT8, WeightFormat.INT8_WEIGHTS) else dtype.itemsize


def numbers_between(form: WeightFormat, dtype: torch.dtype) -> torch.dtype:
    """Return the type of the numbers between matrices that are kept in `form` and `dtype`."""
    return dtype if form in (WeightFormat.PLAIN, WeightFormat.INT8_WEIGHTS) else torch.float32


def item_sizes(form: WeightFormat, dtype: torch.dtype) -> dict[str, int]:
    """Return the bytes of a number between matrices and of one in a matrix, for `footprint`."""
    between = numbers_between(form, dtype).itemsize
    return {"item_bytes": between, "matrix_bytes": item_bytes(form, dtype)}


def packed_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which prepacked weights are kept where `dtype` is asked for."""
    if dtype is torch.float32:
        return dtype
    if dtype is torch.bfloat16 and (multiplies_bfloat16() or native.available()):
        return dtype
    return torch.float16


@cache
def works(form: WeightFormat, dtype: torch.dtype) -> bool:
    """True if this processor and this torch have `form`. A small product is tried."""
    weight = torch.eye(64)[:48]
    try:
        made = packed(weight, None, form, dtype)(torch.ones(2, 64))
    # torch's error depends on its build.
    except (RuntimeError, NotImplementedError, AttributeError):
        return False
    return bool((made - 1).abs().max() < 0.02)


def stored_as(form: WeightFormat, dtype: torch.dtype) -> str:
    """Return the description of weights in `form`, such as "float32 weights, prepacked"."""
    if form is WeightFormat.INT8:
        return "int8 weights"
    if form is WeightFormat.INT8_WEIGHTS:
        return f"int8 weights, {str(dtype).removeprefix('torch.')} inputs"
    if form is WeightFormat.PREPACKED:
        return f"{str(packed_type(dtype)).removeprefix('torch.')} weights, prepacked"
    return str(dtype).removeprefix("torch.")


@cache
def multiplies_bfloat16() -> bool:
    """True if this processor has instructions for bfloat16, or torch cannot tell."""
    checks = [
        getattr(torch.cpu, name, None)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    if torch.backends.cpu.get_cpu_capability().startswith(("AVX", "DEFAULT")):
        return any(check() for check in checks if check is not None)
    return True


def _onednn(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Product:
    # Any: these are calls of torch's compiler, in no typed namespace.
    onednn: Any = torch.ops.mkldnn
    kept = onednn._reorder_linear_weight(weight.to(dtype).contiguous(), BATCH)
    multiply = onednn._linear_pointwise.default  # looked up once: a frame makes 428 products
    if dtype is torch.float32:
        return lambda x: cast(Tensor, multiply(x, kept, bias, "none", [], ""))

    def product(x: Tensor) -> Tensor:
        made = cast(Tensor, multiply(x.to(dtype), kept, None, "none", [], "")).float()
        return made if bias is None else made.add_(bias)

    return product


def _float16(weight: Tensor, bias: Tensor | None) -> Product:
    quantized: Any = torch.ops.quantized  # likewise
    with kernels("fbgemm"):
        kept = quantized.linear_prepack_fp16(weight, bias)
    multiply = quantized.linear_dynamic_fp16.default
    return lambda x: cast(Tensor, multiply(x, kept))


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return bytes [outputs, inputs] and float32 scales [outputs] of `weight`.

    Their product approximates it.
    """
    scales = weight.abs().amax(1).float().clamp(min=1e-8) / 127
    return weight.float().div(scales[:, None]).round_().to(torch.int8), scales


def _int8(weight: Tensor, bias: Tensor | None) -> Product:
    operators: Any = torch.ops.quantized  # likewise
    whole, scales = quantized(weight)
    with kernels("fbgemm", "onednn", "qnnpack"):
        rows = torch._make_per_channel_quantized_tensor(
            whole, scales.double(), torch.zeros(len(scales), dtype=torch.int64), 0
        )
        kept = operators.linear_prepack(rows, None)
    # Without VNNI two products of bytes are added in 16 bits. One bit less of the input avoids an
    # overflow.
    narrow = not getattr(torch.cpu, "_is_vnni_supported", lambda: False)()
    multiply = operators.linear_dynamic.default

    def product(x: Tensor) -> Tensor:
        if x.shape[:-1].numel() == 1:
            made = cast(Tensor, multiply(x, kept, narrow))
        else:
            # All inputs are rounded with one scale. Rows are brought to the same size first, so
            # that none loses precision to another.
            sizes = x.abs().amax(-1, keepdim=True).clamp(min=1e-20)
            made = cast(Tensor, multiply(x / sizes, kept, narrow)).mul_(sizes)
        return made if bias is None else made.add_(bias)

    return product


@contextmanager
def kernels(*names: str) -> Iterator[None]:
    """Pack for the first of these kernel libraries that torch has.

    The process's own choice is restored afterwards.
    """
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = next(
        (name for name in names if name in _engines()), names[-1]
    )
    try:
        with warnings.catch_warnings():
            # torch deprecates the types that it packs from. `works` is false once they are gone.
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
            yield
    finally:
        torch.backends.quantized.engine = before


def _engines() -> list[str]:
    names: list[str] = torch.backends.quantized.supported_engines
    return names
