"""A TFLite file as TensorFlow Lite Micro sees it: its graph, with what decides about memory and outputs do not show."""

from dataclasses import replace
from pathlib import Path

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.read import understand
from edgewright.formats.tflite.tensors import indices
from edgewright.graph.types import Graph, Op


def micro_graph(path: Path) -> Graph:
    """The network of a file, its tensors in the order of the file, and with two attributes more on its ops.

    `stored_as` is the operator in the schema (`SLICE` and `STRIDED_SLICE` are the same kind of op), and `per_channel`
    says that a fully connected layer has a scale for each output. Raises ModelError, and UnsupportedModelError for
    several subgraphs, whose tensors the runtime plans together.
    """
    reading = understand(path)
    if len(reading.model.subgraphs) != 1:
        raise UnsupportedModelError(f"{path}: has {len(reading.model.subgraphs)} subgraphs; one alone can be planned")
    graph = reading.graph
    ops = tuple(_with_facts(op, reading.operators.get(op.name)) for op in graph.ops)
    ordered = {name: graph.tensors[name] for name in reading.tensors.names if name in graph.tensors}
    return replace(graph, ops=ops, tensors=ordered)


def _with_facts(op: Op, operator: Operator | None) -> Op:
    if operator is None:
        return op
    facts = {**op.attributes, "stored_as": operator.builtin}
    if operator.builtin == "FULLY_CONNECTED" and operator.input(1) >= 0:
        quantization = operator.tensors.stored[operator.input(1)].quantization
        scales = indices(quantization.scale) if quantization is not None else ()
        facts["per_channel"] = len(scales) > 1
    return replace(op, attributes=facts)
