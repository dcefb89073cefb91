"""What lies in nodes and their subgraphs: names that they read, tensors that they store."""

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto


def subgraphs_of(attribute: AttributeProto) -> Iterator[GraphProto]:
    """The graphs that an attribute holds: the branches of If, the body of Loop and Scan."""
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def reads(node: NodeProto) -> list[str]:
    """Names of the tensors that a node reads, those that its subgraphs take from outside included."""
    found = dict.fromkeys(name for name in node.input if name)
    for attribute in node.attribute:
        for subgraph in subgraphs_of(attribute):
            found |= dict.fromkeys(_captured(subgraph))
    return list(found)


def _captured(graph: GraphProto) -> Iterator[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        yield from (name for name in reads(node) if name not in own)
        own |= set(node.output)
    yield from (value.name for value in graph.output if value.name not in own)


def has_subgraph(node: NodeProto) -> bool:
    """Whether the node is control flow: If, Loop, Scan."""
    return any(True for attribute in node.attribute for _ in subgraphs_of(attribute))


def tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor stored in a graph: initializers and those in attributes, subgraphs included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for subgraph in subgraphs_of(attribute):
                yield from tensors_of(subgraph)
