"""Width edits applied to a TFLite model."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from types import MappingProxyType

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.changes import changes_of
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.parts import Parts
from edgewright.formats.tflite.read import Reading
from edgewright.formats.tflite.schema import Struct, schema
from edgewright.formats.tflite.stored import Constants
from edgewright.formats.tflite.tensors import indices
from edgewright.graph.types import Graph, Op, Shape, Tensor
from edgewright.graph.width_edits import SetWidth


def set_widths(reading: Reading, after: Graph, edits: Sequence[SetWidth]) -> None:
    """Bring the model to other widths; `after` is its graph after the script. What the script does not touch stays.

    New channels hold the zero point of what they lie in, with the scale of the channel before them, so that integer
    networks stay the same bit for bit. Raises UnsupportedModelError where the model can't be brought to that graph.
    """
    before = reading.graph
    parts = Parts(reading)
    Constants(reading).rewrite(changes_of(before, edits))
    for name, tensor in after.tensors.items():
        if not tensor.is_constant and tensor.shape != before.tensors[name].shape:
            _declare(reading.subgraph.tensors[parts.index(name)], tensor.shape)
    old = {op.name: op for op in before.ops}
    for op in after.ops:
        operator = reading.operators[op.name]
        steer = _STEERED.get(operator.builtin)
        if steer is not None and (op != old[op.name] or _is_touched(op, before.tensors, after.tensors)):
            steer(_Steered(reading, parts, after, operator, old[op.name], op))


def reopen(reading: Reading, declared: Struct, before: Graph) -> None:
    """Bring shapes back to what the file declares, but for the axes whose width has changed.

    `declared` is the model as it is stored; the reading has the shapes that were given, and `before` those from then.
    """
    known = {reading.tensors.by_name[name]: tensor.shape for name, tensor in before.tensors.items()}
    for index, stored in enumerate(declared.subgraphs[0].tensors):
        tensor = reading.subgraph.tensors[index]
        made = [int(size) for size in indices(tensor.shape)]
        given = known.get(index, tuple(made))
        sizes = zip(indices(stored.shape), given, made, strict=True)
        tensor.shape = np.array([new if old != new else own for own, old, new in sizes], np.int32)
        signature = stored.shapeSignature
        if signature is not None and len(signature) == len(made):
            sizes = zip(signature, given, made, strict=True)
            signature = np.array([new if own >= 0 and old != new else own for own, old, new in sizes], np.int32)
        tensor.shapeSignature = signature


def check(reading: Reading, found: Graph, after: Graph) -> None:
    """Raise UnsupportedModelError where the model has not come to the graph that it shall have."""
    if found == after:
        return
    for op, its in zip(after.ops, found.ops, strict=True):
        shapes = [[graph.tensors[name].shape for name in op.outputs if name] for graph in (after, found)]
        if op != its or shapes[0] != shapes[1]:
            raise UnsupportedModelError(f"{reading.source}: op {op.name!r} does not follow the widths")
    raise UnsupportedModelError(f"{reading.source}: the model does not follow the widths")


def _is_touched(op: Op, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> bool:
    return any(before[name].shape != after[name].shape for name in (*op.inputs, *op.outputs) if name)


def _declare(tensor: Struct, shape: Shape) -> None:
    """Give a tensor its shape; what its signature leaves open stays open."""
    if tensor.shapeSignature is not None and len(tensor.shapeSignature) == len(shape):
        pairs = zip(tensor.shapeSignature, shape, strict=True)
        tensor.shapeSignature = np.array([-1 if int(old) < 0 else new for old, new in pairs], np.int32)
    tensor.shape = np.array(shape, np.int32)


class _Steered:
    """An operator whose constants say sizes, with its op before and after the script."""

    def __init__(self, reading: Reading, parts: Parts, after: Graph, operator: Operator, old: Op, new: Op) -> None:
        self.reading, self.parts, self.after = reading, parts, after
        self.operator, self.old, self.new = operator, old, new

    @property
    def made(self) -> Shape:
        """The shape of the output."""
        return self.after.tensors[self.new.outputs[0]].shape

    def integers(self, position: int) -> list[int]:
        """The constant at a position. Raises UnsupportedModelError where it is computed."""
        value = self.operator.value(position)
        if value is None:
            raise UnsupportedModelError(f"{self.reading.source}: op {self.new.name!r} computes its sizes")
        return [int(item) for item in value.reshape(-1)]

    def write(self, position: int, items: Sequence[int]) -> None:
        """Other integers in the place of a constant, where they are others."""
        if self.integers(position) == list(items):
            return
        index = self.operator.input(position)
        made = self.parts.integers(items, self.reading.tensors.shape(index), self.parts.dtype(index))
        inputs = np.array(indices(self.operator.proto.inputs), np.int32)
        inputs[position] = made
        self.operator.proto.inputs = inputs


def _reshape(one: _Steered) -> None:
    """A size that is left open stays open."""
    options = one.operator.proto.builtinOptions
    if options is not None and options.newShape is not None:
        one.operator.proto.builtinOptions = copy(options)
        one.operator.proto.builtinOptions.newShape = np.array(_target(indices(options.newShape), one), np.int32)
    if one.operator.input(1) >= 0:
        one.write(1, _target(one.integers(1), one))


def _target(items: Sequence[int], one: _Steered) -> list[int]:
    if len(items) != len(one.made):
        return [int(item) for item in items]
    before = one.reading.graph.tensors[one.old.outputs[0]].shape
    sizes = zip(items, before, one.made, strict=True)
    return [int(item) if item < 0 or old == new else new for item, old, new in sizes]


def _whole(position: int) -> Callable[[_Steered], None]:
    """The constant at a position is the shape of the output."""
    return lambda one: one.write(position, one.made)


def _pad(one: _Steered) -> None:
    one.write(1, [item for pair in one.new.attributes["padding"] for item in pair])


def _split_v(one: _Steered) -> None:
    sizes = zip(one.integers(1), one.new.attributes["sizes"], strict=True)
    one.write(1, [given if given < 0 else size for given, size in sizes])


def _split(one: _Steered) -> None:
    """SPLIT makes equal parts; others need SPLIT_V."""
    sizes = one.new.attributes["sizes"]
    if len(set(sizes)) == 1:
        return
    axis, data = one.operator.inputs
    proto = one.operator.proto
    proto.inputs = np.array([data, one.parts.integers(sizes), axis], np.int32)
    proto.opcodeIndex = one.parts.code("SPLIT_V", 2 if one.parts.dtype(data) == "int8" else 1)
    proto.builtinOptionsType = schema.BuiltinOptions.SplitVOptions
    proto.builtinOptions = schema.SplitVOptionsT(numSplits=len(sizes))


def _slice(one: _Steered) -> None:
    """Of the axes that are cut, first position and size; -1, the rest, stays."""
    begins, sizes = one.integers(1), one.integers(2)
    for axis, start, end in _cuts(one):
        begins[axis] = start
        sizes[axis] = sizes[axis] if sizes[axis] < 0 else end - start
    one.write(1, begins)
    one.write(2, sizes)


def _strided_slice(one: _Steered) -> None:
    """Of the axes that are cut in steps of one, first position and end, but where the options leave them open."""
    begins, ends, steps = one.integers(1), one.integers(2), one.integers(3)
    for axis, start, end in _cuts(one):
        if steps[axis] == 1:
            begins[axis], ends[axis] = start, end
    one.write(1, begins)
    one.write(2, ends)


def _cuts(one: _Steered) -> list[tuple[int, int, int]]:
    """Axes that are cut elsewhere than before, or whose size changes, with first position and end."""
    given = one.old.inputs[0]
    old, new = one.reading.graph.tensors[given].shape, one.after.tensors[given].shape
    before, after = (
        list(zip(*(op.attributes[key] for key in ("axes", "starts", "ends")), strict=True)) for op in (one.old, one.new)
    )
    return [cut for was, cut in zip(before, after, strict=True) if was != cut or old[cut[0]] != new[cut[0]]]


_STEERED: Mapping[str, Callable[[_Steered], None]] = MappingProxyType(
    {
        "RESHAPE": _reshape,
        "BROADCAST_TO": _whole(1),
        "TRANSPOSE_CONV": _whole(0),
        "PAD": _pad,
        "PADV2": _pad,
        "SPLIT": _split,
        "SPLIT_V": _split_v,
        "SLICE": _slice,
        "STRIDED_SLICE": _strided_slice,
    }
)
"""Operators that are told sizes by constants or options, and how these follow."""
