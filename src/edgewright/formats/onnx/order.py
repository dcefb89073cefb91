"""The order of nodes: names made once, and before they are read."""

from collections.abc import Sequence

from onnx import GraphProto, NodeProto

from edgewright.errors import ModelError
from edgewright.formats.onnx.reading import reads
from edgewright.graph.ordering import stable_order


def check_names(graph: GraphProto, source: str) -> None:
    """Raise ModelError where a tensor is made twice, or read and made by nothing."""
    made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    made |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        for name in node.output:
            if name and name in made:
                raise ModelError(f"{source}: tensor {name!r} is made twice")
            made.add(name)
    for node in graph.node:
        for name in reads(node):
            if name not in made:
                raise ModelError(f"{source}: op {node.name or node.op_type!r} reads {name!r}, which nothing makes")
    for value in graph.output:
        if value.name not in made:
            raise ModelError(f"{source}: nothing makes the output {value.name!r}")


def in_order(nodes: Sequence[NodeProto], source: str) -> list[NodeProto]:
    """The nodes in topological order, as near to their own order as can be. Raises ModelError for a cycle."""
    order = stable_order([reads(node) for node in nodes], [node.output for node in nodes])
    if len(order) < len(nodes):
        stuck = nodes[min(set(range(len(nodes))) - set(order))]
        raise ModelError(f"{source}: the network has a cycle through op {stuck.name or stuck.op_type!r}")
    return [nodes[index] for index in order]
