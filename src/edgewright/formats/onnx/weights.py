"""The constants of a model after width edits, where nodes make them too.

What is asked of a constant that a node makes is asked of what the node reads, so that a quantized weight stays
quantized and a transposed one is transposed by the same node. A constant of which several things are asked, as its
readers do not change alike, becomes several.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from edgewright.errors import UnsupportedModelError
from edgewright.formats.changes import Change
from edgewright.formats.onnx.external import read_external
from edgewright.formats.onnx.folding import evaluate
from edgewright.formats.onnx.nodes import Node, in_range
from edgewright.formats.onnx.read import Reading
from edgewright.formats.onnx.reading import has_subgraph, reads
from edgewright.formats.onnx.values import Array
from edgewright.graph.naming import fresh_name

Asked = Change | None
"""What is asked of a constant: a change, or None for the constant as it was."""


class _Version(NamedTuple):
    """A node, what is asked of the constant that it makes, and what that asks of each of its inputs."""

    node: NodeProto
    change: Asked
    asked: Sequence[Asked]


class Weights:
    """The nodes and stored constants after the changes; `changes` are of the constants that the network's ops read.

    `nodes` are all nodes in topological order, `stored` the constants that are new or take the place of one with their
    name, `changed` what happens to each constant that keeps its name. Raises UnsupportedModelError for a constant that
    can't be changed.
    """

    def __init__(self, reading: Reading, changes: Mapping[str, Change]) -> None:
        self.reading = reading
        self.values = reading.values
        self.changes = changes
        self.stored: list[TensorProto] = []
        self.changed: dict[str, Change] = {}
        self._makers = {name: node for node in reading.nodes for name in node.output if name}
        self._asked: defaultdict[str, dict[Asked, None]] = defaultdict(dict)
        self._names: dict[tuple[str, Asked], str] = {}
        self._taken = set(self.values.types) | {node.name for node in reading.nodes}
        self._values: dict[str, Array] = {}
        versions = self._versions()
        self._name_versions()
        self.nodes = [self._made(version) for version in versions]
        self._store()

    def fresh(self, base: str) -> str:
        """A name that nothing has yet."""
        return fresh_name(base, self._taken)

    def value(self, name: str) -> Array:
        """The value of a constant before the changes, however large."""
        known = self.values.value(name)
        if known is not None:
            return np.asarray(known)
        tensor = self.values.stored(name)
        if tensor is not None:
            if tensor.data_location == TensorProto.EXTERNAL and self.values.folder is not None:
                tensor = read_external(tensor, self.values.folder, self.values.source)
            return np.asarray(numpy_helper.to_array(tensor))
        node = self._makers.get(name)
        inputs = {source: self.value(source) for source in node.input if source} if node is not None else {}
        found = [] if node is None else evaluate(node, inputs, self.values, self.reading.model)
        if node is None or len(found) != len(node.output):
            raise UnsupportedModelError(f"{self.values.source}: the value of constant {name!r} is not known")
        return found[list(node.output).index(name)]

    def _versions(self) -> list[_Version]:
        """All nodes in order, those that make constants once for each thing that is asked of them."""
        ops = {op.name for op in self.reading.graph.ops}
        for name in self.reading.graph.outputs:
            self._ask(name, self.changes.get(name))
        run = [node for node in self.reading.nodes if node.name in ops]
        for node in run:
            for name in reads(node):
                self._ask(name, self.changes.get(name))
        found: list[_Version] = []
        for node in reversed(self.reading.nodes):
            if node.name in ops:
                found.append(_Version(node, None, [self.changes.get(name) for name in node.input]))
                continue
            wanted = {change: None for name in node.output for change in self._asked.get(name, ())} or {None: None}
            for change in wanted:
                version = _Version(node, change, self._asked_of_inputs(node, change))
                found.append(version)
                for name, its in zip(node.input, version.asked, strict=False):
                    self._ask(name, its)
                for name in reads(node) if has_subgraph(node) else ():
                    self._ask(name, None)
        return found[::-1]

    def _ask(self, name: str, change: Asked) -> None:
        if name and self.values.is_constant(name):
            self._asked[name][change] = None

    def _asked_of_inputs(self, node: NodeProto, change: Asked) -> Sequence[Asked]:
        """What a change of what a node makes asks of its inputs; nothing at all where the value itself is stored."""
        if change is None:
            return [None] * len(node.input)
        is_read = change == self.changes.get(node.output[0])
        rules = {**_RULES, **_SHAPED} if is_read else _RULES
        rule = rules.get(node.op_type) if node.domain in {"", "ai.onnx"} else None
        asked = rule(Node(node, self.values, 0), change, self.value) if rule is not None else None
        if asked is not None:
            return asked
        if len(node.output) > 1 or node.output[0] in self.values.stored_as:
            raise UnsupportedModelError(
                f"{self.values.source}: the width of {node.output[0]!r}, made by op {node.name!r}, can't be changed"
            )
        return ()

    def _name_versions(self) -> None:
        """Call each version of each constant: the one that the network's ops read keeps the name."""
        for name, asked in self._asked.items():
            kept = self.changes.get(name)
            first = kept if kept in asked else next(iter(asked))
            for change in asked:
                self._names[name, change] = name if change == first else self.fresh(name)
            if first is not None:
                self.changed[name] = first

    def _made(self, version: _Version) -> NodeProto:
        """The node of a version, under its names."""
        node, change, asked = version
        outputs = [self._names.get((name, change), name) for name in node.output]
        inputs = [self._names.get((name, its), name) for name, its in zip(node.input, asked, strict=False)]
        if change is None and outputs == list(node.output) and inputs == list(node.input):
            return node
        name = node.name if outputs == list(node.output) else self.fresh(node.name)
        if change is not None and not asked:
            value = numpy_helper.from_array(change.of(self.value(node.output[0])), outputs[0])
            return onnx.helper.make_node("Constant", [], outputs, name=name, value=value)
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = name
        copy.output[:] = outputs
        copy.input[:] = inputs
        return copy

    def _store(self) -> None:
        """The constants of the file that change, or are there under one more name."""
        for name, asked in self._asked.items():
            tensor = self.values.stored(name)
            if tensor is None or name in self._makers:
                continue
            for change in asked:
                its = self._names[name, change]
                if change is not None:
                    self.stored.append(numpy_helper.from_array(change.of(self.value(name)), its))
                elif its != name:
                    copy = TensorProto()
                    copy.CopyFrom(tensor)
                    copy.name = its
                    self.stored.append(copy)


