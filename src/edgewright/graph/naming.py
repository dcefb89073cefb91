"""Names of ops where a file has none."""

from dataclasses import replace

from edgewright.graph.types import Graph


def named_after_outputs(graph: Graph) -> Graph:
    """The network with each op named after its first output, as read from files that name no ops.

    Ops without an output keep their name.
    """
    ops = (replace(op, name=next(filter(None, op.outputs), op.name)) for op in graph.ops)
    return replace(graph, ops=tuple(ops))
