"""ONNX Runtime on the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.graph.types import LayerSpec, Shape
from edgewright.runtimes.base import ExecutedLayer


class OnnxRuntime:
    """The runtime `onnxruntime`: builds ONNX models, reads its optimized model and profile."""

    name = "onnxruntime"
    optimizes = True
    tells_layers = True
    harness = Path(__file__).parent.parent / "harness" / "onnxruntime_harness.py"

    def build(self, layers: Sequence[LayerSpec]) -> bytes:
        from edgewright.runtimes.onnxruntime.build import build

        return build(layers)

    def executed(
        self, model: Path, optimized: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]
    ) -> tuple[ExecutedLayer, ...]:
        from edgewright.runtimes.onnxruntime.executed import executed

        return executed(model, optimized, nodes, shapes)