_Value = Callable[[str], Array]


def _same(node: Node, change: Change, value: _Value) -> Sequence[Asked]:
    return [change, *[None] * (len(node.proto.input) - 1)]


def _transpose(node: Node, change: Change, value: _Value) -> Sequence[Asked]:
    perm = tuple(node.attributes.get("perm", range(node.rank - 1, -1, -1)))
    return [change.moved(perm)]


def _squeeze(node: Node, change: Change, value: _Value) -> Sequence[Asked] | None:
    """Axes of one item are taken out, or put in: the others correspond in order."""
    shape, made = node.shape(), node.output_shape()
    more = max(shape, made, key=len)
    given = node.integers("axes", 1)
    gone = (
        [axis for axis, size in enumerate(more) if size == 1]
        if given is None
        else {in_range(axis, len(more)) for axis in given}
    )
    kept = [axis for axis in range(len(more)) if axis not in gone]
    places = dict(enumerate(kept)) if len(shape) > len(made) else {axis: place for place, axis in enumerate(kept)}
    if any(part.axis not in places for part in change.axes):
        return None
    return [change.moved(places), *[None] * (len(node.proto.input) - 1)]


def _dequantize(node: Node, change: Change, value: _Value) -> Sequence[Asked] | None:
    found = _per_channel(node, change)
    if found is None:
        return None
    axis, vector = found
    zero_points = value(node.name(2)) if node.name(2) else None
    return [change.stored(zero_points, axis), vector, vector][: len(node.proto.input)]


def _quantize(node: Node, change: Change, value: _Value) -> Sequence[Asked] | None:
    found = _per_channel(node, change)
    return None if found is None else [change.real, found[1], found[1]][: len(node.proto.input)]


def _per_channel(node: Node, change: Change) -> tuple[int, Asked] | None:
    """The axis of the scales, and what is asked of them; None where there is a scale for each block."""
    scales = node.shape(1)
    if len(scales) > 1 or node.attributes.get("block_size", 0):
        return None
    if not scales or scales[0] == 1:
        return 0, None
    axis = node.axis(default=1)
    return axis, change.along(axis)


_RULES: Mapping[str, Callable[[Node, Change, _Value], Sequence[Asked] | None]] = MappingProxyType(
    {
        "Identity": _same,
        "Cast": _same,
        "Transpose": _transpose,
        "Squeeze": _squeeze,
        "Unsqueeze": _squeeze,
        "DequantizeLinear": _dequantize,
        "QuantizeLinear": _quantize,
    }
)


def _constant_of_shape(node: Node, change: Change, value: _Value) -> Sequence[Asked] | None:
    """The same everywhere: only the shape is another."""
    filled = {part.fill for part in change.axes}
    held = next((numpy_helper.to_array(part.t) for part in node.proto.attribute if part.name == "value"), np.zeros(1))
    return [None] if filled == set(held.tolist()) else None


def _expand(node: Node, change: Change, value: _Value) -> Sequence[Asked] | None:
    """Axes that are there already change there; one that is repeated must hold the fill, whatever its size."""
    shape, made = node.shape(), node.output_shape()
    offset = len(made) - len(shape)
    there = [part for part in change.axes if part.axis >= offset and shape[part.axis - offset] == made[part.axis]]
    repeated = {part.fill for part in change.axes if part not in there}
    if len(repeated) > 1 or (repeated and set(value(node.name(0)).reshape(-1).tolist()) != repeated):
        return None
    moved = Change(tuple(replace(part, axis=part.axis - offset) for part in there)) if there else None
    return [moved, None]


_SHAPED: Mapping[str, Callable[[Node, Change, _Value], Sequence[Asked] | None]] = MappingProxyType(
    {"ConstantOfShape": _constant_of_shape, "Expand": _expand}
)
"""Nodes that read the shape of what they make: `steering` puts it right, so that what is computed stays computed."""
