"""Cut Kokoro's rewritten graph into a reader of text and a vocoder of windows of frames.

- `text` reads a whole run, up to the frames and the source signal of the vocoder. It is a small
  part of the work.
- `lower` and `upper` make the audio of all frames, one after the other. Their instance norms
  measure the run.
- `windows` makes the audio of some frames. It is given the measures of its norms.

This module knows the shape of the graph. It does not know text, voices or audio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vivavoce.models.kokoro.graph.editor import GraphEditor, make_node, read_attributes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

TEXT, LOWER, UPPER, WINDOWS = "text", "lower", "upper", "windows"
RATES = (10, 6)  # of the vocoder's two upsamplings
_FLOAT, _INT64 = 1, 7  # as in onnx.TensorProto


@dataclass(frozen=True, slots=True)
class _Seams:
    """The places at which a graph is cut."""

    durations: str
    frames: str
    source: str
    upper: str  # input of the second upsampling
    joined: str  # its output, with the source added: what `lower` hands to `upper`
    upper_source: "NodeProto"  # the node that hands the source on at the upper rate
    norms: "Sequence[NodeProto]"  # of the vocoder
    lower_norms: int  # of these, so many are before `joined`


def cut(model: "ModelProto") -> "dict[str, ModelProto]":
    """Return the parts of `model` by name, or none if it is not Kokoro's graph.

    Time is in frames of 12.5 ms, and `norms` is the number of all channels that are normalised.

    - text: the inputs of `model` → durations [1, tokens] (each of two frames), frames [1, channels,
      time], source [1, bins, 60 * time + 1], gain [norms], bias [norms]
    - lower: frames, source, gain, bias → joined [1, channels, 60 * time + 1], mean, power (each of
      the norms before it)
    - upper: joined, gain, bias → audio, mean, power (of the other norms)
    - windows: frames, source, scale [norms], shift [norms], start [1], stop [1] → audio from frame
      start to frame stop
    """
    editor = GraphEditor(model)
    seams = _find_seams(editor)
    if seams is None:
        return {}
    names = {"durations": seams.durations, "frames": seams.frames, "source": seams.source}
    text = [make_node("Identity", [source], name) for name, source in names.items()]
    for name, place in (("gain", 1), ("bias", 2)):
        text.append(make_node("Concat", [n.input[place] for n in seams.norms], name, axis=0))
    nodes = list(model.graph.node)
    inputs = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    kinds = {"durations": _INT64, **dict.fromkeys(("frames", "source", "gain", "bias"), _FLOAT)}
    audio = {value.name: _FLOAT for value in model.graph.output}
    return {
        TEXT: _part(model, editor, [*nodes, *text], inputs, kinds),
        LOWER: _part(
            model,
            editor,
            _measured(editor, seams, nodes, slice(seams.lower_norms)),
            dict.fromkeys(("frames", "source", "gain", "bias"), _FLOAT),
            dict.fromkeys(("joined", "mean", "power"), _FLOAT),
        ),
        UPPER: _part(
            model,
            editor,
            _measured(editor, seams, nodes, slice(seams.lower_norms, None)),
            dict.fromkeys(("joined", "gain", "bias"), _FLOAT),
            {**audio, "mean": _FLOAT, "power": _FLOAT},
        ),
        WINDOWS: _part(
            model,
            editor,
            _windows(editor, seams, nodes),
            {
                **dict.fromkeys(("frames", "source", "scale", "shift"), _FLOAT),
                **dict.fromkeys(("start", "stop"), _INT64),
            },
            audio,
        ),
    }


def _find_seams(editor: GraphEditor) -> _Seams | None:
    nodes = list(editor.graph.node)
    ups = [
        node
        for node in nodes
        if node.op_type == "ConvTranspose" and read_attributes(node)["strides"][0] in RATES
    ]
    rounded = [node for node in nodes if node.op_type == "Round"]
    spectra = [node for node in nodes if _is_spectrum(editor, node)]
    if not (len(ups) == 2 and len(rounded) == len(spectra) == 1):
        return None
    clipped = editor.only_user(rounded[0].output[0], "Clip")
    cast = editor.only_user(clipped.output[0], "Cast") if clipped is not None else None
    rows = [
        node
        for node in editor.consumers[f"{spectra[0].output[0]}_dynamic_quantized"]
        if editor.only_user(node.output[0], "MatMulIntegerToFloat") is not None
    ]
    if cast is None or len(rows) != 1:
        return None
    later = {ups[0].input[0], spectra[0].output[0]}
    for node in nodes:
        if later.intersection(node.input):
            later.update(node.output)
    norms = [n for n in nodes if n.op_type == "InstanceNormalization" and n.input[0] in later]
    frames, upper = (node.input[0] for node in ups)
    after = nodes.index(ups[1])
    upper_norms = [n for n in norms if nodes.index(n) > after]
    return _Seams(
        durations=cast.output[0],
        frames=frames,
        source=spectra[0].output[0],
        upper=upper,
        joined=upper_norms[0].input[0],
        upper_source=rows[0],
        norms=norms,
        lower_norms=len(norms) - len(upper_norms),
    )


def _is_spectrum(editor: GraphEditor, node: "NodeProto") -> bool:
    """True if `node` joins the magnitudes and the phases of the source signal."""
    if node.op_type != "Concat" or len(node.input) != 2:
        return False
    makers = [editor.producer.get(name) for name in node.input]
    return [maker.op_type for maker in makers if maker is not None] == ["Sqrt", "Where"]


def _measured(
    editor: GraphEditor, seams: _Seams, nodes: "Sequence[NodeProto]", part: slice
) -> "list[NodeProto]":
    """Return one part of the vocoder, whose norms take their parameters and give their measures."""
    begin, measures = _split(editor, seams, ("gain", "bias")), []
    numbered = list(enumerate(seams.norms))
    axes = editor.constant("axes:0:2", np.array([0, 2], np.int64))
    for number, norm in numbered[part]:
        values, square = norm.input[0], f"square:{number}"
        measures.append(make_node("ReduceMean", [values, axes], f"mean:{number}", keepdims=0))
        measures.append(make_node("Mul", [values, values], square))
        measures.append(make_node("ReduceMean", [square, axes], f"power:{number}", keepdims=0))
    for name in ("mean", "power"):
        each = [f"{name}:{number}" for number, _ in numbered[part]]
        measures.append(make_node("Concat", each, name, axis=0))
    normed = {
        norm.output[0]: [_renamed(norm, [norm.input[0], f"gain:{number}", f"bias:{number}"])]
        for number, norm in numbered
    }
    if part.start is None:
        seam = [*_seam(seams), make_node("Identity", [seams.joined], "joined")]
    else:
        seam = [make_node("Identity", ["joined"], seams.joined)]
    return [*seam, *begin, *_replaced(nodes, normed), *measures]


def _windows(editor: GraphEditor, seams: _Seams, nodes: "Sequence[NodeProto]") -> "list[NodeProto]":
    """Return the vocoder with affine maps as norms, and less context at the upper rate."""
    begin, normed = _split(editor, seams, ("scale", "shift")), {}
    column = editor.constant("shape:column", np.array([1, -1, 1], np.int64))
    for number, norm in enumerate(seams.norms):
        for name in ("scale", "shift"):
            source, output = f"{name}:{number}", f"{name}:{number}:column"
            begin.append(make_node("Reshape", [source, column], output))
        scaled, output = f"scaled:{number}", norm.output[0]
        normed[output] = [
            make_node("Mul", [norm.input[0], f"scale:{number}:column"], scaled),
            make_node("Add", [scaled, f"shift:{number}:column"], output),
        ]
    lower, upper = (
        editor.constant(f"rate:{rate}", np.array([rate], np.int64))
        for rate in (RATES[0], RATES[0] * RATES[1])
    )
    one = editor.constant("int64:1", np.array([1], np.int64))
    time = editor.constant("axis:2", np.array([2], np.int64))
    begin += [
        make_node("Mul", ["start", lower], "lower:start"),
        make_node("Mul", ["stop", lower], "lower:stop"),
        make_node("Mul", ["start", upper], "source:start"),
        make_node("Mul", ["stop", upper], "source:last"),
        make_node("Add", ["source:last", one], "source:stop"),
    ]
    rows, cropped, source = seams.upper_source, f"{seams.upper}:window", "source:window"
    for node in nodes:
        if seams.upper in node.input:
            inputs = [cropped if name == seams.upper else name for name in node.input]
            crop = make_node("Slice", [seams.upper, "lower:start", "lower:stop", time], cropped)
            normed[node.output[0]] = [crop, _renamed(node, inputs)]
    crop = make_node("Slice", [rows.input[0], "source:start", "source:stop", time], source)
    normed[rows.output[0]] = [crop, _renamed(rows, [source])]
    return [*_seam(seams), *begin, *_replaced(nodes, normed)]


def _seam(seams: _Seams) -> "list[NodeProto]":
    """Return the nodes that hand the inputs on under the names of the graph."""
    pairs = (("frames", seams.frames), ("source", seams.source))
    return [make_node("Identity", [name], output) for name, output in pairs]


def _split(editor: GraphEditor, seams: _Seams, names: Sequence[str]) -> "list[NodeProto]":
    """Return the nodes that split vectors over all norms into one for each norm."""
    from onnx import helper

    sizes = np.array([_channels(editor, norm) for norm in seams.norms], np.int64)
    sizes_name = editor.constant("norms", sizes)
    return [
        helper.make_node(
            "Split",
            [name, sizes_name],
            [f"{name}:{number}" for number in range(len(sizes))],
            axis=0,
        )
        for name in names
    ]


def _channels(editor: GraphEditor, norm: "NodeProto") -> int:
    """Return the channels of a norm: the rows of a convolution from or to its values."""
    ahead = [norm.output[0]]
    while ahead:
        for node in editor.consumers.get(ahead.pop(0), []):
            if node.op_type == "Conv" and (weight := editor.value(node.input[1])) is not None:
                return int(weight.shape[1])
            if node.op_type == "Reshape" and node.output[0].endswith(":columns"):
                width = editor.value(node.input[1])
                taps = node.output[0].removesuffix(":columns")
                offsets = editor.producer[f"{taps}:indices"].input[1]
                assert width is not None
                return int(width[2]) // int(offsets.split(":")[1])
            ahead += node.output
    raise ValueError(f"the norm {norm.output[0]!r} feeds no convolution")


def _replaced(
    nodes: "Sequence[NodeProto]", new: "Mapping[str, list[NodeProto]]"
) -> "list[NodeProto]":
    return [each for node in nodes for each in new.get(node.output[0], [node])]


def _renamed(node: "NodeProto", inputs: list[str]) -> "NodeProto":
    """Return a copy of `node` with other inputs."""
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.input[:]
    copy.input.extend(inputs)
    return copy


def _part(
    model: "ModelProto",
    editor: GraphEditor,
    nodes: "Sequence[NodeProto]",
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
) -> "ModelProto":
    """Return a model of those `nodes` that `outputs` need. The first maker of a value counts."""
    from onnx import helper

    makers: dict[str, NodeProto] = {}
    for node in nodes:
        for name in node.output:
            makers.setdefault(name, node)
    needed, pending, kept = set(inputs), list(outputs), set()
    while pending:
        name = pending.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in makers:
            kept.add(id(makers[name]))
            pending += makers[name].input
    graph = helper.make_graph(
        [node for node in nodes if id(node) in kept],
        "kokoro",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [tensor for name, tensor in editor.constants.items() if name in needed],
    )
    part = helper.make_model(graph, opset_imports=list(model.opset_import))
    part.ir_version = model.ir_version
    return part
