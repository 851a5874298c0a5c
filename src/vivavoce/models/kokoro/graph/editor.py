"""Edit an ONNX graph: look up producers, consumers and constants, and replace nodes.

This module knows no particular model. It needs `onnx` only when it is used.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class GraphEditor:
    """The producers and consumers of a graph's values, and the edits that `finish` will apply."""

    def __init__(self, model: "ModelProto") -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.producer = {name: node for node in self.graph.node for name in node.output}
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        # Output of the replaced node → the new nodes.
        self.replacements: dict[str, list[NodeProto]] = {}

    def value(self, name: str) -> NDArray[np.generic] | None:
        """Return the constant called `name`, or None if the graph computes it."""
        from onnx import numpy_helper

        return numpy_helper.to_array(self.constants[name]) if name in self.constants else None

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def replace(self, output: str, nodes: "list[NodeProto]") -> None:
        """Replace the node that makes `output` by `nodes`, the last of which makes it."""
        self.replacements[output] = nodes

    def only_user(self, name: str, op_type: str) -> "NodeProto | None":
        users = self.consumers.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == op_type else None

    def finish(self) -> None:
        """Write the edits into the graph, and drop unused nodes and constants."""
        new, old = self.replacements, self.graph.node
        nodes = [each for node in old for each in new.get(node.output[0], [node])]
        needed = {output.name for output in self.graph.output}
        kept: list[NodeProto] = []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        constants = [tensor for name, tensor in self.constants.items() if name in needed]
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(reversed(kept))
        self.graph.initializer.extend(constants)


def make_node(
    op_type: str,
    inputs: list[str],
    output: str,
    domain: str = "",
    **attributes: int | float | list[int],
) -> "NodeProto":
    from onnx import helper

    node = helper.make_node(op_type, inputs, [output], name=f"{output}:{op_type}", domain=domain)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def read_attributes(node: "NodeProto") -> dict[str, list[int]]:
    return {attribute.name: list(attribute.ints) for attribute in node.attribute}
