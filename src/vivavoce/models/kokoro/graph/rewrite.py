"""Rewrite Kokoro's quantised ONNX graph so that a CPU computes the same speech much faster.

The published int8 graph spends its time in operators for which onnxruntime has no fast kernel:
integer convolutions with unsigned weights, instance norms written as eight passes over memory, and
a naive short-time Fourier transform. The rewriting replaces each by operators with a fast kernel.

- The quantised values and the integer sums stay the same.
- The result is cut into parts (`parts`), which are stored beside the model. Only a pull, and the
  first load after an upgrade, need `onnx`.
- This module knows the shape of the graph. It does not know text, voices or audio.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.kokoro.downloads import sha256
from vivavoce.models.kokoro.graph.editor import GraphEditor, make_node, read_attributes
from vivavoce.models.kokoro.graph.parts import cut

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Weights: TypeAlias = NDArray[np.uint8]
Signed: TypeAlias = NDArray[np.int8]

# The quantiser used 7 of the 8 bits (0..127). Shifted to -64..63, the sum of two products fits the
# 16 bits that processors without dot-product instructions use, and signed weights have fast kernels
# on all processors.
SHIFT = 64
VERSION = 3  # of the rewriting: increase it with every change to the resulting graphs
GRAPH = "graph"  # the part that is not cut
MICROSOFT = "com.microsoft"


def fast_path(model: Path) -> Path:
    """Return the folder of the rewritten graph, whose name holds both versions."""
    return model.with_name(f"fast-{sha256(model)[:16]}-{VERSION}")


def load_fast(model: Path) -> Mapping[str, Path | bytes]:
    """Return the parts of the fast form of `model`: their files, or their bytes if storing fails.

    A graph that is not Kokoro's has one part, `GRAPH`. Raises `MissingDependency` if the form must
    be made and `onnx` is absent, `EngineFault` if `model` is not a graph.
    """
    folder = fast_path(model)
    if not folder.is_dir():
        parts = rewrite(model)
        try:
            _store(parts, folder)
        except OSError:  # a read-only folder: the next start rewrites again
            return parts
    return {path.stem: path for path in folder.glob("*.onnx")}


def require_onnx() -> None:
    """Raise `MissingDependency` if `onnx` is absent."""
    if find_spec("onnx") is None:
        raise MissingDependency(
            "the Kokoro model's graph is rewritten once, which needs the 'onnx' package: "
            "pip install 'vivavoce[kokoro]', then run: vivavoce models pull kokoro"
        )


def rewrite(path: Path) -> dict[str, bytes]:
    """Return the serialised parts of the fast form of the graph at `path`.

    Raises `EngineFault` if the file is not a graph.
    """
    require_onnx()
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types

    try:
        model = onnx.load_model(path)
    except DecodeError as broken:
        raise EngineFault(
            f"the file {str(path)!r} is not a whole ONNX graph; "
            "remove it and run: vivavoce models pull kokoro"
        ) from broken
    fast = rewrite_model(model)
    parts = cut(fast) or {GRAPH: fast}
    return {name: part.SerializeToString() for name, part in parts.items()}


def _store(parts: Mapping[str, bytes], folder: Path) -> None:
    """Write `parts` to `folder` in one step, and remove the graphs of other versions."""
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        temporary.mkdir()
        for name, part in parts.items():
            temporary.joinpath(f"{name}.onnx").write_bytes(part)
        with suppress(OSError):  # another process was faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for other in folder.parent.glob("fast-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
            with suppress(OSError):
                other.unlink(missing_ok=True)  # of a version with one file


def rewrite_model(model: "ModelProto") -> "ModelProto":
    """Rewrite `model` in place and return it, leaving unrecognised parts unchanged."""
    editor = GraphEditor(model)
    for node in list(model.graph.node):
        match node.op_type:
            case "ConvInteger":
                _replace_convolution(editor, node)
            case "MatMulInteger":
                _sign_weights(editor, node)
            case "Div":
                _fuse_instance_norm(editor, node)
            case "Pow":
                _replace_square(editor, node)
            case "STFT":
                _replace_stft(editor, node)
            case "Greater":
                _fix_phase(editor, node)
    editor.finish()
    return model


# --- integer convolutions -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A quantised convolution over time, with the scales that dequantise its sums."""

    output: str
    weight: Weights  # [out, in, taps]
    zero_point: int
    weight_scale: str
    bias: str | None
    values: str  # uint8 [1, in, time]
    scale: str
    values_zero_point: str
    dilation: int
    stride: int
    pads: tuple[int, int]


def _replace_convolution(editor: GraphEditor, node: "NodeProto") -> None:
    """Replace a convolution by one signed product over gathered rows [time, taps * in]."""
    if (found := _read_convolution(editor, node)) is not None:
        editor.replace(found.output, list(_matrix_product(editor, found)))


