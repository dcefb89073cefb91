"""Brings a model to a newer operator set, where an edit needs ops that its own lacks."""

import onnx
import onnx.version_converter
from google.protobuf.message import DecodeError, EncodeError
from onnx import GraphProto, ModelProto

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx.values import tensor_type


def upgraded(model: ModelProto, opset: int, source: str) -> ModelProto:
    """The model with nodes of the operator set `opset`; weights never enter the conversion.

    Raises UnsupportedModelError, which names `source`, where ONNX can't convert it.
    """
    bare = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, graph=_without_weights(model.graph))
    try:
        converted = onnx.version_converter.convert_version(bare, opset)
    except (onnx.version_converter.ConvertError, RuntimeError, ValueError, DecodeError, EncodeError) as error:
        raise UnsupportedModelError(f"{source}: the model can't be brought to operator set {opset}: {error}") from error
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(converted.graph.node)
    result.graph.initializer.extend(converted.graph.initializer)
    for entry in result.opset_import:
        if entry.domain in {"", "ai.onnx"}:
            entry.version = opset
    return result


def _without_weights(graph: GraphProto) -> GraphProto:
    """The graph with its initializers as inputs."""
    bare = GraphProto(name=graph.name or "graph", node=graph.node, input=graph.input, output=graph.output)
    given = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if tensor.name not in given:
            bare.input.add(name=tensor.name, type=tensor_type(tensor.data_type, tensor.dims))
    return bare
