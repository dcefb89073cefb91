"""Types, shapes and constants of every tensor of a model, in one sweep over its nodes.

Each node is given to ONNX's own shape inference by itself, with what is known of its inputs. So shapes flow through
ops that ONNX knows nothing of (a rule of `standins` or the caller gives their shapes), weights never enter it, and
shape arithmetic is folded on the way.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TypeProto

from edgewright.formats.onnx.folding import fold
from edgewright.formats.onnx.inferring import infer_node
from edgewright.formats.onnx.inputs import input_types
from edgewright.formats.onnx.reading import reads
from edgewright.formats.onnx.standins import own_types
from edgewright.formats.onnx.values import Array, Values, tensor_type
from edgewright.graph.types import Shape

_MOST_FLOATS = 64
"""Floats that steer a shape (the scales of Resize) come in at most so many."""
_LIKE_INPUT = {"GroupNormalization"}
"""Ops whose output is like their input, which ONNX's inference does not say."""


def infer(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    values: Values,
    given: Mapping[str, Shape],
    known: Mapping[str, Shape],
) -> None:
    """Fill `values` for the nodes, which must be in execution order.

    `given` are shapes of inputs, `known` shapes of tensors that the caller knows better. Raises ShapeError.
    """
    values.store(model.graph)
    values.types |= input_types(model.graph, given, values.source)
    declared = {value.name: value.type for value in (*model.graph.value_info, *model.graph.output)}
    for node in nodes:
        found = _constant_types(node) or own_types(node, values, model.opset_import)
        found = found or _standard_types(node, values, model)
        if not found and node.op_type in _LIKE_INPUT and node.input[0] in values.types:
            found = {node.output[0]: values.types[node.input[0]]}
        for name in filter(None, node.output):
            values.types[name] = _best(name, found.get(name), declared.get(name), known)
            if name in known and not values.types[name].tensor_type.elem_type:
                values.types[name].tensor_type.elem_type = _element_type(node.input, values)
        fold(node, values, model)


def _element_type(inputs: Sequence[str], values: Values) -> int:
    """That of the first input: shapes that the caller knows may contradict the op, so that inference says nothing."""
    return next((values.types[name].tensor_type.elem_type for name in inputs if name in values.types), 0)


def _constant_types(node: NodeProto) -> dict[str, TypeProto]:
    """The type of a stored tensor, which need not enter the inference."""
    if node.op_type != "Constant" or node.domain not in {"", "ai.onnx"} or len(node.output) != 1:
        return {}
    stored = [attribute.t for attribute in node.attribute if attribute.name == "value"]
    return {node.output[0]: tensor_type(stored[0].data_type, stored[0].dims)} if len(stored) == 1 else {}


def _standard_types(node: NodeProto, values: Values, model: ModelProto) -> dict[str, TypeProto]:
    steering = {}
    for name in reads(node):
        value = _steering_value(name, values)
        if value is not None:
            steering[name] = value
    return infer_node(node, values.types, steering, model.opset_import)


def _steering_value(name: str, values: Values) -> Array | None:
    """The value of a tensor that may steer a shape: integers, or a few floats."""
    shape = values.shape(name)
    if shape is None or len(shape) > 1:
        return None
    if values.dtype(name) == "float32" and shape and shape[0] > _MOST_FLOATS:
        return None
    value = values.value(name)
    return value if value is not None and value.dtype in (np.int64, np.int32, np.float32, np.bool_) else None


def _best(name: str, found: TypeProto | None, declared: TypeProto | None, known: Mapping[str, Shape]) -> TypeProto:
    """The type that says most: what the caller knows, else what was inferred, else what the file declares."""
    best = TypeProto()
    if found is not None:
        best.CopyFrom(found)
    elif declared is not None:
        best.CopyFrom(declared)
    if best.WhichOneof("value") not in {None, "tensor_type"}:
        return best
    if declared is not None and not best.tensor_type.elem_type:
        best.tensor_type.elem_type = declared.tensor_type.elem_type
    for dim in best.tensor_type.shape.dim:
        if dim.dim_value < 0:
            dim.Clear()
    if name in known:
        best.tensor_type.shape.SetInParent()
        best.tensor_type.shape.ClearField("dim")
        for size in known[name]:
            best.tensor_type.shape.dim.add(dim_value=size)
    elif not _is_complete(best) and declared is not None and _is_complete(declared):
        best.tensor_type.shape.CopyFrom(declared.tensor_type.shape)
    return best


def _is_complete(kind: TypeProto) -> bool:
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
