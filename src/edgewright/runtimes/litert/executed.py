"""What LiteRT executes: every operator of the file, but for those that XNNPACK makes part of another.

The runtime tells no times by operator: only a model of a single one has its time, the layers of others have no samples.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.formats.tflite import read
from edgewright.graph.types import Graph, LayerSpec, Shape
from edgewright.graph.xnnpack import layer_of_part, parts_of
from edgewright.runtimes.base import ExecutedLayer


def executed(model: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]) -> tuple[ExecutedLayer, ...]:
    """The executed layers in order. Raises ModelError."""
    graph = read(model, shapes)
    (whole,) = nodes
    parts = parts_of(graph, whole["level"] == "all")
    samples_s = tuple(whole["samples_s"]) if len(parts) == 1 else ()
    return tuple(ExecutedLayer(part.op.name, part.output, layer_of_part(part, graph), samples_s) for part in parts)


def layers_of(graph: Graph, xnnpack: bool = True) -> tuple[tuple[str, LayerSpec], ...]:
    """The name and the layer of every operator that costs time."""
    return tuple((part.op.name, layer_of_part(part, graph)) for part in parts_of(graph, xnnpack))
