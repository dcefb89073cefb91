"""What LiteRT executes: every operator of the file, but for those that XNNPACK makes part of another.

The runtime tells no times by operator. A model that `build` made has a layer in every subgraph, each of which the
harness times by itself; of any other model only the whole is timed, and its layers have no samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.formats.tflite.load import parse, read_bytes
from edgewright.formats.tflite.read import understand_model
from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, LayerSpec, Op, Shape
from edgewright.graph.xnnpack import Part, parts_of
from edgewright.runtimes.base import ExecutedLayer
from edgewright.runtimes.litert.subgraph import BUILT


def executed(model: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]) -> tuple[ExecutedLayer, ...]:
    """The executed layers in order. Raises ModelError."""
    data = read_bytes(model)
    proto = parse(data, str(model))
    subgraphs = list(proto.subgraphs)
    if proto.description != BUILT.encode():
        graph = understand_model(proto, data, str(model), shapes).graph
        return tuple(_layer(part, graph) for part in parts_of(graph, nodes[0]["level"] == "all"))
    found = []
    for subgraph, node in zip(subgraphs, nodes, strict=True):
        proto.subgraphs = [subgraph]
        graph = understand_model(proto, data, str(model)).graph
        (part,) = parts_of(graph)
        found.append(_layer(part, graph, tuple(node["samples_s"])))
    return tuple(found)


def layers_of(graph: Graph, xnnpack: bool = True) -> tuple[tuple[str, LayerSpec], ...]:
    """The name and the layer of every operator that costs time."""
    return tuple((part.op.name, _spec(part, graph)) for part in parts_of(graph, xnnpack))


def _layer(part: Part, graph: Graph, samples_s: tuple[float, ...] = ()) -> ExecutedLayer:
    return ExecutedLayer(part.op.name, part.output, _spec(part, graph), samples_s)


def _spec(part: Part, graph: Graph) -> LayerSpec:
    return part.applied(layer_of(part.op, _channels_last(part.op, graph)))


def _channels_last(op: Op, graph: Graph) -> Graph:
    """The graph with the axes of what resizes and reorders are on, which TFLite lays down and nothing else may tell."""
    if op.kind not in ("resize", "reorder"):
        return graph
    named = {name: replace(graph.tensors[name], axes="NHWC") for name in (op.inputs[0], op.outputs[0])}
    return replace(graph, tensors={**graph.tensors, **named})
