"""The interface of a runtime, and what it says of the layers that it executed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from edgewright.graph.types import LayerSpec, Shape


@dataclass(frozen=True)
class ExecutedLayer:
    """One node that the runtime really runs: its name there, the tensor it makes, and its samples in seconds.

    There are no samples where the runtime tells the time of the whole network alone.
    """

    name: str
    output: str
    layer: LayerSpec
    samples_s: tuple[float, ...]

    @property
    def time_s(self) -> float:
        return median(self.samples_s)


class Runtime(Protocol):
    """A runtime says how to build a model of layers, and how to read what its harness answered.

    `optimizes` tells that its harness writes the model that it really executes, `tells_layers` that it says how long
    each layer of a network took.
    """

    name: str
    harness: Path
    optimizes: bool
    tells_layers: bool

    def build(self, layers: Sequence[LayerSpec]) -> bytes:
        """A model in which every layer stands in a branch of its own."""

    def executed(
        self, model: Path, optimized: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]
    ) -> tuple[ExecutedLayer, ...]:
        """The layers that really ran, in order, from the answer of the harness to a `layers` job on `model`."""
