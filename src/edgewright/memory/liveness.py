"""Lifetimes of activations in execution order, the peak that follows from them, and places in an arena.

A tensor lives from the op that makes it to the last op that reads it. Inputs of the network live from the start and its
outputs to the end. The most bytes that live at once are a lower bound: no allocator can do with less.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from edgewright.graph.types import Graph, Op

VIEWS = frozenset({"reshape"})
"""Kinds whose output is their input's bytes under another shape."""

IN_PLACE = frozenset({"unary", "binary", "normalization", "copy"})
"""Kinds that can write their output over an input of the same size that nobody reads any more."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that one or more tensors hold one after the other, from op `first` to op `last`, both included.

    `first` is -1 for an input of the network; `last` is the number of ops for what outlives them all.
    """

    tensors: tuple[str, ...]
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Timeline:
    """Bytes that live while each op runs, in execution order."""

    live_bytes: tuple[int, ...]
    buffers: tuple[Buffer, ...]

    @property
    def peak_bytes(self) -> int:
        return max(self.live_bytes, default=0)

    @property
    def peak_index(self) -> int:
        """Index of the first op at the peak."""
        return self.live_bytes.index(self.peak_bytes) if self.live_bytes else 0

    def live_at(self, index: int) -> list[Buffer]:
        """Who holds the memory while one op runs, the largest first."""
        alive = [buffer for buffer in self.buffers if buffer.first <= index <= buffer.last]
        return sorted(alive, key=lambda buffer: -buffer.size_bytes)


@dataclass(frozen=True)
class Arena:
    """A place for each activation in one block of memory; `peak_op` is the first op at the peak of lifetimes."""

    offsets_bytes: dict[str, int]
    peak_bytes: int
    peak_op: str


def buffers(graph: Graph, in_place: bool = True, inputs_held: bool = True) -> tuple[Buffer, ...]:
    """The lifetimes of all activations.

    `in_place` lets elementwise ops write over an input that dies with them; `inputs_held` keeps the network's inputs
    to the end, as they belong to the caller (false for runtimes that copy them into their arena).
    """
    end = len(graph.ops)
    last = _last_reads(graph, inputs_held)
    holder: dict[str, int] = {}
    members: list[list[str]] = []
    sizes: list[int] = []
    born: list[int] = []
    dies: list[int] = []

    def hold(name: str, index: int) -> None:
        holder[name] = len(members)
        members.append([name])
        sizes.append(graph.tensors[name].size_bytes)
        born.append(index)
        dies.append(last.get(name, index))

    for name in dict.fromkeys(graph.inputs):
        if not graph.tensors[name].is_constant:
            hold(name, -1)
    for index, op in enumerate(graph.ops):
        for position, name in enumerate(op.outputs):
            if not name or graph.tensors[name].is_constant:
                continue
            shared = _shared(op, graph, name, holder, sizes, dies, index, in_place) if position == 0 else None
            if shared is None:
                hold(name, index)
            else:
                holder[name] = shared
                members[shared].append(name)
                dies[shared] = max(dies[shared], last.get(name, index))
    lasts = (min(die, end) for die in dies)
    columns = zip(members, sizes, born, lasts, strict=True)
    return tuple(Buffer(tuple(names), size, first, die) for names, size, first, die in columns)


def timeline(graph: Graph, in_place: bool = True, inputs_held: bool = True) -> Timeline:
    """Live bytes at each op; see `buffers` for the options."""
    found = buffers(graph, in_place, inputs_held)
    steps = len(graph.ops)
    change = [0] * (steps + 2)
    for buffer in found:
        change[max(buffer.first, 0)] += buffer.size_bytes
        change[buffer.last + 1] -= buffer.size_bytes
    return Timeline(tuple(accumulate(change[:steps])), found)


def lower_bound(graph: Graph, in_place: bool = True, inputs_held: bool = True) -> int:
    """Bytes that no allocator can go below: the most that live at once."""
    return timeline(graph, in_place, inputs_held).peak_bytes


def by_size(buffer: Buffer) -> tuple[int, ...]:
    """The order in which buffers are placed: the largest first."""
    return -buffer.size_bytes, buffer.first


def place(
    graph: Graph,
    in_place: bool = True,
    inputs_held: bool = True,
    alignment_bytes: int = 64,
    order: Callable[[Buffer], tuple[int, ...]] = by_size,
) -> Arena:
    """An arena: buffers in `order`, each into the smallest gap that fits among those that live with it.

    Greedy by size, of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference"
    (arXiv 2001.03288).
    """
    found = timeline(graph, in_place, inputs_held)
    placed: list[tuple[int, int, Buffer]] = []
    offsets: dict[str, int] = {}
    top = 0
    for buffer in sorted(found.buffers, key=order):
        size = -(-buffer.size_bytes // alignment_bytes) * alignment_bytes
        rivals = [(a, b) for a, b, other in placed if other.first <= buffer.last and buffer.first <= other.last]
        offset = best_gap(sorted(rivals), size)
        placed.append((offset, offset + size, buffer))
        offsets |= dict.fromkeys(buffer.tensors, offset)
        top = max(top, offset + buffer.size_bytes)
    peak_op = graph.ops[found.peak_index].name if graph.ops else ""
    return Arena(offsets, top, peak_op)


def _last_reads(graph: Graph, inputs_held: bool) -> dict[str, int]:
    end = len(graph.ops)
    last = {name: index for index, op in enumerate(graph.ops) for name in (*op.outputs, *op.inputs) if name}
    kept = (*graph.outputs, *graph.inputs) if inputs_held else graph.outputs
    return last | dict.fromkeys(kept, end)


def _shared(
    op: Op,
    graph: Graph,
    output: str,
    holder: dict[str, int],
    sizes: Sequence[int],
    dies: Sequence[int],
    index: int,
    in_place: bool,
) -> int | None:
    """The buffer that the output takes over from an input, if any."""
    if op.kind in VIEWS:
        return holder.get(op.inputs[0]) if op.inputs else None
    if not in_place or op.kind not in IN_PLACE:
        return None
    size = graph.tensors[output].size_bytes
    for name in op.inputs:
        found = holder.get(name)
        if found is not None and dies[found] <= index and sizes[found] == size:
            return found
    return None


def best_gap(taken: Iterable[tuple[int, int]], size: int) -> int:
    """The start of the smallest gap of at least `size` bytes between ranges in order, or the end of all."""
    best, best_size, free = -1, -1, 0
    for start, stop in taken:
        gap = start - free
        if gap >= size and (best < 0 or gap < best_size):
            best, best_size = free, gap
        free = max(free, stop)
    return best if best >= 0 else free
