"""An independent check of offsets: it runs the network over the bytes of the arena, with names in the place of numbers.

It knows what ops do, and nothing of how the offsets were found. Every byte that is computed has a name of its own; ops
that move bytes move their names. An op must find the names that it would find if every tensor had memory of its own.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
import numpy.typing as npt

from edgewright.graph.types import ITEM_BITS, Graph, Op, Tensor

Names = npt.NDArray[np.int64]
_FORWARD = frozenset({"unary", "binary", "quantize", "dequantize", "cast", "copy"})
"""Kinds whose kernels read item i of an input of the same shape, and then write item i, from the first to the last."""


def overwritten(graph: Graph, offsets: Mapping[str, int], arena_bytes: int) -> tuple[str, ...]:
    """What is wrong with the offsets of a network, a sentence each; empty where every op reads what it should."""
    return tuple(_Replay(graph, offsets, arena_bytes).run())


class _Replay:
    """The arena as names of bytes, and the names that each tensor should have."""

    def __init__(self, graph: Graph, offsets: Mapping[str, int], arena_bytes: int) -> None:
        self.graph, self.offsets = graph, offsets
        self.arena: Names = np.full(arena_bytes, -1, np.int64)
        self.wanted: dict[str, Names] = {}
        self.next_name = 0
        self.found: list[str] = []

    def run(self) -> list[str]:
        for name in dict.fromkeys(self.graph.inputs):
            self.compute(name)
            self.write(name, "the start")
        for op in self.graph.ops:
            self.step(op)
        for name in self.graph.outputs:
            self.read(name, 0, self.graph.tensors[name].size_bytes, "the end")
        return self.found

    def step(self, op: Op) -> None:
        given = [name for name in dict.fromkeys(op.inputs) if name and not self.is_elsewhere(name)]
        cut = self.moved(op)
        for name in given:
            start, stop = cut if op.kind == "slice" and cut else (0, self.graph.tensors[name].size_bytes)
            self.read(name, start, stop, f"op {op.name!r}")
        for name in filter(None, op.outputs):
            if cut is not None:
                self.wanted[name] = np.concatenate([self.wanted[one] for one in op.inputs])[cut[0] : cut[1]]
            else:
                self.compute(name)
            for other in given:
                self.check_own(op, name, other, cut)
            self.write(name, f"op {op.name!r}")

    def is_elsewhere(self, name: str) -> bool:
        """Whether a tensor has its bytes outside of what is planned: constants, and variables."""
        return self.graph.tensors[name].is_constant or self.graph.tensors[name].is_variable

    def moved(self, op: Op) -> tuple[int, int] | None:
        """For an op that only moves whole rows, the range of its inputs, side by side, that it makes; else None."""
        if op.kind not in {"reshape", "concat", "slice"}:
            return None
        if any(not name or self.is_elsewhere(name) for name in op.inputs):
            return None
        given, made = self.graph.tensors[op.inputs[0]], self.graph.tensors[op.outputs[0]]
        if op.kind == "slice":
            return self.cut_rows(op, given, made)
        leading = made.shape[: op.attributes["axis"]] if op.kind == "concat" else ()
        return (0, made.size_bytes) if prod(leading) == 1 else None

    def cut_rows(self, op: Op, given: Tensor, made: Tensor) -> tuple[int, int] | None:
        """The range of bytes that a slice takes, where they lie side by side."""
        differing = [axis for axis, (a, b) in enumerate(zip(given.shape, made.shape, strict=True)) if a != b]
        if len(differing) > 1 or set(op.attributes["steps"]) - {1}:
            return None
        if not differing:
            return 0, given.size_bytes
        axis = differing[0]
        row = prod(given.shape[axis + 1 :]) * ITEM_BITS[given.dtype] // 8
        start = row * op.attributes["starts"][op.attributes["axes"].index(axis)]
        return (start, start + made.size_bytes) if prod(given.shape[:axis]) == 1 else None

    def compute(self, name: str) -> None:
        """New names for all bytes of a tensor."""
        size = self.graph.tensors[name].size_bytes
        self.wanted[name] = np.arange(self.next_name, self.next_name + size, dtype=np.int64)
        self.next_name += size

    def read(self, name: str, start: int, stop: int, reader: str) -> None:
        place = self.offsets[name]
        if not np.array_equal(self.arena[place + start : place + stop], self.wanted[name][start:stop]):
            self.found.append(f"{reader} reads {name!r}, some bytes of which are lost")

    def write(self, name: str, writer: str) -> None:
        place, size = self.offsets[name], self.graph.tensors[name].size_bytes
        if place < 0 or place + size > len(self.arena):
            self.found.append(f"{writer} writes {name!r} outside of the arena")
            return
        self.arena[place : place + size] = self.wanted[name]

    def check_own(self, op: Op, made: str, given: str, cut: tuple[int, int] | None) -> None:
        """An op must not write over what it reads of an input before it has read it."""
        one, other = self.graph.tensors[made], self.graph.tensors[given]
        start, stop = cut if op.kind == "slice" and cut else (0, other.size_bytes)
        here, there = self.offsets[made], self.offsets[given]
        low, high = max(here, there + start), min(here + one.size_bytes, there + stop)
        if low >= high:
            return
        if cut is not None and np.array_equal(self.wanted[made][low - here : high - here], self.arena[low:high]):
            return
        narrows = ITEM_BITS.get(one.dtype, 64) <= ITEM_BITS.get(other.dtype, 0)
        is_in_step = here == there and one.shape == other.shape and narrows and op.inputs.count(given) == 1
        if op.kind not in _FORWARD or not is_in_step:
            self.found.append(f"op {op.name!r} writes {made!r} over its own input {given!r}")
