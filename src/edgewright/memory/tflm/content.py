"""Where the bytes of each activation come from, and how long each of them is needed.

Cutting whole rows, joining them, and reshaping move bytes and make none. A tensor that is one of these has the bytes of
other tensors, so that both may lie in the same place: the kernel then copies every byte onto itself. And a tensor that
is only read in cuts is needed, row by row, only as long as a later cut reads that row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from edgewright.graph.types import ITEM_BITS, Graph, Op, Tensor

Origin = tuple[int, int, str, int]
"""Bytes from a start to a stop of a tensor are those of the named one from a start on."""

Life = tuple[int, int, int, int]
"""Bytes from a start to a stop of a tensor live from one moment to another, both included."""

_ELEMENTWISE = frozenset({"unary", "binary", "quantize", "dequantize", "cast", "copy"})


@dataclass(frozen=True)
class View:
    """The bytes of tensor `inner` are those of `outer` from `start` on."""

    inner: str
    outer: str
    start: int


def views(op: Op, graph: Graph) -> tuple[View, ...]:
    """What an op that moves bytes says of its input and output; none for an op that computes."""
    made = op.outputs[0] if op.outputs else ""
    if op.kind == "reshape" and graph.tensors[op.inputs[0]].size_bytes == graph.tensors[made].size_bytes:
        return (View(made, op.inputs[0], 0),)
    if op.kind == "slice":
        start = _cut_start(op, graph.tensors[op.inputs[0]])
        return () if start is None else (View(made, op.inputs[0], start),)
    if op.kind == "concat" and prod(graph.tensors[made].shape[: op.attributes["axis"]]) == 1:
        found, start = [], 0
        for name in op.inputs:
            found.append(View(name, made, start))
            start += graph.tensors[name].size_bytes
        return tuple(found)
    return ()


def is_elementwise(op: Op, graph: Graph, given: str) -> bool:
    """Whether an op may write item by item over `given`, from the first to the last: it reads none again by then."""
    if op.kind not in _ELEMENTWISE or len(op.outputs) != 1:
        return False
    before, made = graph.tensors[given], graph.tensors[op.outputs[0]]
    narrows = ITEM_BITS.get(made.dtype, 0) <= ITEM_BITS.get(before.dtype, 0)
    return before.shape == made.shape and narrows and op.inputs.count(given) == 1


def origins(graph: Graph) -> dict[str, tuple[Origin, ...]]:
    """For each activation the tensors that its bytes were computed as, in order."""
    found: dict[str, tuple[Origin, ...]] = {}

    def own(name: str) -> tuple[Origin, ...]:
        return ((0, graph.tensors[name].size_bytes, name, 0),)

    for name in graph.inputs:
        found[name] = own(name)
    for op in graph.ops:
        moved = views(op, graph)
        if moved and op.kind == "concat":
            parts = [_shifted(found.get(view.inner) or own(view.inner), view.start) for view in moved]
            found[op.outputs[0]] = tuple(_merged(origin for part in parts for origin in part))
        elif moved:
            view = moved[0]
            size = graph.tensors[view.inner].size_bytes
            found[view.inner] = cut(found.get(view.outer) or own(view.outer), view.start, view.start + size)
        else:
            found |= {name: own(name) for name in op.outputs if name}
    return found


def cut(parts: tuple[Origin, ...], start: int, stop: int) -> tuple[Origin, ...]:
    """The origins of a range of bytes, counted from its start."""
    found = []
    for low, high, name, begin in parts:
        a, b = max(low, start), min(high, stop)
        if a < b:
            found.append((a - start, b - start, name, begin + a - low))
    return tuple(found)


def lives(graph: Graph) -> dict[str, tuple[Life, ...]]:
    """When each byte of an activation is needed. Op i runs at moment i + 1; inputs are there at moment 0."""
    born = dict.fromkeys(graph.inputs, 0)
    reads: dict[str, list[tuple[int, int, int]]] = {}
    for moment, op in enumerate(graph.ops, 1):
        born |= dict.fromkeys(filter(None, op.outputs), moment)
        moved = {view.outer: view for view in views(op, graph) if op.kind == "slice"}
        for name in filter(None, op.inputs):
            start, size = 0, graph.tensors[name].size_bytes
            if name in moved:
                start, size = moved[name].start, graph.tensors[moved[name].inner].size_bytes
            reads.setdefault(name, []).append((moment, start, start + size))
    for name in graph.outputs:
        reads.setdefault(name, []).append((len(graph.ops), 0, graph.tensors[name].size_bytes))
    return {name: tuple(_lives(graph.tensors[name], moment, reads.get(name, []))) for name, moment in born.items()}


def _lives(tensor: Tensor, born: int, reads: list[tuple[int, int, int]]) -> Iterator[Life]:
    edges = sorted({0, tensor.size_bytes, *(edge for _, start, stop in reads for edge in (start, stop))})
    pending: Life | None = None
    for start, stop in pairwise(edges):
        last = max((moment for moment, low, high in reads if low <= start and stop <= high), default=born)
        if pending and pending[3] == last:
            pending = (pending[0], stop, born, last)
        else:
            if pending:
                yield pending
            pending = (start, stop, born, last)
    if pending:
        yield pending


def _cut_start(op: Op, given: Tensor) -> int | None:
    """The byte where a cut of whole rows begins; None where what it cuts does not lie side by side."""
    found = op.attributes
    cuts = [(axis, start, end) for axis, start, end in zip(found["axes"], found["starts"], found["ends"], strict=True)
            if (start, end) != (0, given.shape[axis])]  # fmt: skip
    if any(step != 1 for step in found["steps"]) or len(cuts) > 1:
        return None
    if not cuts:
        return 0
    ((axis, start, _),) = cuts
    if prod(given.shape[:axis]) != 1:
        return None
    return int(start) * prod(given.shape[axis + 1 :]) * ITEM_BITS.get(given.dtype, 0) // 8


def _shifted(parts: tuple[Origin, ...], by: int) -> Iterator[Origin]:
    for low, high, name, begin in parts:
        yield low + by, high + by, name, begin


def _merged(parts: Iterator[Origin]) -> Iterator[Origin]:
    """Neighbours that are one piece of the same tensor, as one."""
    pending: Origin | None = None
    for low, high, name, begin in parts:
        if pending and pending[2] == name and pending[3] + pending[1] - pending[0] == begin:
            pending = (pending[0], high, name, pending[3])
        else:
            if pending:
                yield pending
            pending = (low, high, name, begin)
    if pending:
        yield pending


def same_bytes(one: tuple[Origin, ...], other: tuple[Origin, ...], start: int, stop: int, shift: int) -> bool:
    """Whether bytes `start` to `stop` of one tensor are those of the other from `start - shift` on."""
    mine = tuple(_merged(iter(cut(one, start, stop))))
    return mine == tuple(_merged(iter(cut(other, start - shift, stop - shift))))


Contents = Mapping[str, tuple[Origin, ...]]
