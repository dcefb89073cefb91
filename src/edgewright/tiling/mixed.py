"""Strips of mixed halos: rows of narrow tensors are carried, rows of wide ones computed again from those.

What a strip carries is cut, joined and, in runtimes with a blocked layout, brought out of it and back: three copies of
a whole tensor in all. Between two convolutions it takes less to carry a few rows more of what the first one reads, and
have it make the rows of its output again that both strips need.
"""

from edgewright.graph.axis_map import AxisMap
from edgewright.graph.geometry import axis_maps, tileable
from edgewright.graph.types import Graph, Op

UNITS = frozenset({"unary", "normalization", "quantize"})
"""Ops that runtimes run as one with the op before them."""


def computed_again(graph: Graph) -> frozenset[str]:
    """The tensors that strips of mixed halos do not carry, where their only reader is in the same group.

    Those are read with a halo, or by an op whose output is computed again, and made of no more bytes than they have.
    An activation goes with the op before it, as runtimes run both as one.
    """
    makers, readers = graph.producers(), graph.consumers()
    found: set[str] = set()
    for op in reversed(graph.ops):
        name = op.outputs[0]
        if len(op.outputs) > 1 or name in graph.outputs or len(readers[name]) != 1:
            continue
        if op.kind == "dequantize" or not tileable(op, graph):
            continue
        (reader,) = readers[name]
        needs_rows = reader.outputs[0] in found or _has_halo(reader, name, graph)
        if needs_rows and _bytes_read(op, graph, makers) <= graph.tensors[name].size_bytes:
            found.add(name)
    return frozenset(found)


def _has_halo(op: Op, name: str, graph: Graph) -> bool:
    """Whether neighbouring rows of what an op makes read the same rows of a tensor."""
    if not tileable(op, graph) or op.kind == "dequantize":
        return False
    maps = axis_maps(op, graph)[op.inputs.index(name)]
    return maps is not None and _overlaps(maps[0])


def _overlaps(axis: AxisMap) -> bool:
    return axis.last - axis.first >= max(axis.step, axis.divisor - 1, 1)


def _bytes_read(op: Op, graph: Graph, makers: dict[str, Op]) -> int:
    """Bytes of the activations that an op reads; of an activation those of the op before it."""
    while op.kind in UNITS and op.inputs[0] in makers:
        op = makers[op.inputs[0]]
    return sum(graph.tensors[name].size_bytes for name in op.inputs if name and not graph.tensors[name].is_constant)
