"""Tiles that stand by themselves: what neighbours share at their borders is computed in each of them.

The tiles of a group run one after the other, each through all ops of the group (depth first), as in MAFAT
(arXiv 2107.06960). Regions are found backward: what an op has to make is the hull of what its readers need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from edgewright.graph.axis_map import tiled_axes
from edgewright.graph.geometry import ReceptiveField, input_regions
from edgewright.graph.types import Graph, Op, Region
from edgewright.tiling.groups import Group, partitions
from edgewright.tiling.late_cut import with_late_cuts
from edgewright.tiling.script import Piece, Script


@dataclass(frozen=True)
class Tile:
    """One tile of a group: the region of each tensor that it makes, and what each op of it reads."""

    made: Mapping[str, Region]
    fields: Mapping[str, ReceptiveField]


def tile_of(group: Group, graph: Graph, outputs: Mapping[str, Region]) -> Tile:
    """The tile that makes these regions of the group's outputs. Raises UnsupportedModelError as `input_regions`."""
    needed = dict(outputs)
    fields: dict[str, ReceptiveField] = {}
    inside = {name for op in group.ops for name in op.outputs}
    for op in reversed(group.ops):
        found = [needed[name] for name in op.outputs if name in needed]
        if not found:
            continue
        region = found[0]
        for other in found[1:]:
            region = region.hull(other)
        needed |= dict.fromkeys(filter(None, op.outputs), region)
        fields[op.name] = field = input_regions(op, graph, region)
        for name, part in zip(group.reads(op), field.inputs, strict=True):
            if part is not None and name in inside:
                needed[name] = part.hull(needed[name]) if name in needed else part
    return Tile({name: needed[name] for name in inside if name in needed}, fields)


def tiles_of(
    group: Group, graph: Graph, grid: tuple[int, int]
) -> dict[tuple[int, int], tuple[Tile, dict[str, Region]]]:
    """Every tile of a grid with the regions of the outputs that it makes, those with the most bytes first.

    Finished tiles wait until all are joined, so that the largest should run while the fewest are waiting.
    """
    parts = partitions(graph, group.outputs, grid)
    found = {}
    for index in product(range(grid[0]), range(grid[1])):
        regions = {name: _region(ranges, index) for name, ranges in parts.items()}
        found[index] = (tile_of(group, graph, regions), regions)
    return dict(sorted(found.items(), key=lambda item: -tile_bytes(item[1][0], graph)))


def tile_bytes(tile: Tile, graph: Graph) -> int:
    """Bytes of all that a tile makes."""
    total = 0
    for name, region in tile.made.items():
        tensor = graph.tensors[name]
        space = prod(tensor.shape[axis] for axis in tiled_axes(tensor))
        total += tensor.size_bytes * prod(region.shape) // max(space, 1)
    return total


def lower_tiles(script: Script, group: Group, graph: Graph, grid: tuple[int, int]) -> None:
    """Write the edits that compute a group in a grid of tiles that stand by themselves."""
    made: dict[str, dict[tuple[int, int], Piece]] = {name: {} for name in group.outputs}
    last: tuple[str, Piece] | None = None
    for index, (tile, regions) in tiles_of(group, graph, grid).items():
        fields = tile.fields
        if script.cuts_late and not group.through:
            fields = with_late_cuts(group, graph, tile.made, script.expresses)
        pieces, last = _write_tile(script, group, graph, fields, regions, f"{index[0]}.{index[1]}", last)
        for name, piece in pieces.items():
            made[name][index] = piece
    rows, columns = grid
    for name, tiles in made.items():
        lines = [[tiles[row, column] for column in range(columns)] for row in range(rows)]
        if rows == 1:
            script.join(lines[0], name, 1, name)
        elif columns == 1:
            script.join([line[0] for line in lines], name, 0, name)
        else:
            strips = [script.join(line, name, 1, script.name(f"{name}.{row}")) for row, line in enumerate(lines)]
            script.join(strips, name, 0, name)


def _region(ranges: Sequence[Sequence[tuple[int, int]]], index: tuple[int, int]) -> Region:
    return Region(tuple(parts[index[axis]] if axis < 2 else parts[0] for axis, parts in enumerate(ranges)))


def _write_tile(
    script: Script,
    group: Group,
    graph: Graph,
    fields: Mapping[str, ReceptiveField],
    regions: Mapping[str, Region],
    label: str,
    last: tuple[str, Piece] | None,
) -> tuple[dict[str, Piece], tuple[str, Piece]]:
    """The edits of one tile, which waits for `last`; the pieces of the group's outputs, and of what is made last.

    What is cut of a tensor that was not the last one to be made, as skip connections read it, waits for the cut before:
    of two inputs of an op a runtime may make either first, in another order in every session.
    """
    pieces: dict[str, Piece] = {}
    cuts: dict[tuple[str, Region], Piece] = {}
    newest, anchor = "", last

    def waits() -> str:
        """The last piece that was cut: it is stored plainly, so that waiting for it costs no copy."""
        return script.anchor(*anchor) if anchor else ""

    def view(op: Op, index: int, region: Region | None) -> str:
        nonlocal anchor
        name = op.inputs[index]
        if region is None:
            return name
        if (name, region) not in cuts:
            if name in group.through:
                maker = group.through[name]
                cuts[name, region] = Piece(script.dequantized(maker, view(maker, 0, region)), region)
            elif name in pieces:
                after = "" if name == newest else waits()
                cuts[name, region] = script.cut(name, pieces[name], region, f"{name}.{label}.cut", after)
                if cuts[name, region] != pieces[name]:
                    anchor = name, cuts[name, region]
            else:
                cuts[name, region] = script.cut_operand(op, index, region, label, waits())
        return cuts[name, region].name

    for op in (op for op in group.ops if op.name in fields):
        field = fields[op.name]
        inputs = [view(op, i, region) for i, region in enumerate(field.inputs)]
        made = script.clone(op, inputs, field, label)
        pieces |= {name: Piece(own, field.made) for name, own in zip(op.outputs, made, strict=True) if name}
        newest = next(filter(None, op.outputs))
    outputs = {}
    for name, region in regions.items():
        outputs[name] = script.cut(name, pieces[name], region, f"{name}.{label}.cut")
    ends = [(name, pieces[name]) for name in group.ends if name in pieces]
    return outputs, script.all_made(ends, label) if script.ordered else ends[-1]
