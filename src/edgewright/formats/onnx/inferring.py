"""ONNX's shape inference for one node by itself."""

from collections.abc import Mapping, Sequence

import onnx
import onnx.shape_inference
from google.protobuf.message import DecodeError, EncodeError
from onnx import GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TypeProto

from edgewright.formats.onnx.reading import has_subgraph, reads
from edgewright.formats.onnx.values import Array

_POOLS = {"MaxPool", "AveragePool"}
_CEIL_FIXED = 22
"""From this operator set on inference leaves out a last window that begins behind the input, as runtimes always do."""

_RANKED = {"ConstantOfShape": slice(1), "Expand": slice(1, 2), "Reshape": slice(1, 2), "Tile": slice(1, 2)}
"""Ops whose output has as many axes as an input has items, and the place of that input."""
_MOST_AXES = 1000


def infer_node(
    node: NodeProto, types: Mapping[str, TypeProto], steering: Mapping[str, Array], opsets: Sequence[OperatorSetIdProto]
) -> dict[str, TypeProto]:
    """Types of the outputs of a node, from those of its inputs and the values of inputs that steer its shape.

    Empty where inference does not know the op, or refuses it.
    """
    if not _is_safe(node, types):
        return {}
    graph = GraphProto(name="node")
    graph.node.add().CopyFrom(node)
    for name in reads(node):
        if name in steering:
            graph.initializer.append(onnx.numpy_helper.from_array(steering[name], name))
        if name in types and (name not in steering or has_subgraph(node)):
            graph.input.add(name=name, type=types[name])
    if node.op_type in _POOLS and any(opset.version < _CEIL_FIXED and not opset.domain for opset in opsets):
        opsets = [OperatorSetIdProto(version=_CEIL_FIXED)]
    model = ModelProto(ir_version=onnx.IR_VERSION, graph=graph, opset_import=opsets)
    try:
        result = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, IndexError, RuntimeError, ValueError, DecodeError, EncodeError):
        return {}
    return {value.name: value.type for value in result.graph.value_info}


def _is_safe(node: NodeProto, types: Mapping[str, TypeProto]) -> bool:
    """Whether inference survives the node: on some that no exporter writes it ends the process instead of raising."""
    if node.input and not node.input[0]:
        return False
    given = [types[name].tensor_type if name in types else TypeProto.Tensor() for name in node.input]
    rank = len(given[0].shape.dim) if given and given[0].HasField("shape") else None
    for attribute in node.attribute:
        if attribute.name == "axis" and rank is not None and not -rank <= attribute.i <= rank:
            return False
        if attribute.name == "num_outputs" and attribute.i != len(node.output):
            return False
        if attribute.name == "batch_dims" and not 0 <= attribute.i < (rank or 1):
            return False
    if any(dim.dim_value > _MOST_AXES for part in given[_RANKED.get(node.op_type, slice(0))] for dim in part.shape.dim):
        return False
    # A slice of an axis without items, backwards.
    sizes = [dim for part in given[:1] for dim in part.shape.dim if dim.HasField("dim_value")]
    return node.op_type != "Slice" or all(dim.dim_value for dim in sizes)
