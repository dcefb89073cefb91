"""LiteRT on the CPU, with XNNPACK or without."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.graph.types import LayerSpec, Shape
from edgewright.runtimes.base import ExecutedLayer


class LiteRT:
    """The runtime `litert`: builds TFLite models; what it executes follows from the file and what XNNPACK fuses."""

    name = "litert"
    optimizes = False
    tells_layers = False
    harness = Path(__file__).parent.parent / "harness" / "litert_harness.py"

    def build(self, layers: Sequence[LayerSpec]) -> bytes:
        from edgewright.runtimes.litert.build import build

        return build(layers)

    def executed(
        self, model: Path, optimized: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]
    ) -> tuple[ExecutedLayer, ...]:
        from edgewright.runtimes.litert.executed import executed

        return executed(model, nodes, shapes)
