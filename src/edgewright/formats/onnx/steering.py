"""What nodes say of shapes after the widths have changed: attributes, and inputs that steer the shapes they make."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from edgewright.formats.onnx.nodes import Node, in_range
from edgewright.formats.onnx.values import Array, Values
from edgewright.graph.types import Graph, Op, Shape


def followed(node: NodeProto, before: Op, after: Op) -> NodeProto:
    """The node with the attributes of its op after the script, where it has them as attributes."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for name, key in _ATTRIBUTES:
        found = next((attribute for attribute in copy.attribute if attribute.name == name), None)
        value = after.attributes.get(key)
        if found is not None and value is not None and value != before.attributes.get(key):
            found.CopyFrom(onnx.helper.make_attribute(name, list(value) if isinstance(value, tuple) else value))
    return copy


_NO_OP = Op("", "other", (), ())
"""Stands for a node that makes a constant."""

_ATTRIBUTES = (
    ("group", "groups"), ("num_groups", "groups"), ("groups", "groups"), ("hidden_size", "hidden_size"),
    ("split", "sizes"),
)  # fmt: skip


class Steering:
    """Puts right what steers the shapes of nodes: the targets of reshapes, bounds of slices, sizes of splits.

    `values` are those of the changed model with the shapes that the activations shall have. What is right already,
    computed from shapes for example, stays; of a vector that is put together from pieces only wrong pieces change.
    """

    def __init__(self, before: Graph, after: Graph, values: Values, opset: int, fresh: Callable[[str], str]) -> None:
        self.before = before
        self.after = after
        self.ops = {op.name: op for op in after.ops}
        self.values = values
        self.opset = opset
        self.fresh = fresh
        self.constants: list[TensorProto] = []
        self._makers: dict[str, NodeProto] = {}

    def steered(self, nodes: Sequence[NodeProto]) -> list[NodeProto]:
        """The nodes, and those that are needed for their new inputs."""
        self._makers = {name: node for node in nodes for name in node.output if name}
        found: list[NodeProto] = []
        for node in nodes:
            if not is_steered(node, self.before, self.after):
                found.append(node)
                continue
            copy = NodeProto()
            copy.CopyFrom(node)
            found += _RULES[node.op_type](self, Node(copy, self.values, self.opset), self.ops.get(node.name, _NO_OP))
            found.append(copy)
        return found

    def shapes(self, node: Node) -> tuple[Shape, Shape, Shape]:
        """Shapes of what the node makes before the script, of what it reads and of what it makes after it."""
        read, made = node.proto.input[0], node.proto.output[0]
        given = self.after.tensors[read].shape if read in self.after.tensors else node.shape()
        return self.before.tensors[made].shape, given, self.after.tensors[made].shape

    def put(
        self, node: Node, index: int, wanted: Sequence[int], constant: Sequence[int] | None = None
    ) -> list[NodeProto]:
        """Make an input have these items; the nodes that are needed for it.

        `constant` takes their place where they can't be put into a vector that is computed in pieces.
        """
        proto = node.proto
        name = node.name(index)
        old = node.value(index)
        maker = self._makers.get(name)
        pieces = self._pieces(maker, len(wanted)) if maker is not None and maker.op_type == "Concat" else None
        if pieces is None or maker is None:
            proto.input.extend([""] * (index + 1 - len(proto.input)))
            proto.input[index] = self._constant(f"{proto.name}_{index}", constant or wanted, old)
            return []
        joined = NodeProto()
        joined.CopyFrom(maker)
        joined.name = self.fresh(f"{proto.name}_{index}_concat")
        joined.output[0] = self.fresh(f"{proto.name}_{index}")
        start = 0
        for place, piece in enumerate(pieces):
            its = wanted[start : start + piece.size]
            start += piece.size
            if tuple(piece.tolist()) != tuple(its):
                joined.input[place] = self._constant(f"{joined.name}_{place}", its, piece)
        proto.input[index] = joined.output[0]
        return [joined]

    def _pieces(self, maker: NodeProto, items: int) -> list[Array] | None:
        """The values of what is joined to a vector of so many items."""
        found = [self.values.value(name) for name in maker.input]
        known = [value for value in found if value is not None and value.ndim == 1]
        return known if len(known) == len(found) and sum(value.size for value in known) == items else None

    def _constant(self, base: str, items: Sequence[int], like: Array | None) -> str:
        name = self.fresh(base)
        dtype = like.dtype if like is not None and like.dtype.kind in "iu" else np.dtype(np.int64)
        self.constants.append(onnx.numpy_helper.from_array(np.array(items, dtype), name))
        return name


