"""A network in the numbers that the search works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from edgewright.graph.axis_map import AxisMap, tiled_axes
from edgewright.graph.geometry import axis_maps, crops, output_block, tileable
from edgewright.graph.padding import Expresses, any_padding, can_be_cut
from edgewright.graph.types import Graph, Op
from edgewright.memory.liveness import IN_PLACE, buffers, timeline
from edgewright.tiling.mixed import UNITS, computed_again, count_like
from edgewright.tiling.rates import OpTime, macs_of

_SAME = AxisMap(1, 0, 0, 1, 1)


@dataclass(frozen=True)
class Feature:
    """An activation: rows and columns (the first two spatial axes) of pixels of so many bytes, all channels together.

    `maker` is the index of the op that makes it, -1 for inputs of the network; `readers` are those that read it.
    """

    name: str
    rows: int
    columns: int
    pixel_bytes: int
    maker: int
    readers: tuple[int, ...]
    is_output: bool

    @property
    def size_bytes(self) -> int:
        return self.rows * self.row_bytes

    @property
    def row_bytes(self) -> int:
        return self.columns * self.pixel_bytes

    def leaves(self, end: int) -> bool:
        """Whether something reads it at op `end` or later."""
        return self.is_output or any(reader >= end for reader in self.readers)


@dataclass(frozen=True)
class Step:
    """An op: `reads` has each activation that it reads in part, with the maps of its rows and columns.

    What it reads through a dequantize op is the quantized tensor (see `Group.through`); `copies` has, for each of its
    reads, bytes of a pixel of the dequantized one, else 0.
    """

    op: Op
    tileable: bool
    reads: tuple[tuple[str, AxisMap, AxisMap], ...]
    copies: tuple[int, ...]
    makes: tuple[str, ...]
    block: int
    in_place: bool
    time: OpTime
    macs: int


@dataclass(frozen=True)
class Outline:
    """Steps and features of a network, the bytes that live at each op of it, and where it may be cut.

    `is_tall` where some window reaches further along the rows than along the columns. `again` tells the tensors
    that so many strips of mixed halos compute again.
    """

    steps: tuple[Step, ...]
    features: dict[str, Feature]
    live_bytes: tuple[int, ...]
    spans: tuple[tuple[int, int, int], ...]
    cuts: tuple[int, ...]
    is_tall: bool
    again: Callable[[int], frozenset[str]]

    def held_bytes(self, start: int, end: int) -> int:
        """Bytes made before op `start` that are still needed at op `end` or later."""
        return sum(size for first, last, size in self.spans if first < start and last >= end)


def outline(graph: Graph, times: Mapping[str, OpTime], expresses: Expresses = any_padding) -> Outline:
    """The outline of a network whose ops take these times, in a format that writes this padding."""
    makers = {name: index for index, op in enumerate(graph.ops) for name in op.outputs}
    through = {op.outputs[0]: op.inputs[0] for op in graph.ops if op.kind == "dequantize" and tileable(op, graph)}
    can_tile = [tileable(op, graph) and can_be_cut(op, expresses) for op in graph.ops]
    readers: dict[str, list[int]] = {}
    seen: dict[str, list[int]] = {}
    for index, op in enumerate(graph.ops):
        for name in dict.fromkeys(op.inputs):
            readers.setdefault(name, []).append(index)
            seen.setdefault(through.get(name, name) if can_tile[index] else name, []).append(index)
    features = {}
    for name, tensor in graph.tensors.items():
        axes = tiled_axes(tensor)
        if tensor.is_constant or not axes:
            continue
        rows, columns = (*(tensor.shape[axis] for axis in axes[:2]), 1)[:2]
        pixel = tensor.size_bytes // max(rows * columns, 1)
        found = tuple(dict.fromkeys(seen.get(name, ())))
        features[name] = Feature(name, rows, columns, pixel, makers.get(name, -1), found, name in graph.outputs)
    steps = tuple(_step(op, graph, features, times, through, can) for op, can in zip(graph.ops, can_tile, strict=True))
    spans = tuple((one.first, one.last, one.size_bytes) for one in buffers(graph, in_place=False))
    is_tall = any(
        op.window and len(op.window.extent) > 1 and op.window.extent[0] > op.window.extent[1] for op in graph.ops
    )
    again = cache(partial(computed_again, graph))
    return Outline(
        steps,
        features,
        timeline(graph).live_bytes,
        spans,
        _cuts(graph, readers, makers),
        is_tall,
        lambda strips: again(count_like(strips)),
    )


def _step(
    op: Op,
    graph: Graph,
    features: dict[str, Feature],
    times: Mapping[str, OpTime],
    through: Mapping[str, str],
    can_tile: bool,
) -> Step:
    time, macs = times.get(op.name, OpTime()), macs_of(op, graph)
    makes = tuple(name for name in op.outputs if name)
    if not can_tile:
        return Step(op, False, (), (), makes, 1, False, time, macs)
    reads: dict[str, tuple[str, AxisMap, AxisMap]] = {}
    copies: dict[str, int] = {}
    for name, maps in zip(op.inputs, axis_maps(op, graph), strict=True):
        if maps is not None and name in features:
            rows, columns = (*maps, _SAME)[:2]
            source = through.get(name, name)
            reads[source] = source, rows, columns
            copies[source] = features[name].pixel_bytes if source != name else 0
    is_crop = crops(op, graph)
    in_place = op.kind in IN_PLACE or is_crop
    if is_crop:  # what it reads is cut, and that is all
        time = OpTime()
    return Step(op, True, tuple(reads.values()), tuple(copies.values()), makes, output_block(op), in_place, time, macs)


def _cuts(graph: Graph, readers: dict[str, list[int]], makers: dict[str, int]) -> tuple[int, ...]:
    """Positions between ops where a group may begin or end.

    An elementwise op stays with the op before it, as runtimes run both as one, and dequantized tensors are not cut,
    as integer ops are made of the dequantize ops before them and the quantize ops behind.
    """
    closed: set[int] = set()
    for name, indices in readers.items():
        if name not in makers:
            continue
        first, maker = makers[name] + 1, graph.ops[makers[name]]
        if maker.kind == "dequantize":
            closed.update(range(first, max(indices) + 1))
        if len(indices) == 1 and name not in graph.outputs and graph.ops[indices[0]].kind in UNITS:
            closed.update(range(first, indices[0] + 1))
    return tuple(i for i in range(len(graph.ops) + 1) if i not in closed)
