"""Tiles whose halo is cut off at the end of the group, not at every skip connection.

What a skip connection carries past some windows is wider by their halo than what they make of it, and has to be cut
before both are joined. A cut is a copy, in runtimes with a blocked layout one out of it and one back. Where all ops in
between are convolutions and elementwise ops, they can as well make the wider tile: windows are padded where the halo
ends, and what they make of padding lies outside of all that is needed, as it does not spread further than halos do.
It is cut off where the tile is joined with others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from edgewright.graph.geometry import ReceptiveField, axis_maps, full_region, input_regions
from edgewright.graph.padding import Expresses
from edgewright.graph.types import Graph, Op, Region
from edgewright.tiling.groups import Group

_WINDOWED = frozenset({"conv", "depthwise_conv"})
_ALIKE = frozenset({"unary", "normalization", "binary", "concat"})
_MOST_SWEEPS = 16


def with_late_cuts(
    group: Group, graph: Graph, needed: Mapping[str, Region], expresses: Expresses
) -> dict[str, ReceptiveField]:
    """What each op of a tile reads and makes, where `needed` has what is needed of each tensor of the tile."""
    widening = _Widening(group, graph, needed, expresses)
    for _ in range(_MOST_SWEEPS):
        if not widening.sweep():
            break
    return widening.fields


@dataclass
class _Widening:
    """Forward through a tile again and again, until what is joined has one size."""

    group: Group
    graph: Graph
    needed: Mapping[str, Region]
    expresses: Expresses
    wanted: dict[str, Region] = field(default_factory=dict)
    made: dict[str, Region] = field(default_factory=dict)
    fields: dict[str, ReceptiveField] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wanted = dict(self.needed)
        self.makers = {name: op for op in self.group.ops for name in op.outputs}
        self.outside = self._shared_inputs()

    def sweep(self) -> bool:
        """Whether more is wanted of a tensor than before."""
        before = dict(self.wanted)
        self.made, self.fields = dict(self.outside), {}
        for op in self.group.ops:
            name = next(filter(None, op.outputs))
            if name in self.wanted:
                self.fields[op.name] = found = self._field(op, name)
                self.made |= {one: found.made for one in op.outputs if one in self.wanted}
        return self.wanted != before

    def _shared_inputs(self) -> dict[str, Region]:
        """What is read of each tensor from outside that several ops read, all together."""
        found: dict[str, list[Region]] = {}
        for op in self.group.ops:
            name = next(filter(None, op.outputs))
            if name in self.wanted:
                regions = input_regions(op, self.graph, self.wanted[name]).inputs
                for given, region in zip(op.inputs, regions, strict=True):
                    if region is not None and given in self.group.inputs and self._is_whole(op, given):
                        found.setdefault(given, []).append(region)
        return {name: reduce(Region.hull, regions) for name, regions in found.items() if len(regions) > 1}

    def _is_whole(self, op: Op, name: str) -> bool:
        """Whether an op reads a tensor that moves along with what it makes on every axis."""
        maps = axis_maps(op, self.graph)[op.inputs.index(name)]
        return maps is not None and all(axis.step for axis in maps)

    def _field(self, op: Op, name: str) -> ReceptiveField:
        """What an op makes of what is there; only what is needed of it, with a cut, where there is no other way."""
        found = None
        if op.kind in _WINDOWED and op.inputs[0] in self.made:
            found = self._window(op, input_regions(op, self.graph, self.wanted[name]), self.made[op.inputs[0]])
        elif op.kind in _ALIKE:
            found = self._alike(op, self.wanted[name])
        return found or input_regions(op, self.graph, self.needed[name])

    def _alike(self, op: Op, wanted: Region) -> ReceptiveField | None:
        """An op that makes as much as it reads of all that is there already."""
        given = [name for name in op.inputs if name in self.made and self._is_whole(op, name)]
        if not given:
            return None
        hull = reduce(Region.hull, (self.made[name] for name in given), wanted)
        for name in given:
            if self.made[name] != hull and self._can_grow(name):
                self.wanted[name] = hull
        if any(self.made[name] != hull for name in given):
            return None
        return input_regions(op, self.graph, hull)

    def _can_grow(self, name: str) -> bool:
        return name in self.makers and self.makers[name].kind in _WINDOWED | _ALIKE

    def _window(self, op: Op, exact: ReceptiveField, given: Region) -> ReceptiveField | None:
        """A convolution that reads all of its input's tile; None where it can't without a cut."""
        assert op.window is not None
        window, whole = op.window, full_region(self.graph.tensors[next(filter(None, op.outputs))])
        ranges, padding, more = [], [], []
        for i, ((low, high), (start, stop)) in enumerate(zip(exact.made.ranges, given.ranges, strict=True)):
            stride, extent, before = window.stride[i], window.extent[i], window.padding[i][0]
            first = min(low, max((start + before) // stride, 0))
            pad_before = start - (first * stride - before)
            beyond = (high - 1) * stride - before + extent - stop
            last = high + max(-beyond // stride, 0)
            pad_after = max((last - 1) * stride - before + extent - stop, 0)
            if pad_before < 0 or last > whole.ranges[i][1]:
                return None
            more.append((start - max(pad_before - extent + 1, 0), stop + max(pad_after - extent + 1, 0)))
            ranges.append((first, last))
            padding.append((pad_before, pad_after))
        region, left = Region(tuple(ranges)), tuple(padding)
        if Region(tuple(more)) != given:
            if self._can_grow(op.inputs[0]):
                self.wanted[op.inputs[0]] = self.wanted[op.inputs[0]].hull(Region(tuple(more)))
            return None
        if left != exact.padding and not self.expresses(op, given.shape, left):
            return None
        return replace(exact, inputs=(given, *exact.inputs[1:]), padding=left, made=region)