def _read_convolution(editor: GraphEditor, node: "NodeProto") -> _Convolution | None:
    """Return the convolution of `node`, or None if the nodes around it are unexpected."""
    weight, zero_point = editor.value(node.input[1]), editor.value(node.input[3])
    cast, bias = editor.only_user(node.output[0], "Cast"), None
    if cast is None and (add := editor.only_user(node.output[0], "Add")) is not None:
        cast, bias = editor.only_user(add.output[0], "Cast"), _float_bias(editor, add.input[1])
        if bias is None:
            return None
    scaled = editor.only_user(cast.output[0], "Mul") if cast is not None else None
    scales = editor.producer.get(scaled.input[1]) if scaled is not None else None
    if weight is None or zero_point is None or scaled is None or scales is None:
        return None
    if weight.dtype != np.uint8 or weight.ndim != 3 or int(weight.max()) >= 2 * SHIFT:
        return None
    attributes = read_attributes(node)
    return _Convolution(
        output=scaled.output[0],
        weight=weight.astype(np.uint8, copy=False),
        zero_point=int(zero_point),
        weight_scale=scales.input[1],
        bias=bias,
        values=node.input[0],
        scale=scales.input[0],
        values_zero_point=node.input[2],
        dilation=attributes["dilations"][0],
        stride=attributes["strides"][0],
        pads=(attributes["pads"][0], attributes["pads"][1]),
    )


def _float_bias(editor: GraphEditor, name: str) -> str | None:
    """Return the bias of the integer one, Reshape(Cast(Floor(Div(bias, scale)))), or None."""
    for op_type in ("Reshape", "Cast", "Floor", "Div"):
        node = editor.producer.get(name)
        if node is None or node.op_type != op_type:
            return None
        name = node.input[0]
    return name if name in editor.constants else None


def _matrix_product(editor: GraphEditor, conv: _Convolution) -> "Iterator[NodeProto]":
    out, channels, taps = conv.weight.shape
    name = conv.output
    flat = conv.weight.transpose(2, 1, 0).reshape(taps * channels, out)
    weight = editor.constant(f"{name}:weight", _signed(flat))
    zero_point = editor.constant(f"{name}:zero_point", np.array(conv.zero_point - SHIFT, np.int8))
    rows = f"{name}:rows"
    yield make_node("Transpose", [conv.values], rows, perm=[0, 2, 1])
    if taps > 1:
        yield from _gathered(editor, conv, rows)
        rows = f"{name}:columns"
    operands = [rows, weight, conv.scale, conv.weight_scale, conv.values_zero_point, zero_point]
    if conv.bias is not None:
        operands.append(conv.bias)
    yield make_node("MatMulIntegerToFloat", operands, f"{name}:product", MICROSOFT)
    yield make_node("Transpose", [f"{name}:product"], name, perm=[0, 2, 1])


def _gathered(editor: GraphEditor, conv: _Convolution, rows: str) -> "Iterator[NodeProto]":
    """Yield the nodes that gather row t: the padded rows t*stride + k*dilation of each tap k."""
    _, channels, taps = conv.weight.shape
    name = conv.output
    before, after = conv.pads
    reach = (taps - 1) * conv.dilation
    padding = np.array([0, before, 0, 0, after, 0], np.int64)
    pads = editor.constant(f"pads:{before}:{after}", padding)
    offsets = (np.arange(taps) * conv.dilation).astype(np.int32)[None, :]
    offsets_name = editor.constant(f"taps:{taps}:{conv.dilation}", offsets)
    zero, step = editor.constant("int32:0", np.array(0, np.int32)), conv.stride
    step_name = editor.constant(f"int32:{step}", np.array(step, np.int32))
    end = editor.constant(f"int32:end:{reach}", np.array(reach, np.int32))
    axis = editor.constant("axes:1", np.array([1], np.int64))
    width = taps * channels
    shape = editor.constant(f"shape:{width}", np.array([1, -1, width], np.int64))
    yield make_node("Pad", [rows, pads, conv.values_zero_point], f"{name}:padded")
    yield make_node("Shape", [f"{name}:padded"], f"{name}:length64", start=1, end=2)
    yield make_node("Cast", [f"{name}:length64"], f"{name}:length", to=6)  # int32
    yield make_node("Squeeze", [f"{name}:length"], f"{name}:count")
    yield make_node("Sub", [f"{name}:count", end], f"{name}:stop")
    yield make_node("Range", [zero, f"{name}:stop", step_name], f"{name}:starts")
    yield make_node("Unsqueeze", [f"{name}:starts", axis], f"{name}:starts_column")
    yield make_node("Add", [f"{name}:starts_column", offsets_name], f"{name}:indices")
    yield make_node("Gather", [f"{name}:padded", f"{name}:indices"], f"{name}:gathered", axis=1)
    yield make_node("Reshape", [f"{name}:gathered", shape], f"{name}:columns")


# --- matrix products ------------------------------------------------------------------------------


