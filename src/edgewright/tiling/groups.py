"""A fused group within its network: what it reads from outside, what it gives, and how its outputs are divided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from edgewright.errors import UnsupportedModelError
from edgewright.graph.axis_map import tiled_axes
from edgewright.graph.geometry import full_region, tileable
from edgewright.graph.types import Graph, Op, Region


@dataclass(frozen=True)
class Group:
    """Ops of a convex set in execution order, the activations they read from outside, and those read outside.

    `through` has the dequantize op of each tensor that one makes. Runtimes compute an op on integers where a dequantize
    op stands right before it, so nothing may come between them: what an op reads through one is cut and kept in front
    of the dequantize op, and each reader has its own.
    """

    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    through: Mapping[str, Op]

    @property
    def ends(self) -> tuple[str, ...]:
        """What no op of the group reads: when all of it is made, all of the group was run."""
        read = {name for op in self.ops for name in op.inputs}
        return tuple(name for op in self.ops for name in op.outputs if name and name not in read)

    def reads(self, op: Op) -> tuple[str, ...]:
        """What an op reads; the quantized tensors in the place of dequantized ones."""
        return tuple(self.through[name].inputs[0] if name in self.through else name for name in op.inputs)


def group_of(graph: Graph, op_names: Iterable[str]) -> Group:
    """The group of these ops.

    Raises UnsupportedModelError where one of them can't be tiled, or where a tensor leaves the group and comes back.
    """
    wanted = set(op_names)
    ops = tuple(op for op in graph.ops if op.name in wanted)
    if len(ops) < len(wanted):
        raise UnsupportedModelError(f"no op is named {min(wanted - {op.name for op in ops})!r}")
    for op in ops:
        if not tileable(op, graph):
            raise UnsupportedModelError(f"op {op.name!r} ({op.variant or op.kind}) can't be computed in tiles")
    _check_convex(graph, wanted)
    made = {name for op in ops for name in op.outputs if name}
    read = dict.fromkeys(name for op in ops for name in op.inputs if name and not graph.tensors[name].is_constant)
    outside = {name for op in graph.ops if op.name not in wanted for name in op.inputs} | set(graph.outputs)
    outputs = tuple(name for op in ops for name in op.outputs if name in outside)
    through = {op.outputs[0]: op for op in ops if op.kind == "dequantize"}
    return Group(ops, tuple(name for name in read if name not in made), outputs, through)


def partitions(graph: Graph, outputs: Iterable[str], grid: tuple[int, int]) -> dict[str, list[list[tuple[int, int]]]]:
    """Ranges of each output for each part of each spatial axis; those of the last output are as equal as they can be.

    Outputs of other resolutions are cut at the same places. Raises UnsupportedModelError where a part would be empty.
    """
    sizes = {name: full_region(graph.tensors[name]).shape for name in outputs}
    *_, last = sizes.values()
    if grid[1] > 1 and any(len(its) < 2 for its in sizes.values()):
        raise UnsupportedModelError(f"what has rows alone can't be cut into {grid[1]} columns")
    found: dict[str, list[list[tuple[int, int]]]] = {name: [] for name in sizes}
    for name, its in sizes.items():
        for axis, size in enumerate(its):
            parts, least = grid[axis] if axis < 2 else 1, (*last, 1, 1)[axis]
            ranges = list(pairwise(boundary(least, parts, i) * size // least for i in range(parts + 1)))
            if any(start == stop for start, stop in ranges):
                raise UnsupportedModelError(f"{size} rows or columns can't be cut into {parts} tiles")
            found[name].append(ranges)
    return found


def boundary(size: int, parts: int, index: int) -> int:
    """Where part `index` begins when `size` rows are divided as equally as they can be."""
    return (2 * index * size + parts) // (2 * parts)


def rows_of(graph: Graph, name: str) -> int:
    """The size of the first spatial axis."""
    tensor = graph.tensors[name]
    return tensor.shape[tiled_axes(tensor)[0]]


def with_rows(whole: Region, start: int, stop: int) -> Region:
    """Some rows of a feature map, over the full width."""
    return Region(((start, stop), *whole.ranges[1:]))


def _check_convex(graph: Graph, wanted: set[str]) -> None:
    inside: set[str] = set()
    left: set[str] = set()
    for op in graph.ops:
        if op.name in wanted:
            if not left.isdisjoint(op.inputs):
                raise UnsupportedModelError(f"op {op.name!r} reads what other ops make of its own group's outputs")
            inside.update(op.outputs)
        elif not inside.isdisjoint(op.inputs) or not left.isdisjoint(op.inputs):
            left.update(op.outputs)
