"""Strips of mixed halos: rows of some tensors are carried, rows of others computed again from those.

What a strip carries is cut, joined and, in runtimes with a blocked layout, brought out of it and back: three copies of
a whole tensor in all. Between two convolutions it often takes less to have the first one make the rows that both strips
need again, of a few rows more of what it reads. The lower the strips, the more of their rows those are: so which
tensors are carried depends on how many strips there are.
"""

from edgewright.graph.axis_map import AxisMap, tiled_axes
from edgewright.graph.geometry import axis_maps, tileable
from edgewright.graph.types import Graph, Op
from edgewright.tiling.rates import Rates, macs_of

UNITS = frozenset({"unary", "normalization", "quantize"})
"""Ops that runtimes run as one with the op before them."""
_RATES = Rates(copies=3.0)
_CARRYING_OPS = 4
"""Ops that bring rows from one strip to the next, those around a blocked layout among them."""
_COUNTS = (4, 8, 20)
"""Counts of strips that are told apart; each stands for those up to half as many more."""


def count_like(strips: int) -> int:
    """The count of strips that stands for one."""
    return next((count for count in _COUNTS if strips <= count * 3 // 2), _COUNTS[-1])


def computed_again(graph: Graph, strips: int) -> frozenset[str]:
    """The tensors that about so many strips of mixed halos do not carry, where their only reader is in the same group.

    Those are read with a halo, or by an op whose output is computed again. Making their rows again takes less time than
    carrying them, and what they are made of is no wider: of an op with a halo, which has to have rows of that carried
    anyway, no more than twice as wide. An activation goes with the op before it, as runtimes run both as one.
    """
    makers, readers = graph.producers(), graph.consumers()
    borders = count_like(strips) - 1
    shared: dict[str, int] = {}
    """Rows that neighbouring strips both make, of each tensor that is computed again."""
    for op in reversed(graph.ops):
        name = op.outputs[0]
        if len(op.outputs) > 1 or name in graph.outputs or len(readers[name]) != 1:
            continue
        if op.kind == "dequantize" or not tileable(op, graph):
            continue
        (reader,) = readers[name]
        rows = _rows_shared(reader, name, graph, shared.get(reader.outputs[0], 0))
        maker, size = _maker(op, makers), graph.tensors[name].size_bytes
        again_s = borders * rows * macs_of(maker, graph) / _rows(name, graph) / _RATES.macs_per_s
        carried_s = borders * _CARRYING_OPS * _RATES.op_s + _RATES.copy_s(size)
        if rows and again_s <= carried_s and _bytes_asked(maker, graph) <= size:
            shared[name] = rows
    return frozenset(shared)


def _rows_shared(op: Op, name: str, graph: Graph, rows: int) -> int:
    """Rows of a tensor that an op reads in two neighbouring strips which both make so many of its own."""
    axis = _row_map(op, name, graph)
    if axis is None or not (rows or _overlaps(axis)):
        return 0
    return ((rows - 1) * axis.step + axis.last - axis.first) // axis.divisor + 1


def _overlaps(axis: AxisMap) -> bool:
    """Whether neighbouring rows of what an op makes read the same rows of what it reads."""
    return axis.last - axis.first >= max(axis.step, axis.divisor - 1, 1)


def _row_map(op: Op, name: str, graph: Graph) -> AxisMap | None:
    if not tileable(op, graph) or op.kind == "dequantize":
        return None
    maps = axis_maps(op, graph)[op.inputs.index(name)]
    return maps[0] if maps is not None else None


def _maker(op: Op, makers: dict[str, Op]) -> Op:
    """The op that computes, of an activation the one before it."""
    while op.kind in UNITS and op.inputs[0] in makers:
        op = makers[op.inputs[0]]
    return op


def _bytes_asked(op: Op, graph: Graph) -> float:
    """Bytes of the activations that an op reads; those that it reads with a halo count half."""
    names = [name for name in op.inputs if name and not graph.tensors[name].is_constant]
    maps = [_row_map(op, name, graph) for name in names]
    halves = [0.5 if axis is not None and _overlaps(axis) else 1.0 for axis in maps]
    return sum(half * graph.tensors[name].size_bytes for half, name in zip(halves, names, strict=True))


def _rows(name: str, graph: Graph) -> int:
    axes = tiled_axes(graph.tensors[name])
    return max(graph.tensors[name].shape[axes[0]], 1) if axes else 1
