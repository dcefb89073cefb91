"""Strips that carry rows over: what the next strip needs of this one is kept, and nothing is computed twice.

Each strip takes every op of the group as far down as its part of the outputs asks for, and computes the rows that
are new. An op that also reads rows of earlier strips gets them from what was kept of its input, joined with the new
ones (the data reuse of DeepThings, Zhao, Barijough and Gerstlauer, IEEE TCAD 2018, without its own runtime).

Runtimes run an op when its result is asked for, so a slice that only the next strip reads would come late, and the
whole strip would wait for it in memory. An empty slice of the kept rows, joined with the rows being read, asks early.
Of two inputs of an op a runtime may make either first, in another order in every session. So rows of a tensor that was
not the last one to be made, as skip connections read them, wait for the last rows that were cut or joined before.
"""

from dataclasses import dataclass
from itertools import pairwise

from edgewright.graph.axis_map import AxisMap
from edgewright.graph.geometry import ReceptiveField, axis_maps, full_region, input_regions, output_block
from edgewright.graph.types import Graph, Op, Region
from edgewright.tiling.groups import Group, partitions, rows_of, with_rows
from edgewright.tiling.script import Piece, Script


@dataclass(frozen=True)
class Strips:
    """What each strip computes and keeps, by tensor or op and strip.

    `ends[tensor][strip]` is the row up to which a tensor is made by the end of a strip, `fields[op][strip]` what the op
    reads for its new rows (None where it has none), and `kept[tensor][strip]` the first row that a later strip reads.
    """

    count: int
    ends: dict[str, list[int]]
    fields: dict[str, list[ReceptiveField | None]]
    kept: dict[str, list[int]]

    def new_rows(self, tensor: str, strip: int) -> tuple[int, int]:
        """The rows of a tensor that a strip adds."""
        return (self.ends[tensor][strip - 1] if strip else 0), self.ends[tensor][strip]


def strips_of(group: Group, graph: Graph, count: int) -> Strips:
    """The strips of a group. Raises UnsupportedModelError where a strip would see nothing but padding."""
    ends = _ends(group, graph, count)
    fields: dict[str, list[ReceptiveField | None]] = {}
    for op in group.ops:
        name = next(filter(None, op.outputs))
        whole = full_region(graph.tensors[name])
        starts = [0, *ends[name][:-1]]
        fields[op.name] = [
            input_regions(op, graph, with_rows(whole, start, stop)) if stop > start else None
            for start, stop in zip(starts, ends[name], strict=True)
        ]
    return Strips(count, ends, fields, _kept(group, ends, fields, count))


