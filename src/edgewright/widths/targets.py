"""The runtimes that networks are aligned for."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgewright.graph.types import Graph
from edgewright.memory import litert, onnxruntime
from edgewright.memory.litert import Delegate
from edgewright.widths.layouts import Layouts
from edgewright.widths.litert import Parts
from edgewright.widths.places import Places


@dataclass(frozen=True)
class OnnxRuntimeTarget:
    """ONNX Runtime; `block` is the channels of a block of its blocked layout, 1 where it has none."""

    block: int

    def executed(self, places: Places) -> Layouts:
        return Layouts.of(places, self.block)

    def peak_bytes(self, graph: Graph) -> int:
        return onnxruntime.predict_peak(graph, block=self.block, orders=1).peak_bytes


@dataclass(frozen=True)
class LitertTarget:
    """LiteRT; `delegates` are the parts of the network that XNNPACK takes over, none where it is not used."""

    delegates: tuple[Delegate, ...] = ()
    xnnpack: bool = True

    @classmethod
    def of(cls, delegates: Iterable[tuple[tuple[str, ...], tuple[str, ...]]], xnnpack: bool) -> "LitertTarget":
        """From the tensors that each delegate reads and makes."""
        return cls(tuple(Delegate(*sides) for sides in delegates), xnnpack)

    def executed(self, places: Places) -> Parts:
        return Parts.of(places, self.xnnpack)

    def peak_bytes(self, graph: Graph) -> int:
        return litert.predict_peak(graph, self.delegates).peak_bytes
