"""Writing an edit script: tiles of feature maps by name, cut and joined where they have to be."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.graph.edits import CloneOp, Concat, Edit, RemoveOp, Slice
from edgewright.graph.geometry import ReceptiveField, operand_axes, spatial_axes
from edgewright.graph.types import Graph, Op, Region


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of the rewritten network that holds a region of a feature map of the original one."""

    name: str
    region: Region


class Script:
    """An edit script as it grows; every op and tensor that it adds gets a name of its own."""

    def __init__(self, graph: Graph, ordered: bool) -> None:
        self.graph = graph
        self.ordered = ordered
        self.edits: list[Edit] = []
        self._taken = {op.name for op in graph.ops} | set(graph.tensors)

    def name(self, base: str) -> str:
        """`base`, or `base` with a number where it is taken."""
        found, count = base, 1
        while found in self._taken:
            count += 1
            found = f"{base}-{count}"
        self._taken.add(found)
        return found

    def remove(self, ops: Sequence[Op]) -> None:
        self.edits += [RemoveOp(op.name) for op in ops]

    def cut(self, piece: Piece, axes: Sequence[int | None], region: Region, base: str, after: str = "") -> Piece:
        """A piece that holds just `region`; the piece itself where it does already."""
        pairs = zip(axes, piece.region.ranges, region.ranges, strict=True)
        cuts = [(axis, lo - a, hi - a) for axis, (a, b), (lo, hi) in pairs if axis is not None and (a, b) != (lo, hi)]
        if not cuts:
            return piece
        stored_axes, starts, ends = zip(*cuts, strict=True)
        name = self.name(base)
        waits = after if self.ordered and after else ""
        self.edits.append(Slice(name, piece.name, name, stored_axes, starts, ends, waits))
        return Piece(name, region)

    def cut_operand(self, op: Op, index: int, region: Region, tile: str, after: str) -> Piece:
        """The region of a tensor from outside of the group, or of a constant, that one input of an op reads."""
        name = op.inputs[index]
        tensor, axes = self.graph.tensors[name], operand_axes(op, self.graph, index)
        whole = Region(tuple((0, tensor.shape[axis] if axis is not None else 1) for axis in axes))
        return self.cut(Piece(name, whole), axes, region, f"{name}.{tile}", "" if tensor.is_constant else after)

    def clone(self, op: Op, inputs: Sequence[str], field: ReceptiveField, tile: str) -> list[str]:
        """A copy of an op that makes one tile; the names of its outputs."""
        outputs = [self.name(f"{name}.{tile}") if name else "" for name in op.outputs]
        name = self.name(f"{op.name}.{tile}")
        self.edits.append(CloneOp(name, op.name, tuple(inputs), tuple(outputs), field.padding, field.attributes))
        return outputs

    def pointwise(self, op: Op, given: str, region: Region, tile: str) -> Piece:
        """A copy of an elementwise op with one data input, for a region of its output."""
        field = ReceptiveField((region, *(None for _ in op.inputs[1:])), None, (), region)
        return Piece(self.clone(op, (given, *op.inputs[1:]), field, tile)[0], region)

    def join(self, pieces: Sequence[Piece], tensor: str, axis: int, output: str, extra: Sequence[str] = ()) -> Piece:
        """Pieces of a tensor side by side along one of its spatial axes, as `output`; `extra` are empty tensors."""
        names = (*(piece.name for piece in pieces), *extra)
        stored = spatial_axes(self.graph.tensors[tensor])[axis]
        self.edits.append(Concat(self.name(f"{output}.concat"), names, output, stored))
        ranges = list(pieces[0].region.ranges)
        ranges[axis] = (ranges[axis][0], pieces[-1].region.ranges[axis][1])
        return Piece(output, Region(tuple(ranges)))
