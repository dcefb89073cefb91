"""What ONNX Runtime really executes, read from its own optimized model and its per-node profile.

The blocked layout rounds channels up and names its nodes after the tensor that they make (`conv1_nchwc`), so the
true channel counts are those of that tensor in the model as it was given.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from edgewright.errors import MeasurementError
from edgewright.formats.onnx import read
from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, Shape
from edgewright.runtimes.base import ExecutedLayer
from edgewright.runtimes.onnxruntime.branch import SOURCE
from edgewright.runtimes.onnxruntime.build import SINK

_BLOCKED = re.compile(r"(.+)_nchwc(_token_\d+)?")


def executed(
    model: Path, optimized: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]
) -> tuple[ExecutedLayer, ...]:
    """The executed layers in order, without the sources and sinks of `build`. Raises MeasurementError."""
    proto = onnx.load(optimized, load_external_data=False)
    _name_all(proto.graph.node, nodes)
    by_name = {node.name: node for node in proto.graph.node}
    missing = [node["name"] for node in nodes if node["name"] not in by_name]
    if missing:
        raise MeasurementError(f"{model}: the runtime profiled node {missing[0]!r}, which its optimized model lacks")
    original = cache(lambda: read(model, input_shapes=shapes))
    graph = read(proto, input_shapes=shapes, known_shapes=_logical_shapes(original, by_name, nodes))
    ops = {op.name: op for op in graph.ops}
    layers = []
    for node in nodes:
        proto_node = by_name[node["name"]]
        if node["name"].startswith(SOURCE) or proto_node.output[0].startswith(SINK) or node["name"] not in ops:
            continue
        layer = layer_of(ops[node["name"]], graph)
        layers.append(ExecutedLayer(node["name"], proto_node.output[0], layer, tuple(node["samples_s"])))
    return tuple(layers)


def _name_all(unnamed: Sequence[onnx.NodeProto], nodes: Sequence[Mapping[str, Any]]) -> None:
    """Gives nodes without a name the one that the profile gives them: their op and a number, in execution order."""
    named = {node.name for node in unnamed}
    made_up = [node["name"] for node in nodes if node["name"] not in named]
    for node in unnamed:
        if not node.name:
            fits = (name for name in made_up if name.rpartition("_")[0] == node.op_type)
            node.name = next(fits, "")
            if node.name:
                made_up.remove(node.name)


def _logical_shapes(
    original: Callable[[], Graph], by_name: Mapping[str, onnx.NodeProto], nodes: Sequence[Mapping[str, Any]]
) -> dict[str, Shape]:
    """The shape of every executed tensor: as profiled, but with the true channels where the layout rounded them up.

    Only those need the original model, whose reading takes longer than the rest.
    """
    found: dict[str, Shape] = {}
    for node in nodes:
        proto = by_name[node["name"]]
        made = [name for name in proto.output if name]
        found |= {name: tuple(shape) for name, shape in zip(made, node["output_shapes"], strict=False)}
        blocked = _BLOCKED.fullmatch(node["name"])
        if blocked and blocked[1] in original().tensors:
            found[made[0]] = original().tensors[blocked[1]].shape
        elif proto.op_type == "ReorderInput":
            channels_last = any(attribute.name == "channels_last" and attribute.i for attribute in proto.attribute)
            given = found.get(proto.input[0]) or original().tensors[proto.input[0]].shape
            found[made[0]] = (given[0], given[-1], *given[1:-1]) if channels_last else given
    return found