def _reshape(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    before, given, made = steering.shapes(node)
    target = node.integers("shape", 1)
    zero_is_size = bool(node.attributes.get("allowzero", 0))
    if target is None or _reshaped(target, given, zero_is_size) == made:
        return []
    wanted = list(made)
    if len(target) == len(made):
        kept = [old if old < 1 or size == past else size for old, past, size in zip(target, before, made, strict=True)]
        wanted = kept if _reshaped(kept, given, zero_is_size) == made else wanted
    open_batch = not zero_is_size and steering.values.stored(node.name(1)) is None and given[:1] == made[:1]
    return steering.put(node, 1, wanted, [0, *wanted[1:]] if open_batch else wanted)


def _reshaped(target: Sequence[int], given: Shape, zero_is_size: bool) -> Shape:
    """The shape that ONNX's Reshape makes; () where the target does not fit."""
    if not zero_is_size and any(size == 0 and axis >= len(given) for axis, size in enumerate(target)):
        return ()
    sizes = [given[axis] if size == 0 and not zero_is_size else size for axis, size in enumerate(target)]
    rest = prod(size for size in sizes if size != -1)
    if -1 in sizes and (rest == 0 or prod(given) % rest):
        return ()
    return tuple(prod(given) // rest if size == -1 else size for size in sizes)


def _expand(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    _, given, made = steering.shapes(node)
    target = node.integers("shape", 1) or ()
    offset = len(made) - len(target)
    aligned = (1,) * (len(made) - len(given)) + given
    wanted = [
        old if old == size or (old == 1 and aligned[axis + offset] == size) else size
        for axis, (old, size) in enumerate(zip(target, made[offset:], strict=True))
    ]
    return steering.put(node, 1, wanted) if wanted != list(target) else []


def _constant_of_shape(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    made = steering.after.tensors[node.proto.output[0]].shape
    return steering.put(node, 0, made) if node.integers("shape", 0) != made else []


def _tile(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    _, given, made = steering.shapes(node)
    wanted = [size // max(its, 1) for size, its in zip(made, given, strict=True)]
    return steering.put(node, 1, wanted) if tuple(wanted) != node.integers("repeats", 1) else []


def _resize(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    sizes = node.value(3)
    if sizes is None or sizes.size == 0:
        return []
    _, _, made = steering.shapes(node)
    axes = node.attributes.get("axes", range(len(made)))
    wanted = [made[in_range(axis, len(made))] for axis in axes]
    return steering.put(node, 3, wanted) if wanted != sizes.tolist() else []


def _slice(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    """Bounds as they were on the axes where they still say the same."""
    _, given, _ = steering.shapes(node)
    starts, ends = node.integers("starts", 1) or (), node.integers("ends", 2) or ()
    axes = node.integers("axes", 3) or tuple(range(len(starts)))
    steps = node.integers("steps", 4) or (1,) * len(starts)
    parts = zip(*(op.attributes[key] for key in ("axes", "starts", "ends", "steps")), strict=True)
    wanted = {axis: (start, end, step) for axis, start, end, step in parts}
    bounds = []
    for given_axis, *old in zip(axes, starts, ends, steps, strict=True):
        axis = in_range(given_axis, len(given))
        same = slice(*old).indices(given[axis]) == wanted[axis]
        bounds.append(tuple(old[:2]) if same else _plain_bounds(*wanted[axis]))
    new = [list(part) for part in zip(*bounds, strict=True)] or [[], []]
    made: list[NodeProto] = []
    for index, (name, old_items, items) in enumerate(
        zip(("starts", "ends"), (starts, ends), new, strict=True), start=1
    ):
        if tuple(items) == old_items:
            continue
        if name in node.attributes:
            _set(node.proto, name, items)
        else:
            made += steering.put(node, index, items)
    return made


def _plain_bounds(start: int, end: int, step: int) -> tuple[int, int]:
    """Bounds as a node has them: a backward slice that ends behind the first item ends far before the axis."""
    return start, end if end >= 0 or step > 0 else -(2**31)


def _split(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    sizes = list(op.attributes["sizes"])
    if "split" in node.attributes or (len(set(sizes)) == 1 and not node.name(1)):
        return []
    given = node.integers("split", 1)
    if given is not None and list(given) == sizes:
        return []
    kept = [attribute for attribute in node.proto.attribute if attribute.name != "num_outputs"]
    del node.proto.attribute[:]
    node.proto.attribute.extend(kept)
    if node.opset < _SPLIT_BY_INPUT:
        _set(node.proto, "split", sizes)
        return []
    return steering.put(node, 1, sizes)


_SPLIT_BY_INPUT = 13


def _pad(steering: Steering, node: Node, op: Op) -> list[NodeProto]:
    """Padding along channels, in the order of the node's axes."""
    padding = op.attributes["padding"]
    old = node.integers("pads", 1) or ()
    axes = node.integers("axes", 3)
    axes = tuple(range(len(padding))) if axes is None else axes
    wanted = [padding[axis][side] for side in (0, 1) for axis in axes]
    if not old or wanted == list(old):
        return []
    if "pads" in node.attributes:
        _set(node.proto, "pads", wanted)
        return []
    return steering.put(node, 1, wanted)


def _set(node: NodeProto, name: str, items: Sequence[int]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, list(items))])


_RULES: Mapping[str, Callable[[Steering, Node, Op], list[NodeProto]]] = MappingProxyType(
    {
        "ConstantOfShape": _constant_of_shape,
        "Reshape": _reshape,
        "Expand": _expand,
        "Tile": _tile,
        "Resize": _resize,
        "Slice": _slice,
        "Split": _split,
        "Pad": _pad,
    }
)


def is_steered(node: NodeProto, before: Graph, after: Graph) -> bool:
    """Whether an input or attribute of the node may say a shape, and the shape of what it reads or makes changes."""
    if node.op_type not in _RULES or node.domain not in {"", "ai.onnx"} or node.output[0] not in after.tensors:
        return False
    names = [name for name in (*node.input, *node.output) if name in after.tensors]
    return any(after.tensors[name].shape != before.tensors[name].shape for name in names)
