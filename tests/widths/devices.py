"""Networks at other widths, and a device that is no device, for the tests of widths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.cost import layer_bytes, layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.timing.context import Context


@dataclass(frozen=True)
class SteppedDevice:
    """Computes in vectors of `block` channels: other widths take longer than the next multiple of it."""

    block: int = 8
    context: Context = field(default_factory=Context)
    families: dict[str, Any] = field(default_factory=dict)

    def predict(self, layers: Sequence[LayerSpec]) -> NDArray[np.float64]:
        return np.array([self.seconds(layer) for layer in layers])

    def seconds(self, layer: LayerSpec) -> float:
        made, given = layer.output[1] if len(layer.output) > 1 else 1, layer.input[1] if len(layer.input) > 1 else 1
        steps = ceil(made / self.block) * self.block / max(made, 1)
        odd = 1.4 if made % self.block else 1.0
        odd *= 1.2 if given % self.block else 1.0
        return 1e-7 + (1e-9 * float(layer_cost(layer).macs) * steps + 1e-10 * layer_bytes(layer)) * odd