def _ends(group: Group, graph: Graph, count: int) -> dict[str, list[int]]:
    """How far down each tensor is needed by each strip, from the outputs backward."""
    parts = partitions(graph, group.outputs, (count, 1))
    ends = {name: [stop for _, stop in ranges[0]] for name, ranges in parts.items()}
    inside = {name for op in group.ops for name in op.outputs if name}
    for op in reversed(group.ops):
        made = [name for name in op.outputs if name]
        needed = [max(column) for column in zip(*(ends.get(name, [0] * count) for name in made), strict=True)]
        block = output_block(op)
        size = rows_of(graph, made[0])
        needed = [min(-(-row // block) * block, size) for row in needed]
        ends |= dict.fromkeys(made, needed)
        for name, maps in zip(group.reads(op), axis_maps(op, graph), strict=True):
            if maps is not None and name in inside:
                reach = _reach(maps[0], needed, size)
                ends[name] = [max(pair) for pair in zip(ends.get(name, reach), reach, strict=True)]
    return ends


def _reach(axis: AxisMap, needed: list[int], size: int) -> list[int]:
    """How far down an input is read for the rows up to `needed`; all of it where a strip makes the whole output."""
    found: list[int] = []
    for before, row in pairwise([0, *needed]):
        is_whole = (before, row) == (0, size) and not axis.crops
        stop = axis.size if is_whole else axis.range(0, row)[1] if row else 0
        found.append(max([stop, *found[-1:]]))
    return found


def _kept(
    group: Group, ends: dict[str, list[int]], fields: dict[str, list[ReceptiveField | None]], count: int
) -> dict[str, list[int]]:
    """For each tensor and strip the first row that any later strip reads; its end where there is none."""
    lows = {name: [rows[-1]] * count for name, rows in ends.items()}
    for op in group.ops:
        for strip, field in enumerate(fields[op.name]):
            for name, region in zip(group.reads(op), field.inputs if field else (), strict=False):
                if region is not None and name in lows:
                    lows[name][strip] = min(lows[name][strip], region.ranges[0][0])
    return {name: [min((*rows[strip + 1 :], ends[name][-1])) for strip in range(count)] for name, rows in lows.items()}


def lower_strips(script: Script, group: Group, graph: Graph, count: int) -> None:
    """Write the edits that compute a group in strips that carry rows over."""
    writer = _Writer(script, group, graph, strips_of(group, graph, count))
    for index in range(count):
        writer.strip(index)
    for name, pieces in writer.outputs.items():
        script.join(pieces, name, 0, name)


class _Writer:
    """The state while strips are written: what earlier ones kept of each tensor, and what is new in this one."""

    def __init__(self, script: Script, group: Group, graph: Graph, strips: Strips) -> None:
        self.script, self.group, self.graph, self.strips = script, group, graph, strips
        self.kept: dict[str, Piece] = {}
        self.new: dict[str, Piece] = {}
        self.views: dict[tuple[str, Region], str] = {}
        self.asks: dict[str, str] = {}
        self.outputs: dict[str, list[Piece]] = {name: [] for name in group.outputs}
        self.last: tuple[str, Piece] | None = None
        self.anchor: tuple[str, Piece] | None = None

    def strip(self, index: int) -> None:
        self.new, self.views, self.asks = {}, {}, {}
        kept: dict[str, Piece | None] = {}
        self.anchor = self.last
        for op in self.group.ops:
            field = self.strips.fields[op.name][index]
            if field is None:
                continue
            inputs = [self.view(op, i, region, index) for i, region in enumerate(field.inputs)]
            for name, own in zip(op.outputs, self.script.clone(op, inputs, field, str(index)), strict=True):
                if name:
                    self.add(name, Piece(own, field.made), index)
                    kept[name] = self.keep(name, index)
        self.kept = {name: piece for name, piece in (self.kept | kept).items() if piece is not None}
        ends = [(name, self.new[name]) for name in self.group.ends if name in self.new]
        if self.script.ordered and len(ends) > 1:
            self.last = self.script.all_made(ends, str(index))

    def add(self, name: str, made: Piece, index: int) -> None:
        """New rows of a tensor; what an op makes beyond them is cut off."""
        rows = with_rows(full_region(self.graph.tensors[name]), *self.strips.new_rows(name, index))
        self.new[name] = piece = self.script.cut(name, made, rows, f"{name}.{index}.cut")
        self.last = name, piece
        if name in self.outputs:
            self.outputs[name].append(piece)

    def keep(self, name: str, index: int) -> Piece | None:
        """The rows of a tensor that later strips read."""
        start, stop = self.strips.kept[name][index], self.new[name].region.ranges[0][1]
        if start >= stop:
            return None
        parts = self.parts(name, start, stop, f"{name}.{index}.kept")
        if len(parts) == 1 and parts[0] in (self.new[name], self.kept.get(name)):
            return parts[0]
        kept = parts[0]
        if len(parts) > 1:
            kept = self.script.join(parts, name, 0, self.script.name(f"{name}.{index}.joined"))
        if self.script.ordered:
            self.asks[name] = self.script.empty(name, kept, f"{name}.{index}.ask")
        return kept

    def view(self, op: Op, i: int, region: Region | None, index: int) -> str:
        """The tensor that holds what one input of an op reads."""
        name = op.inputs[i]
        if region is None:
            return name
        if (name, region) not in self.views:
            if name in self.group.through:
                maker = self.group.through[name]
                given = self.view(maker, 0, region, index)
                found = self.script.dequantized(maker, given)
            elif name in self.strips.ends:
                found = self.rows(name, region, index)
            else:
                found = self.script.cut_operand(op, i, region, str(index), self.after()).name
            self.views[name, region] = found
        return self.views[name, region]

    def rows(self, name: str, region: Region, index: int) -> str:
        """Rows of a tensor of the group, kept and new ones joined where both are read."""
        is_last = self.last is not None and self.last[0] == name
        parts = self.parts(name, *region.ranges[0], f"{name}.{index}.cut", "" if is_last else self.after())
        asks = [self.asks.pop(name)] if name in self.asks else []
        found = parts[0]
        if len(parts) + len(asks) > 1:
            found = self.script.join(parts, name, 0, self.script.name(f"{name}.{index}.rows"), asks)
        if found not in (self.kept.get(name), self.new.get(name)):
            self.anchor = name, found
        return found.name

    def after(self) -> str:
        """The last rows that are stored plainly and have been made, so that waiting for them costs no copy."""
        return self.script.anchor(*self.anchor) if self.anchor else ""

    def parts(self, name: str, start: int, stop: int, base: str, after: str = "") -> list[Piece]:
        """The rows of a tensor from what was kept and what is new."""
        found = []
        for piece in (self.kept.get(name), self.new.get(name)):
            if piece is not None:
                low, high = max(start, piece.region.ranges[0][0]), min(stop, piece.region.ranges[0][1])
                if low < high:
                    rows = with_rows(piece.region, low, high)
                    found.append(self.script.cut(name, piece, rows, base, after))
        return found
