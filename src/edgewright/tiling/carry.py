"""Strips that carry rows over: what the next strip needs of this one is kept, and nothing is computed twice.

Each strip takes every op of the group as far down as its part of the outputs asks for, and computes the rows that
are new. An op that also reads rows of earlier strips gets them from what was kept of its input, joined with the new
ones (the data reuse of DeepThings, Zhao, Barijough and Gerstlauer, IEEE TCAD 2018, without its own runtime).

Runtimes run an op when its result is asked for, so a slice that only the next strip reads would come late, and the
whole strip would wait for it in memory. An empty slice of the kept rows, joined with the rows being read, asks early.
Of two inputs of an op a runtime may make either first, in another order in every session. So rows of a tensor that was
not the last one to be made, as skip connections read them, wait for the last rows that were cut or joined before.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from edgewright.graph.geometry import ReceptiveField, full_region, input_regions, output_block
from edgewright.graph.types import Graph, Op, Region
from edgewright.tiling.groups import Group, partitions, rows_of, with_rows
from edgewright.tiling.script import Piece, Script

_NEVER = 1 << 40


@dataclass(frozen=True)
class Strips:
    """What each strip computes and keeps, by tensor or op and strip.

    `rows[tensor][strip]` are the rows of a tensor that a strip makes, `fields[op][strip]` what the op reads for them
    (None where it makes none), and `kept[tensor][strip]` the first row that a later strip reads.
    """

    count: int
    rows: dict[str, list[tuple[int, int]]]
    fields: dict[str, list[ReceptiveField | None]]
    kept: dict[str, list[int]]


def strips_of(group: Group, graph: Graph, count: int, again: Collection[str] = ()) -> Strips:
    """The strips of a group; rows of the tensors `again` are computed in each strip that reads them, and not kept.

    Raises UnsupportedModelError where a strip would see nothing but padding.
    """
    parts = partitions(graph, group.outputs, (count, 1))
    needs = _Needs(group, count, {name: [stop for _, stop in ranges[0]] for name, ranges in parts.items()})
    rows: dict[str, list[tuple[int, int]]] = {}
    fields: dict[str, list[ReceptiveField | None]] = {}
    for op in reversed(group.ops):
        made = [name for name in op.outputs if name]
        found = needs.rows(made, rows_of(graph, made[0]), output_block(op), made[0] in again)
        rows |= dict.fromkeys(made, found)
        whole = full_region(graph.tensors[made[0]])
        fields[op.name] = [
            input_regions(op, graph, with_rows(whole, *each)) if each[1] > each[0] else None for each in found
        ]
        needs.read(op, fields[op.name])
    kept = {name: needs.kept(name, each) for name, each in rows.items()}
    return Strips(count, rows, fields, {name: first for name, first in kept.items() if name not in again})


class _Needs:
    """What is read of each tensor in each strip, from the outputs of a group backward."""

    def __init__(self, group: Group, count: int, ends: dict[str, list[int]]) -> None:
        self.group, self.count = group, count
        self.ends = ends
        """The row up to which a tensor is read by the end of each strip."""
        self.lows: dict[str, list[int]] = {}
        """The first row that each strip reads."""

    def rows(self, names: Sequence[str], size: int, block: int, is_again: bool) -> list[tuple[int, int]]:
        """The rows that each strip has to make: new ones, or all that it reads."""
        nothing = [0] * self.count
        ends = [max(column) for column in zip(*(self.ends.get(name, nothing) for name in names), strict=True)]
        stops = [min(-(-row // block) * block, size) for row in ends]
        if not is_again or names[0] not in self.lows:
            return list(zip([0, *stops[:-1]], stops, strict=True))
        starts = (min(low // block * block, stop) for low, stop in zip(self.lows[names[0]], stops, strict=True))
        return list(zip(starts, stops, strict=True))

    def read(self, op: Op, fields: Sequence[ReceptiveField | None]) -> None:
        """Take in what an op reads in each strip; where it reads nothing, that ends where it did before."""
        for i, name in enumerate(self.group.reads(op)):
            regions = [field.inputs[i] if field else None for field in fields]
            if not any(regions):
                continue
            ends = accumulate((region.ranges[0][1] if region else 0 for region in regions), max)
            lows = [region.ranges[0][0] if region else _NEVER for region in regions]
            self.ends[name] = [max(pair) for pair in zip(self.ends.get(name, [0] * self.count), ends, strict=True)]
            self.lows[name] = [min(pair) for pair in zip(self.lows.get(name, lows), lows, strict=True)]

    def kept(self, name: str, rows: Sequence[tuple[int, int]]) -> list[int]:
        """For each strip the first row of a tensor that any later strip reads; its end where there is none."""
        lows, end = self.lows.get(name, []), rows[-1][1]
        return [min((*lows[strip + 1 :], end)) for strip in range(self.count)]


def lower_strips(script: Script, group: Group, graph: Graph, count: int, again: Collection[str] = ()) -> None:
    """Write the edits that compute a group in strips that carry rows over, but for those of the tensors `again`."""
    writer = _Writer(script, group, graph, strips_of(group, graph, count, again))
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
        rows = with_rows(full_region(self.graph.tensors[name]), *self.strips.rows[name][index])
        self.new[name] = piece = self.script.cut(name, made, rows, f"{name}.{index}.cut")
        self.last = name, piece
        if name in self.outputs:
            self.outputs[name].append(piece)

    def keep(self, name: str, index: int) -> Piece | None:
        """The rows of a tensor that later strips read."""
        stop = self.new[name].region.ranges[0][1]
        start = self.strips.kept[name][index] if name in self.strips.kept else stop
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
            elif name in self.strips.rows:
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
