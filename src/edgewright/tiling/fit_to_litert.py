"""Where a TFLite network is to fit under LiteRT: its arena and XNNPACK's workspace, and times of a device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgewright.graph.padding import Expresses
from edgewright.graph.types import Graph
from edgewright.graph.xnnpack import layer_of_part, parts_of
from edgewright.memory.litert import MOST_JOINED, Delegate, LitertPeak, Taken, predict_peak
from edgewright.tiling.fit_to_memory import shared_times
from edgewright.tiling.rates import Rates
from edgewright.tiling.search import Pricing
from edgewright.timing import ExecutionTimeModel


@dataclass(frozen=True)
class LitertTarget:
    """LiteRT with XNNPACK, which runs the parts `delegates` of the network `graph` as it is.

    Without an execution-time model, times come from operations and bytes moved, and only their ratios count.
    `expresses` says what padding the format can write.
    """

    graph: Graph
    delegates: Sequence[Delegate]
    expresses: Expresses
    learned: ExecutionTimeModel | None = None

    @cached_property
    def taken(self) -> Taken:
        return Taken.of(self.graph, self.delegates)

    def peak(self, graph: Graph) -> LitertPeak:
        """The predicted arena and workspace of the network, or of it rewritten."""
        return predict_peak(graph, self.delegates if graph is self.graph else self.taken.delegates(graph))

    def seconds(self, graph: Graph, peak: LitertPeak | None = None) -> float:
        """The predicted time of a network; its tiles share the weights, which count once for the caches."""
        return sum(self._times(graph).values())

    def pricing(self, graph: Graph) -> Pricing:
        """What the search goes by for a network."""
        usual = Pricing(Rates(), self._price, None, False, self.expresses, MOST_JOINED)
        if self.learned is None:
            return usual
        factor = self.seconds(graph) / max(usual.rates.price(graph)[1], 1e-12)
        rates = replace(
            usual.rates,
            macs_per_s=usual.rates.macs_per_s / factor,
            bytes_per_s=usual.rates.bytes_per_s / factor,
            op_s=usual.rates.op_s * factor,
        )
        return replace(usual, rates=rates, times=shared_times(graph, rates, self._times(graph)))

    def rewritten(self) -> "LitertTarget":
        """The same: LiteRT's files have no open shapes."""
        return self

    def _times(self, graph: Graph) -> dict[str, float]:
        """The seconds of each op that costs time."""
        if self.learned is None:
            return {name: time.fixed_s + time.variable_s for name, time in Rates().times(graph).items()}
        parts = parts_of(graph)
        layers = [layer_of_part(part, graph) for part in parts]
        weights = sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_constant)
        seconds = self.learned.predict(layers) + self.learned.context.added(layers, float(weights))
        return {part.op.name: float(time_s) for part, time_s in zip(parts, seconds, strict=True)}

    def _price(self, graph: Graph) -> tuple[int, float]:
        return self.peak(graph).peak_bytes, self.seconds(graph)
