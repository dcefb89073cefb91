"""Writing an edit script: tiles of feature maps by name, cut and joined where they have to be.

Tensors of signed integers between a quantize op and dequantize ops are cut and joined as exporters write it: they are
dequantized, cut, and quantized again by the same scale. Nothing is lost by that, and runtimes that compute on unsigned
integers (ONNX Runtime on x86) find the pairs of quantize and dequantize ops that they rewrite.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgewright.errors import UnsupportedModelError
from edgewright.graph.axis_map import tiled_axes
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice
from edgewright.graph.geometry import ReceptiveField, crops, operand_axes
from edgewright.graph.padding import Expresses, any_padding, filler
from edgewright.graph.types import Graph, Op, Region
from edgewright.graph.written_out import WriteOut


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of the rewritten network that holds a region of a feature map of the original one."""

    name: str
    region: Region


class Script:
    """An edit script as it grows; every op and tensor that it adds gets a name of its own."""

    def __init__(
        self,
        graph: Graph,
        ordered: bool,
        expresses: Expresses = any_padding,
        most_joined: int | None = None,
        cuts_late: bool = False,
        written_out: Collection[str] = (),
    ) -> None:
        self.graph = graph
        self.ordered = ordered
        self.expresses = expresses
        self.most_joined = most_joined
        self.cuts_late = cuts_late
        self.written_out = written_out
        self.edits: list[Edit] = []
        self._taken = {op.name for op in graph.ops} | set(graph.tensors)
        self._dequantized: dict[tuple[str, str], str] = {}
        readers = {op.inputs[0]: op for op in graph.ops if op.kind == "dequantize"}
        self._pairs = {
            op.outputs[0]: (readers[op.outputs[0]], op)
            for op in graph.ops
            if op.kind == "quantize" and op.outputs[0] in readers and graph.tensors[op.outputs[0]].dtype == "int8"
        }

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

    def cut(self, tensor: str, piece: Piece, region: Region, base: str, after: str = "") -> Piece:
        """A piece of a tensor that holds just `region`; the piece itself where it does already."""
        return self._cut(tensor, piece, tiled_axes(self.graph.tensors[tensor]), region, base, after)

    def cut_operand(self, op: Op, index: int, region: Region, tile: str, after: str) -> Piece:
        """The region of a tensor from outside of the group, or of a constant, that one input of an op reads."""
        name = op.inputs[index]
        tensor, axes = self.graph.tensors[name], operand_axes(op, self.graph, index)
        whole = Region(tuple((0, tensor.shape[axis] if axis is not None else 1) for axis in axes))
        return self._cut(name, Piece(name, whole), axes, region, f"{name}.{tile}", "" if tensor.is_constant else after)

    def empty(self, tensor: str, piece: Piece, base: str) -> str:
        """No rows of a piece, to be joined: an order without data."""
        name, given = self.name(base), piece.name
        if tensor in self._pairs:
            given = self.dequantized(self._pairs[tensor][0], given)
        self.edits.append(Slice(name, given, name, (tiled_axes(self.graph.tensors[tensor])[0],), (0,), (0,)))
        return name

    def clone(self, op: Op, inputs: Sequence[str], field: ReceptiveField, tile: str) -> list[str]:
        """A copy of an op that makes one tile; the names of its outputs. What just crops its input is cut already."""
        if crops(op, self.graph):
            return [inputs[0]]
        if op.name in self.written_out:
            return [self.write_out(op, inputs[0], self.name(f"{op.outputs[0]}.{tile}"), tile)]
        inputs, padding = self._padded(op, inputs, field)
        outputs = [self.name(f"{name}.{tile}") if name else "" for name in op.outputs]
        name = self.name(f"{op.name}.{tile}")
        self.edits.append(CloneOp(name, op.name, tuple(inputs), tuple(outputs), padding, field.attributes))
        return outputs

    def write_out(self, op: Op, given: str, output: str, label: str) -> str:
        """What computes a PRelu without a branch; the name of what it makes."""
        self.edits.append(WriteOut(self.name(f"{op.name}.{label}"), op.name, given, output))
        return output

    def all_made(self, ends: Sequence[tuple[str, Piece]], base: str) -> tuple[str, Piece]:
        """What the next tile can wait for where this one ends in several tensors: a corner of the last of them, cut
        when the one before is made, and so on."""
        after = ""
        for tensor, made in ends:
            corner = Region(tuple((low, low + 1) for low, _ in made.region.ranges))
            piece = self.cut(tensor, made, corner, f"{base}.made", after) if after else made
            after = self.anchor(tensor, piece)
        return tensor, piece

    def anchor(self, tensor: str, piece: Piece) -> str:
        """What the next tile can wait for: the piece, but of a pair of quantize and dequantize ops what leaves it."""
        if not self.ordered or tensor not in self._pairs:
            return piece.name
        return self.dequantized(self._pairs[tensor][0], piece.name)

    def dequantized(self, op: Op, given: str) -> str:
        """What a copy of a dequantize op makes of a piece: one copy for all that read it, as runtimes expect."""
        if (op.name, given) not in self._dequantized:
            self._dequantized[op.name, given] = self._copy(op, given, self.name(f"{given}.real"))
        return self._dequantized[op.name, given]

    def join(self, pieces: Sequence[Piece], tensor: str, axis: int, output: str, extra: Sequence[str] = ()) -> Piece:
        """Pieces of a tensor side by side along one of its spatial axes, as `output`; `extra` are empty ones of it."""
        names = tuple(piece.name for piece in pieces)
        stored = tiled_axes(self.graph.tensors[tensor])[axis]
        while self.most_joined is not None and len(names) > self.most_joined:
            names = self._joined_in_parts(names, output, stored, self.most_joined)
        if tensor in self._pairs:
            dequantize, quantize = self._pairs[tensor]
            joined = self.name(f"{output}.real")
            names = tuple(self.dequantized(dequantize, name) for name in names)
            self.edits.append(Concat(self.name(f"{output}.concat"), (*names, *extra), joined, stored))
            self._copy(quantize, joined, output)
        else:
            self.edits.append(Concat(self.name(f"{output}.concat"), (*names, *extra), output, stored))
        ranges = list(pieces[0].region.ranges)
        ranges[axis] = (ranges[axis][0], pieces[-1].region.ranges[axis][1])
        return Piece(output, Region(tuple(ranges)))

    def _joined_in_parts(self, names: tuple[str, ...], output: str, axis: int, most: int) -> tuple[str, ...]:
        """Neighbours joined, at most so many at once, in as few and as equal parts as that takes."""
        count = -(-len(names) // most)
        bounds = [len(names) * part // count for part in range(count + 1)]
        found = []
        for start, end in pairwise(bounds):
            part = self.name(f"{output}.part")
            self.edits.append(Concat(part, names[start:end], part, axis))
            found.append(part)
        return tuple(found)

    def _padded(
        self, op: Op, inputs: Sequence[str], field: ReceptiveField
    ) -> tuple[Sequence[str], tuple[tuple[int, int], ...] | None]:
        """What a tile reads, and the padding of its window; padded by an op of its own where the window can't."""
        if op.window is None or field.padding is None:
            return inputs, field.padding
        region = field.inputs[0]
        assert region is not None
        if self.expresses(op, region.shape, field.padding):
            return inputs, field.padding
        value = filler(op)
        if value is None:
            raise UnsupportedModelError(f"op {op.name!r} ({op.variant or op.kind}): the format can't pad its tiles")
        source = self.graph.tensors[op.inputs[0]]
        pairs = dict(zip(tiled_axes(source), field.padding, strict=True))
        name = self.name(f"{inputs[0]}.padded")
        whole = tuple(pairs.get(axis, (0, 0)) for axis in range(len(source.shape)))
        self.edits.append(Pad(name, inputs[0], name, whole, value))
        return (name, *inputs[1:]), ((0, 0),) * len(field.padding)

    def _cut(
        self, tensor: str, piece: Piece, axes: Sequence[int | None], region: Region, base: str, after: str
    ) -> Piece:
        pairs = zip(axes, piece.region.ranges, region.ranges, strict=True)
        cuts = {axis: (lo - a, hi - a) for axis, (a, b), (lo, hi) in pairs if axis is not None and (a, b) != (lo, hi)}
        if not cuts:
            return piece
        if self.most_joined is not None:
            cuts = self._whole(tensor, piece, axes) | cuts
        stored_axes = tuple(cuts)
        starts, ends = zip(*cuts.values(), strict=True)
        name, given = self.name(base), piece.name
        waits = after if self.ordered and after else ""
        if tensor not in self._pairs:
            self.edits.append(Slice(name, given, name, stored_axes, starts, ends, waits))
            return Piece(name, region)
        dequantize, quantize = self._pairs[tensor]
        part = self.name(f"{name}.part")
        self.edits.append(Slice(part, self.dequantized(dequantize, given), part, stored_axes, starts, ends, waits))
        return Piece(self._copy(quantize, part, name), region)

    def _whole(self, tensor: str, piece: Piece, axes: Sequence[int | None]) -> dict[int, tuple[int, int]]:
        """All of a piece, axis by axis."""
        sizes = dict(enumerate(self.graph.tensors[tensor].shape))
        sizes |= {axis: hi - lo for axis, (lo, hi) in zip(axes, piece.region.ranges, strict=True) if axis is not None}
        return {axis: (0, size) for axis, size in sizes.items()}

    def _copy(self, op: Op, given: str, output: str) -> str:
        """A copy of a quantize or dequantize op that makes `output`."""
        name = self.name(f"{op.name}.{output}")
        self.edits.append(CloneOp(name, op.name, (given, *op.inputs[1:]), (output,)))
        return output
