"""Tensors that share bytes: a cut lies in what it is cut from, joined rows lie where they are joined, and an
elementwise op writes over what it reads.

Tensors become blocks whose parts keep their distance. Two tensors are put in one block only if no part of one is
written over bytes that are still needed; what is not certain is left apart.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edgewright.graph.types import Graph, Tensor
from edgewright.memory.tflm.content import (
    Contents,
    Life,
    View,
    is_elementwise,
    lives,
    origins,
    same_bytes,
    views,
)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of one tensor in a block, from a start to a stop, that live from one moment to another, both included."""

    tensor: str
    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Block:
    """Parts at fixed distances; `starts` is where each tensor of it begins, `size_bytes` the whole length."""

    starts: dict[str, int]
    parts: tuple[Part, ...]
    size_bytes: int

    @property
    def first(self) -> int:
        return min(part.first for part in self.parts)

    @property
    def last(self) -> int:
        return max(part.last for part in self.parts)


MOVES = frozenset({"concat", "slice", "reshape", "elementwise"})
"""Which tensors may share bytes: joined rows, cuts, reshaped tensors, and those that elementwise ops write over."""


def blocks(graph: Graph, share: Collection[str] = MOVES) -> tuple[Block, ...]:
    """The activations of a graph in blocks; one block each, which lives as a whole, where nothing is to be shared."""
    known = {name: found for name, found in lives(graph).items() if not _has_own_place(graph.tensors[name])}
    if not share:
        known = {name: _whole(found) for name, found in known.items()}
    joining = _Joining(graph, known)
    for kind, view in _moves(graph):
        if kind in share:
            joining.join(view)
    return joining.result()


def _has_own_place(tensor: Tensor) -> bool:
    """Constants stay in flash, and variables have a buffer in the tail."""
    return tensor.is_constant or tensor.is_variable


def _whole(found: tuple[Life, ...]) -> tuple[Life, ...]:
    """All bytes of a tensor live as long as any of them."""
    if not found:
        return ()
    return ((found[0][0], found[-1][1], min(life[2] for life in found), max(life[3] for life in found)),)


def _moves(graph: Graph) -> Iterator[tuple[str, View]]:
    """Who may lie in whom: what is joined first, as a piece can lie in one place alone; then the cheap copies."""
    found = [(op.kind, view) for op in graph.ops for view in views(op, graph)]
    yield from ((kind, view) for kind, view in found if kind == "concat")
    yield from ((kind, view) for kind, view in found if kind != "concat")
    for op in graph.ops:
        given = [name for name in dict.fromkeys(op.inputs) if name and is_elementwise(op, graph, name)]
        for name in sorted(given, key=lambda name: -graph.tensors[name].size_bytes):
            yield "elementwise", View(op.outputs[0], name, 0)


class _Joining:
    """Tensors and the block that each of them is in, with the place where it begins there."""

    def __init__(self, graph: Graph, known: dict[str, tuple[Life, ...]]) -> None:
        self.graph, self.known = graph, known
        self.contents: Contents = origins(graph)
        self.makers = graph.producers()
        self.place = {name: (number, 0) for number, name in enumerate(known)}
        self.members = [[name] for name in known]
        self.largest = [graph.tensors[name].size_bytes for name in known]

    def join(self, view: View) -> None:
        """Put two tensors into one block where nothing speaks against it."""
        if view.inner not in self.place or view.outer not in self.place:
            return
        (inner, inside), (outer, outside) = self.place[view.inner], self.place[view.outer]
        if inner == outer:
            return
        shift = outside + view.start - inside
        moved = {name: self.place[name][1] + shift for name in self.members[inner]}
        if not self._is_compact(outer, moved) or not all(
            self._may_meet(one, start, other, self.place[other][1])
            for one, start in moved.items()
            for other in self.members[outer]
        ):
            return
        self.place |= {name: (outer, start) for name, start in moved.items()}
        self.members[outer] += self.members[inner]
        self.members[inner] = []
        self._settle(outer)

    def _is_compact(self, outer: int, moved: dict[str, int]) -> bool:
        """Blocks grow no longer than their longest tensor: they would slide along, and could not be placed."""
        sizes = [(start, start + self.graph.tensors[name].size_bytes) for name, start in moved.items()]
        sizes += [(self.place[name][1], self.place[name][1] + self.graph.tensors[name].size_bytes)
                  for name in self.members[outer]]  # fmt: skip
        span = max(stop for _, stop in sizes) - min(start for start, _ in sizes)
        return span <= max(stop - start for start, stop in sizes)

    def _settle(self, outer: int) -> None:
        """Count from the lowest byte."""
        lowest = min(self.place[name][1] for name in self.members[outer])
        for name in self.members[outer]:
            self.place[name] = outer, self.place[name][1] - lowest

    def _may_meet(self, one: str, start: int, other: str, begin: int) -> bool:
        """Whether two tensors at these places never spoil one another."""
        size, length = self.graph.tensors[one].size_bytes, self.graph.tensors[other].size_bytes
        if start >= begin + length or begin >= start + size:
            return True
        for low, high, first, last in self.known[one]:
            for bottom, top, born, dies in self.known[other]:
                if first > dies or born > last:
                    continue
                a, b = max(start + low, begin + bottom), min(start + high, begin + top)
                if a < b and not self._is_harmless(one, start, other, begin, (a, b), (first, last, born, dies)):
                    return False
        return True

    def _is_harmless(
        self, one: str, start: int, other: str, begin: int, where: tuple[int, int], when: tuple[int, int, int, int]
    ) -> bool:
        """Whether the bytes are the same for both, or one is written item by item over the other, which ends."""
        mine, theirs = self.contents[one], self.contents[other]
        if same_bytes(mine, theirs, where[0] - start, where[1] - start, begin - start):
            return True
        first, last, born, dies = when
        if start != begin:
            return False
        return (last == born and self._writes_over(other, one)) or (dies == first and self._writes_over(one, other))

    def _writes_over(self, made: str, given: str) -> bool:
        op = self.makers.get(made)
        return op is not None and given in op.inputs and is_elementwise(op, self.graph, given)

    def result(self) -> tuple[Block, ...]:
        return tuple(self._block(members) for members in self.members if members)

    def _block(self, members: Sequence[str]) -> Block:
        starts = {name: self.place[name][1] for name in members}
        parts = tuple(
            Part(name, start + low, start + high, first, last)
            for name, start in starts.items()
            for low, high, first, last in self.known[name]
        )
        return Block(starts, parts, max(start + self.graph.tensors[name].size_bytes for name, start in starts.items()))
