"""Width edits applied to an ONNX model."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from edgewright.errors import UnsupportedModelError
from edgewright.formats.changes import Change, changes_of
from edgewright.formats.onnx.infer import infer
from edgewright.formats.onnx.load import opset_of
from edgewright.formats.onnx.read import Reading, understand_model
from edgewright.formats.onnx.reading import reads
from edgewright.formats.onnx.steering import Steering, followed, is_steered
from edgewright.formats.onnx.values import Values
from edgewright.formats.onnx.weights import Weights
from edgewright.graph.types import Graph, Shape
from edgewright.graph.width_edits import SetWidth

_CONSTANTS_APART = 4
"""From this version of the file format on an initializer need not be an input of the model too."""


def with_widths(
    reading: Reading, after: Graph, edits: Sequence[SetWidth], input_shapes: Mapping[str, Shape]
) -> ModelProto:
    """The model with other widths; `after` is its graph after the script. What the script does not touch stays.

    Raises UnsupportedModelError where the model can't be brought to that graph.
    """
    weights = Weights(reading, _changes(reading, edits))
    model = ModelProto()
    model.CopyFrom(reading.model)
    nodes = _followed(weights.nodes, reading.graph, after)
    _store(model, weights.stored)
    _declare(model, weights.changed, reading.graph, after)
    if any(is_steered(node, reading.graph, after) for node in nodes):
        steering = _steering(model, nodes, reading, after, weights, input_shapes)
        nodes = _stored_apart(model, steering.steered(nodes), steering.constants)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unread(model, reading.nodes)
    _check(model, reading, after, input_shapes)
    return model


def _changes(reading: Reading, edits: Sequence[SetWidth]) -> dict[str, Change]:
    """What the script does to each constant that the network's ops read."""
    changes = changes_of(reading.graph, edits)
    readers: dict[str, tuple[NodeProto, int]] = {}
    for node in reading.nodes:
        if node.op_type in _PER_CHANNEL:
            readers |= {name: (node, index) for index, name in enumerate(node.input) if name in changes}
    return {
        name: _as_stored(change, *readers[name], reading) if name in readers else change
        for name, change in changes.items()
    }


_ZERO_POINTS: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        **{op: {0: 2, 3: 5} for op in ("QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul")},
        **{op: {0: 2, 1: 3} for op in ("ConvInteger", "MatMulInteger")},
        "MatMulIntegerToFloat": {0: 4, 1: 5},
        "DynamicQuantizeMatMul": {1: 3},
    }
)
"""Of quantized ops, the input with the zero point of each operand."""

_PER_CHANNEL: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), (4, 5)),
        **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
        "ConvInteger": (3,),
        "MatMulInteger": (3,),
        "MatMulIntegerToFloat": (3, 5),
        "DynamicQuantizeMatMul": (2, 3),
        **dict.fromkeys(("QLinearAdd", "QLinearMul"), ()),
    }
)
"""Of quantized ops, the inputs that are scales and zero points of channels."""


def _as_stored(change: Change, node: NodeProto, index: int, reading: Reading) -> Change:
    """The change of a constant that a quantized op reads: with zero points, or repeated where it is a scale."""
    if index in _PER_CHANNEL[node.op_type]:
        return change.along(change.axes[0].axis) or change
    zero_points = _ZERO_POINTS.get(node.op_type, {}).get(index, len(node.input))
    if zero_points >= len(node.input) or not node.input[zero_points]:
        return change
    axis = 0 if "Conv" in node.op_type else len(reading.graph.tensors[node.input[index]].shape) - 1
    return change.stored(reading.values.value(node.input[zero_points]), axis)


def _followed(nodes: Iterable[NodeProto], before: Graph, after: Graph) -> list[NodeProto]:
    """The nodes with the attributes of their ops after the script."""
    old, new = ({op.name: op for op in graph.ops} for graph in (before, after))
    return [
        followed(node, old[node.name], new[node.name])
        if node.name in old and old[node.name] != new[node.name]
        else node
        for node in nodes
    ]


def _store(model: ModelProto, tensors: Iterable[TensorProto]) -> None:
    """Put constants in the place of those of the same name, or behind all."""
    places = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in tensors:
        if tensor.name in places:
            places[tensor.name].CopyFrom(tensor)
        else:
            model.graph.initializer.append(tensor)


def _declare(model: ModelProto, changed: Mapping[str, Change], before: Graph, after: Graph) -> None:
    """Bring what the file declares of tensors to their new shapes, on the axes that change and are not open."""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name in changed:
            shape: Sequence[int] = changed[value.name].shape(tuple(dim.dim_value for dim in dims))
        elif value.name in after.tensors and after.tensors[value.name].shape != before.tensors[value.name].shape:
            shape = after.tensors[value.name].shape
        else:
            continue
        for dim, size in zip(dims, shape, strict=False):
            if dim.HasField("dim_value"):
                dim.dim_value = size


def _steering(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    reading: Reading,
    after: Graph,
    weights: Weights,
    input_shapes: Mapping[str, Shape],
) -> Steering:
    """Knows what computed targets come to when every activation has the shape that it shall have."""
    values = Values(reading.values.source, reading.values.folder)
    known = {tensor.name: tensor.shape for tensor in after.tensors.values() if not tensor.is_constant and tensor.dtype}
    infer(model, nodes, values, input_shapes, known)
    return Steering(reading.graph, after, values, opset_of(model), weights.fresh)


def _stored_apart(model: ModelProto, nodes: list[NodeProto], constants: Sequence[TensorProto]) -> list[NodeProto]:
    """The nodes, with new constants stored in the model or, where they would be inputs too, made by nodes."""
    if model.ir_version >= _CONSTANTS_APART:
        model.graph.initializer.extend(constants)
        return nodes
    return [onnx.helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in constants] + nodes


def _drop_unread(model: ModelProto, before: Sequence[NodeProto]) -> None:
    """Take out constants, and the nodes that make them, which were read before the script and no more."""
    were_read = {name for node in before for name in reads(node)}
    while True:
        read = {name for node in model.graph.node for name in reads(node)}
        read |= {value.name for value in model.graph.output}
        gone = were_read - read
        kept = [n for n in model.graph.node if not gone.issuperset(filter(None, n.output)) or not any(n.output)]
        if len(kept) == len(model.graph.node):
            break
        del model.graph.node[:]
        model.graph.node.extend(kept)
    for field in (model.graph.initializer, model.graph.input):
        items = [item for item in field if item.name not in gone]
        if len(items) < len(field):
            del field[:]
            field.extend(items)


def _check(model: ModelProto, reading: Reading, after: Graph, input_shapes: Mapping[str, Shape]) -> None:
    """Raise UnsupportedModelError where the model does not have the graph that it shall have."""
    name = reading.values.source
    found = understand_model(model, name, reading.values.folder, input_shapes).graph
    if found == after:
        return
    ops = {op.name: op for op in found.ops}
    for op in after.ops:
        for tensor in (*op.outputs, *op.inputs):
            wanted, its = after.tensors.get(tensor), found.tensors.get(tensor)
            if wanted != its:
                sizes = " and ".join(str(part.shape) if part else "nothing" for part in (wanted, its))
                raise UnsupportedModelError(f"{name}: op {op.name!r} does not follow the widths: {tensor!r} is {sizes}")
        if ops.get(op.name) != op:
            raise UnsupportedModelError(f"{name}: op {op.name!r} does not follow the widths")
    raise UnsupportedModelError(f"{name}: the model does not follow the widths")
