"""An edit script applied to an ONNX model."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx.building import GATHER_ND, Builder
from edgewright.formats.onnx.inputs import graph_inputs
from edgewright.formats.onnx.load import named, opset_of
from edgewright.formats.onnx.read import Reading, understand, understand_model
from edgewright.formats.onnx.reading import reads
from edgewright.formats.onnx.save import save
from edgewright.formats.onnx.upgrade import upgraded
from edgewright.formats.onnx.widths import with_widths
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice
from edgewright.graph.edits import apply as apply_to_graph
from edgewright.graph.types import Graph, Shape
from edgewright.graph.width_edits import SetWidth
from edgewright.graph.written_out import WriteOut

_CONSTANTS_APART = 4
"""From this version of the file format on an initializer need not be an input of the model too."""


def apply(
    source: Path | ModelProto, edits: Sequence[Edit], out: Path, input_shapes: Mapping[str, Shape] | None = None
) -> None:
    """Write the model after the script to `out`; external weight data is put beside it.

    `input_shapes` are those that the script was made for; the inputs of the written model are fixed to them, unless
    only widths change: then what is open stays open.
    Raises ModelError and UnsupportedModelError as `edited` does, and ModelError where `out` can't be written or is
    the source; then nothing is written.
    """
    model = edited(source, edits, input_shapes)
    save(model, out, None if isinstance(source, ModelProto) else source)


def edited(
    source: Path | ModelProto, edits: Sequence[Edit], input_shapes: Mapping[str, Shape] | None = None
) -> ModelProto:
    """The model after the script: weights shared, all that the script does not touch as it was.

    Its operator set stays too, unless a slice has to wait for a tensor, for which it is at least 11.
    Raises ModelError where the script does not fit the model, UnsupportedModelError for an op that can't be cloned.
    """
    reading = _reading(source, edits, input_shapes or {})
    after = apply_to_graph(reading.graph, edits)
    widths = [edit for edit in edits if isinstance(edit, SetWidth)]
    if widths:
        return with_widths(reading, after, widths, input_shapes or {})
    model = ModelProto()
    model.CopyFrom(reading.model)
    builder = Builder(opset_of(model), reading.graph, after, reading.nodes, reading.values)
    inserted = {node.name: node for edit in edits for node in _nodes_of(edit, builder)}
    assembly = _Assembly(reading, after, inserted, {tensor.name for tensor in builder.constants})
    nodes, constants = assembly.nodes(), [*builder.constants, *assembly.constants]
    if model.ir_version < _CONSTANTS_APART:
        nodes = [onnx.helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in constants] + nodes
        constants = []
    read_before = {name for node in model.graph.node for name in reads(node)}
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    _drop_unread(model, read_before)
    _fix_inputs(model, set(reading.values.types) if assembly.constants else set(input_shapes or {}), reading.graph)
    return model


def _reading(source: Path | ModelProto, edits: Sequence[Edit], input_shapes: Mapping[str, Shape]) -> Reading:
    """The model, in the operator set that the script needs.

    Raises UnsupportedModelError where it can't be brought there with the same graph.
    """
    reading = understand(source, input_shapes)
    if opset_of(reading.model) >= GATHER_ND or not any(isinstance(edit, Slice) and edit.after for edit in edits):
        return reading
    name, folder = reading.values.source, reading.values.folder
    newer = named(upgraded(reading.model, GATHER_ND, name), name)
    result = understand_model(newer, name, folder, input_shapes)
    if result.graph != reading.graph:
        raise UnsupportedModelError(f"{name}: the model would change where it is brought to operator set {GATHER_ND}")
    return result


def _nodes_of(edit: Edit, builder: Builder) -> list[NodeProto]:
    match edit:
        case Slice():
            return builder.slice(edit)
        case Pad():
            return builder.pad(edit)
        case CloneOp():
            return builder.clone(edit)
        case Concat():
            return builder.concat(edit)
        case WriteOut():
            return builder.write_out(edit)
        case RemoveOp() | SetWidth():
            return []


class _Assembly:
    """Puts the nodes of a model in the order of its graph, with those that make constants before their readers.

    A node that computes a constant from the shape of a tensor that is gone, or not made yet, is replaced by its value.
    """

    def __init__(self, reading: Reading, after: Graph, inserted: Mapping[str, NodeProto], constants: set[str]) -> None:
        self.values = reading.values
        self.after = after
        self.by_name = {node.name: node for node in reading.nodes} | dict(inserted)
        ops = {op.name for op in reading.graph.ops} | {op.name for op in after.ops}
        self.folded = {
            name: node for node in self.by_name.values() if node.name not in ops for name in node.output if name
        }
        graph = reading.model.graph
        self.available = (
            constants | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        )
        self.available |= {tensor.values.name for tensor in graph.sparse_initializer}
        self.constants: list[TensorProto] = []

    def nodes(self) -> list[NodeProto]:
        """All nodes in order. Raises UnsupportedModelError where a constant's source is gone, and it is large."""
        ordered: list[NodeProto] = []
        for op in self.after.ops:
            node = self.by_name[op.name]
            ordered += self._makers(reads(node))
            ordered.append(node)
            self.available.update(name for name in node.output if name)
        ordered += self._makers(self.after.outputs)
        return ordered

    def _makers(self, names: Sequence[str]) -> Iterator[NodeProto]:
        """The folded nodes that make these tensors and are not in place yet, sources first."""
        stack = [(name, False) for name in reversed(names)]
        while stack:
            name, is_ready = stack.pop()
            if name in self.available or name not in self.folded:
                continue
            node = self.folded[name]
            sources = reads(node)
            if is_ready:
                if all(source in self.available for source in sources):
                    self.available.update(output for output in node.output if output)
                    yield node
                else:
                    self._keep_value(name)
                continue
            stack.append((name, True))
            stack += [(source, False) for source in reversed(sources)]

    def _keep_value(self, name: str) -> None:
        value = self.values.value(name)
        if value is None:
            raise UnsupportedModelError(f"{self.values.source}: {name!r} hangs on the shape of a tensor that is gone")
        self.constants.append(onnx.numpy_helper.from_array(value, name))
        self.available.add(name)


def _drop_unread(model: ModelProto, read_before: set[str]) -> None:
    """Take out constants that only removed nodes read, and what is declared of tensors that are gone."""
    graph = model.graph
    read = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
    gone = read_before - read
    unread = {tensor.name for tensor in graph.initializer if tensor.name in gone}
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in unread])
    _keep(graph.input, [value for value in graph.input if value.name not in unread])
    made = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    made |= {value.name for value in graph.input}
    _keep(graph.value_info, [value for value in graph.value_info if value.name in made])
    _keep(graph.quantization_annotation, [a for a in graph.quantization_annotation if a.tensor_name in made])


def _keep(field: "onnx.RepeatedCompositeFieldContainer", items: list[object]) -> None:
    if len(items) < len(field):
        del field[:]
        field.extend(items)


def _fix_inputs(model: ModelProto, names: set[str], graph: Graph) -> None:
    """Declare the shapes of these inputs as they were read."""
    for value in graph_inputs(model.graph):
        if value.name in names:
            _declare(value, graph.tensors[value.name].shape)


def _declare(value: ValueInfoProto, shape: Shape) -> None:
    declared = value.type.tensor_type.shape
    declared.ClearField("dim")
    for size in shape:
        declared.dim.add(dim_value=size)
