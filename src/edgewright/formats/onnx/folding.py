"""Which tensors are constant, and the values of the small ones that shapes and attributes hang on."""

from math import prod

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from edgewright.formats.onnx.reading import has_subgraph, reads
from edgewright.formats.onnx.values import LARGEST_VALUE, Array, Values

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
_MOVES = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
_MOST_FLOATS = 64
"""Integers are shapes and indices; floats steer an op only where they are few (scales, bounds)."""


def fold(node: NodeProto, values: Values, model: ModelProto) -> None:
    """Mark the outputs of a node constant where its inputs are, and compute small ones."""
    if node.op_type in {"Shape", "Size"} and node.domain in {"", "ai.onnx"}:
        _fold_shape(node, values)
        return
    if node.op_type in _RANDOM or not values.are_constant(reads(node)):
        return
    outputs = [name for name in node.output if name]
    if node.op_type == "Constant" and node.domain in {"", "ai.onnx"}:
        _fold_constant(node, values)
        return
    values.folded.update(outputs)
    if node.op_type == "DequantizeLinear" or (node.op_type in _MOVES and node.input[0] in values.stored_as):
        # A weight that is stored quantized: runtimes compute with it as it is, or unpack it on the way.
        values.stored_as[outputs[0]] = values.stored_as.get(node.input[0], values.dtype(node.input[0]))
    elif not has_subgraph(node) and all(_is_worth_it(name, values) for name in outputs):
        for name, value in zip(node.output, _evaluate(node, values, model), strict=False):
            if name:
                values.add_value(name, value)


def _fold_shape(node: NodeProto, values: Values) -> None:
    shape = values.shape(node.input[0])
    if shape is None:
        return
    if node.op_type == "Size":
        if prod(shape) < 2**63:
            values.add_value(node.output[0], np.array(prod(shape), np.int64))
        return
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    part = shape[bounds.get("start", 0) : bounds.get("end", len(shape))]
    values.add_value(node.output[0], np.array(part, np.int64))


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


def _is_worth_it(name: str, values: Values) -> bool:
    shape = values.shape(name)
    if shape is None:
        return False
    is_float = "float" in values.dtype(name)
    return prod(shape) <= (_MOST_FLOATS if is_float else LARGEST_VALUE)


def _evaluate(node: NodeProto, values: Values, model: ModelProto) -> list[Array]:
    """The outputs of a node by ONNX's reference implementation; nothing where it can't tell."""
    inputs = {name: values.value(name) for name in node.input if name}
    if any(value is None for value in inputs.values()):
        return []
    from onnx.reference import ReferenceEvaluator

    graph = onnx.GraphProto(name="node")
    graph.node.add().CopyFrom(node)
    graph.input.extend(onnx.ValueInfoProto(name=name, type=values.types[name]) for name in inputs)
    graph.output.extend(onnx.ValueInfoProto(name=name, type=values.types[name]) for name in node.output if name)
    single = ModelProto(ir_version=model.ir_version, graph=graph, opset_import=model.opset_import)
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(single).run(None, inputs)
    except Exception:  # The evaluator raises whatever an op's code raises; the value is then not known.
        return []
    return [np.asarray(result) for result in results]
