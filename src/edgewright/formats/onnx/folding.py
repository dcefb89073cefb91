"""Which tensors are constant, and the values of the small ones that shapes and attributes hang on."""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from edgewright.formats.onnx.reading import has_subgraph, reads
from edgewright.formats.onnx.values import LARGEST_VALUE, Array, Values

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
_MOVES = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice"}
_MOST_FLOATS = 64
"""Integers are shapes and indices; floats steer an op only where they are few (scales, bounds)."""


def fold(node: NodeProto, values: Values, model: ModelProto) -> None:
    """Mark the outputs of a node constant where its inputs are, and compute small values that are known."""
    is_standard = node.domain in {"", "ai.onnx"}
    if not node.output or (not any(node.input) and node.op_type != "Constant"):
        return
    if is_standard and node.op_type in {"Shape", "Size"}:
        _fold_shape(node, values)
    elif is_standard and node.op_type == "Constant":
        _fold_constant(node, values)
    elif is_standard and node.op_type == "ArgMax" and _is_single(node, values):
        values.add_value(node.output[0], np.zeros(values.shape(node.output[0]) or (), np.int64))
    elif node.op_type not in _RANDOM:
        is_constant = all(values.is_constant(name) for name in reads(node))
        if is_constant:
            values.folded.update(name for name in node.output if name)
        if is_constant and (node.op_type == "DequantizeLinear" or _is_stored(node, values)):
            _keep_stored(node, values)
        elif not has_subgraph(node):
            _compute(node, values, model)


def _fold_shape(node: NodeProto, values: Values) -> None:
    shape = values.shape(node.input[0])
    if shape is None or prod(shape) >= 2**63:
        return
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    part = shape[bounds.get("start", 0) : bounds.get("end", len(shape))]
    values.add_value(node.output[0], np.array(prod(shape) if node.op_type == "Size" else part, np.int64))
    values.folded.add(node.output[0])


def _fold_constant(node: NodeProto, values: Values) -> None:
    name = node.output[0]
    values.folded.add(name)
    for attribute in node.attribute:
        if attribute.name == "value":
            values.add_stored(name, attribute.t)
        elif attribute.name in {"value_int", "value_ints"}:
            values.add_value(name, np.array(onnx.helper.get_attribute_value(attribute), np.int64))
        elif attribute.name in {"value_float", "value_floats"}:
            values.add_value(name, np.array(onnx.helper.get_attribute_value(attribute), np.float32))


def _is_single(node: NodeProto, values: Values) -> bool:
    """Whether ArgMax looks along an axis of one item: then it is 0, whatever the data."""
    shape = values.shape(node.input[0])
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return bool(shape) and -len(shape) <= axis < len(shape) and shape[axis] == 1 if shape else False


def _is_stored(node: NodeProto, values: Values) -> bool:
    return bool(node.input) and node.input[0] in values.stored_as


def _keep_stored(node: NodeProto, values: Values) -> None:
    """A weight that is stored quantized stays so: runtimes compute with it as it is, or unpack it on the way."""
    if node.op_type == "DequantizeLinear":
        values.stored_as[node.output[0]] = values.dtype(node.input[0])
    elif node.op_type in _MOVES:
        values.stored_as[node.output[0]] = values.stored_as[node.input[0]]


def _compute(node: NodeProto, values: Values, model: ModelProto) -> None:
    if not all(_is_worth_it(name, values) for name in node.output if name):
        return
    for name, value in zip(node.output, _evaluate(node, values, model), strict=False):
        if name:
            values.add_value(name, value)


def _is_worth_it(name: str, values: Values) -> bool:
    shape = values.shape(name)
    if shape is None:
        return False
    is_float = "float" in values.dtype(name)
    return prod(shape) <= (_MOST_FLOATS if is_float else LARGEST_VALUE)


def _evaluate(node: NodeProto, values: Values, model: ModelProto) -> list[Array]:
    """The outputs of a node where all its inputs are small and known; nothing where they are not."""
    inputs: dict[str, Array] = {}
    for name in filter(None, node.input):
        value = values.value(name)
        if value is None:
            return []
        inputs[name] = value
    return evaluate(node, inputs, values, model)


def evaluate(node: NodeProto, inputs: Mapping[str, Array], values: Values, model: ModelProto) -> list[Array]:
    """The outputs of a node by ONNX's reference implementation; nothing where it can't tell."""
    from onnx.reference import ReferenceEvaluator

    graph = onnx.GraphProto(name="node")
    graph.node.add().CopyFrom(node)
    graph.input.extend(onnx.ValueInfoProto(name=name, type=values.types[name]) for name in inputs)
    graph.output.extend(onnx.ValueInfoProto(name=name, type=values.types[name]) for name in node.output if name)
    single = ModelProto(ir_version=model.ir_version, graph=graph, opset_import=model.opset_import)
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(single).run(None, dict(inputs))
    except Exception:  # The evaluator raises whatever an op's code raises; the value is then not known.
        return []
    return [np.asarray(result) for result in results]
