"""Run matrix products and whole decoders on a CPU by compiled C code.

`decode.c` and `draw.c` have the code, `build` compiles it, and `draws` calls the second. Where it
cannot be compiled, the torch forms of `linear` and the twins in `plain` run instead.

- `Matrix` keeps weights row after row: int8, bfloat16 or float32. Sums are float32.
- `NativeDecoder` passes a few new positions through all layers in one call.
"""

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vivavoce.models.qwen3_tts.kernels.native import build

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.network.kv_cache import KvCache

KINDS = {torch.int8: 0, torch.bfloat16: 1, torch.float32: 2}
MAX_TIME = 2  # new positions of a row in a frame; prompts have more
SIZES = 16  # inputs and head sizes are multiples of the longest vector
OUTPUTS = 4  # computed side by side
BYTES = 64  # int8 rows are padded to a multiple


class _Matrix(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("weight", "scale", "sums", "bias")),
        *((name, c_int64) for name in ("outputs", "inputs", "kind")),
    )


class _Layer(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("norm", "qk_norm", "feed_norm")),
        *((name, _Matrix) for name in ("qkv", "out", "gate_up", "down")),
    )


class _Decoder(Structure):
    _fields_ = (
        ("layers", POINTER(_Layer)),
        *((name, c_int64) for name in ("count", "hidden", "heads", "kv_heads", "head_dim", "feed")),
        ("eps", c_float),
    )


class NativePast(Structure):
    """Keys and values that new positions see, and where they stand."""

    _fields_ = (
        *((name, c_void_p) for name in ("data", "cosines", "sines", "lengths", "alive")),
        *((name, c_int64) for name in ("slots", "positions", "start", "window")),
    )


class Matrix:
    """A matrix [outputs, inputs], kept row after row in the type of `weight`.

    int8 weights have a `scale` [outputs]. With `rounding`, prompts are rounded to bfloat16 like
    their weights, since processors multiply such pairs faster. How a row is multiplied does not
    depend on the number of rows.
    """

    def __init__(
        self, weight: Tensor, scale: Tensor | None, bias: Tensor | None, *, rounding: bool = False
    ) -> None:
        self.outputs, self.inputs = weight.shape
        self._rounding = rounding
        sums = None
        if weight.dtype is torch.int8:
            weight = F.pad(weight, (0, -self.inputs % BYTES))
            sums = weight.sum(1, dtype=torch.int32)
        self.weight, self.bias = weight.contiguous(), bias
        self._kept = (scale, sums)  # which the structure only points to
        self.structure = _Matrix(
            *(_address(tensor) for tensor in (self.weight, scale, sums, bias)),
            self.outputs,
            self.inputs,
            KINDS[weight.dtype],
        )

    def __call__(self, x: Tensor) -> Tensor:
        code = build.compiled()
        assert code is not None, "it packed the matrix"
        rounding = self._rounding and x.dim() > 2 and x.shape[-2] > MAX_TIME
        if rounding and not code.multiplies_pairs():
            made = F.linear(x.to(self.weight.dtype), self.weight).float()
            return made if self.bias is None else made.add_(self.bias)
        x, positions = x.contiguous(), x.shape[:-1].numel()
        made = torch.empty(*x.shape[:-1], self.outputs)
        scratch = torch.empty(positions * (self.inputs // 2 + BYTES))
        code.multiply(
            byref(self.structure),
            c_void_p(x.data_ptr()),
            c_int64(positions),
            c_void_p(made.data_ptr()),
            c_void_p(scratch.data_ptr()),
            c_int64(rounding),
            c_int64(torch.get_num_threads()),
        )
        return made


def available() -> bool:
    """True if the code is compiled here."""
    return build.compiled() is not None


def keeps(weight: Tensor) -> bool:
    """True if a `Matrix` can hold `weight` [outputs, inputs]."""
    outputs, inputs = weight.shape
    return (
        weight.device.type == "cpu"
        and outputs % OUTPUTS == 0
        and inputs % SIZES == 0
        and available()
    )


class NativeDecoder:
    """The layers of a `transformer.Decoder`, whose matrices are all a `Matrix`."""

    def __init__(self, decoder: Any) -> None:  # attributes of nn.Module have no types
        layers = list(decoder.layers)
        kept = [_layer(layer) for layer in layers]
        attention, feed = layers[0].self_attn, layers[0].mlp.down_proj.packed.inputs
        self._kept = (_Layer * len(kept))(*kept)
        self._hidden = decoder.norm.weight.shape[0]
        self._structure = _Decoder(
            self._kept,
            len(layers),
            self._hidden,
            attention.heads,
            attention.kv_heads,
            attention.head_dim,
            feed,
            decoder.norm.eps,
        )

    def read(self, x: Tensor, past: NativePast) -> Tensor:
        """Return what the layers make of `x` [rows, time, hidden]."""
        made = x.clone(memory_format=torch.contiguous_format)
        rows, time, _ = x.shape
        code, threads = build.compiled(), torch.get_num_threads()
        assert code is not None, "it packed the matrices"
        sizes = (c_int64(rows * time), c_int64(past.window), c_int64(threads))
        scratch = torch.empty(code.scratch_size(byref(self._structure), *sizes))
        code.decode(
            byref(self._structure),
            byref(past),
            c_void_p(made.data_ptr()),
            c_int64(rows),
            c_int64(time),
            c_void_p(scratch.data_ptr()),
            c_int64(threads),
        )
        return made


def decoder(layers: Any) -> NativeDecoder | None:
    """Return the compiled form of a `transformer.Decoder`, or None if torch must run it."""
    matrices = (matrix for layer in layers.layers for matrix in _matrices(layer))
    if not all(isinstance(matrix.packed, Matrix) for matrix in matrices):
        return None
    return None if layers.layers[0].self_attn.head_dim % (2 * SIZES) else NativeDecoder(layers)


def past(
    cache: "KvCache",
    *,
    window: int,
    start: int = 0,
    lengths: Tensor | None = None,
    alive: Tensor | None = None,
) -> NativePast:
    """Return what new positions see of `cache`: positions below `window`.

    Rows stand at `start`, or at their own of `lengths` [rows]. Rows that are not `alive` [rows]
    leave their slot as it is.
    """
    _, _, slots, _, positions, _ = cache.data.shape
    cosines, sines = cache.table
    tensors = (cache.data, cosines, sines, lengths, alive)
    return NativePast(*map(_address, tensors), slots, positions, start, window)


def _layer(layer: Any) -> _Layer:
    norms = (layer.input_layernorm, layer.self_attn.qk_norm, layer.post_attention_layernorm)
    return _Layer(
        *(_address(norm.weight) for norm in norms),
        *(matrix.packed.structure for matrix in _matrices(layer)),
    )


def _matrices(layer: Any) -> Sequence[Any]:
    attention, feed = layer.self_attn, layer.mlp
    return attention.qkv_proj, attention.o_proj, feed.gate_up_proj, feed.down_proj


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