def _signed(weight: Weights) -> Signed:
    return np.ascontiguousarray((weight.astype(np.int16) - SHIFT).astype(np.int8))


def _sign_weights(editor: GraphEditor, node: "NodeProto") -> None:
    """Replace unsigned weights by signed ones, shifted with the zero point: equal products."""
    weight, zero_point = editor.value(node.input[1]), editor.value(node.input[3])
    if weight is None or zero_point is None or weight.dtype != np.uint8:
        return
    if int(weight.max()) >= 2 * SHIFT:
        return
    name, weights = node.output[0], _signed(weight.astype(np.uint8, copy=False))
    signed = editor.constant(f"{node.input[1]}:signed", weights)
    shifted = (zero_point.astype(np.int16) - SHIFT).astype(np.int8)
    shifted_name = editor.constant(f"{name}:zero_point", shifted)
    inputs = [node.input[0], signed, node.input[2], shifted_name]
    editor.replace(name, [make_node("MatMulInteger", inputs, name)])


# --- float parts ----------------------------------------------------------------------------------


def _fuse_instance_norm(editor: GraphEditor, node: "NodeProto") -> None:
    """Fuse (x - mean) / sqrt(variance + eps) * scale + shift, for batches of one."""
    centred, root = (editor.producer.get(name) for name in node.input)
    if centred is None or root is None or (centred.op_type, root.op_type) != ("Sub", "Sqrt"):
        return
    variance = editor.producer.get(root.input[0])
    if variance is None or variance.op_type != "Add":
        return
    epsilon = editor.value(variance.input[1])
    if epsilon is None:
        return
    for scaled in editor.consumers[node.output[0]]:
        shifted = editor.only_user(scaled.output[0], "Add") if scaled.op_type == "Mul" else None
        if shifted is not None:
            scale = next(name for name in scaled.input if name != node.output[0])
            shift = next(name for name in shifted.input if name != scaled.output[0])
            _one_norm(editor, shifted.output[0], centred.input[0], (scale, shift), float(epsilon))


def _one_norm(
    editor: GraphEditor, output: str, values: str, affine: tuple[str, str], epsilon: float
) -> None:
    flat = editor.constant("shape:flat", np.array([-1], np.int64))
    names = [f"{output}:scale", f"{output}:shift"]
    pairs = zip(affine, names, strict=True)
    reshapes = [make_node("Reshape", [source, flat], name) for source, name in pairs]
    norm = make_node("InstanceNormalization", [values, *names], output, epsilon=epsilon)
    editor.replace(output, [*reshapes, norm])


def _replace_square(editor: GraphEditor, node: "NodeProto") -> None:
    """Replace x ** 2 by x * x."""
    exponent, base, output = editor.value(node.input[1]), node.input[0], node.output[0]
    if exponent is not None and exponent.size == 1 and float(exponent.reshape(())) == 2.0:
        editor.replace(output, [make_node("Mul", [base, base], output)])


def _replace_stft(editor: GraphEditor, node: "NodeProto") -> None:
    """Replace a short-time Fourier transform by a strided convolution with cosines and sines."""
    step, window = editor.value(node.input[1]), editor.value(node.input[2])
    if step is None or window is None:
        return
    size = window.size
    angles = 2 * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size
    sines = np.sin(angles)
    sines[[0, -1]] = 0.0  # the lowest and the highest bin are real: avoid rounding noise
    basis = np.concatenate([np.cos(angles), -sines]) * window  # [2 * bins, size]
    name = node.output[0]
    kernel = editor.constant(f"{name}:basis", basis[:, None, :].astype(np.float32))
    split = editor.constant("shape:spectrum", np.array([1, 2, size // 2 + 1, -1], np.int64))
    axis = editor.constant("axes:1", np.array([1], np.int64))
    editor.replace(
        name,
        [
            make_node("Unsqueeze", [node.input[0], axis], f"{name}:wave"),
            make_node("Conv", [f"{name}:wave", kernel], f"{name}:bins", strides=[int(step)]),
            make_node("Reshape", [f"{name}:bins", split], f"{name}:parts"),
            # [1, frames, bins, 2]
            make_node("Transpose", [f"{name}:parts"], name, perm=[0, 3, 2, 1]),
        ],
    )


def _fix_phase(editor: GraphEditor, node: "NodeProto") -> None:
    """Replace imaginary > 0 by >= 0: the phase of negative real numbers is +pi.

    The model was trained with that phase. The published graph gets it from the rounding noise of
    its transform, which the exact transform does not have.
    """
    gathered, bound = editor.producer.get(node.input[0]), editor.value(node.input[1])
    turned = editor.producer.get(gathered.input[0]) if gathered is not None else None
    spectrum = editor.producer.get(turned.input[0]) if turned is not None else None
    if spectrum is None or spectrum.op_type != "STFT" or bound is None or bound.any():
        return
    editor.replace(node.output[0], [make_node("GreaterOrEqual", list(node.input), node.output[0])])
