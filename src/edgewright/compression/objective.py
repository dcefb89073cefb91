"""What a network is narrowed for: its predicted time, its operations or its parameters, at any widths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgewright.compression.deepiot.costs import Costs, WeightCosts, operation_costs, time_costs
from edgewright.errors import UnsupportedModelError
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.cost import layer_cost
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph, LayerSpec
from edgewright.memory.onnxruntime import predict_peak
from edgewright.timing.context import cold_share
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.candidates import blocks_of
from edgewright.widths.executed import layers_at
from edgewright.widths.frontier import Frontiers, Options, WidthPrices
from edgewright.widths.layouts import Layouts
from edgewright.widths.places import Places, Widths
from edgewright.widths.plan import WidthPlan, plan_of
from edgewright.widths.price import Prices

STEERS = ("time", "energy", "operations", "parameters")
PREDICTED = ("time", "energy")
"""What a model of the device tells."""
FEWEST = 2
"""Channels that each group keeps: where a reshape lays one channel flat, nothing tells afterwards where it lies."""
_BYTES = 4
_COARSE = 8
"""About so many widths of each group, evenly apart, are tried at first."""
_FEW = (1, 4, 8, 16)
_COLDER = 0.05
_MOST_FRONTIERS = 100
"""More are kept of no op: branches that meet would have a product of their widths, and moves come afterwards."""
_BIG = 8
"""A width is rounded to the largest block that is no more than this share of it."""


class _Counted(Prices):
    """Layers cost their operations, or nothing."""

    def __init__(self, counts: bool) -> None:
        self.counts = counts

    def learn(self, layers: Iterable[LayerSpec]) -> None:
        """There is nothing to work out."""

    def of(self, layers: Iterable[LayerSpec]) -> float:
        return float(sum(layer_cost(layer).macs for layer in layers)) if self.counts else 0.0


@dataclass(frozen=True)
class Objective:
    """The cost of a network at any widths of its groups, and the search for what is cheapest.

    `steer` is one of STEERS; costs are seconds, joules, multiply-accumulates or items. `costs` takes batches of widths.
    `item_price` is what an item of the weights costs in the search. `overhead` is part of each cost: seconds that a run
    takes before any layer. `known` are the seconds of layers that were measured in such networks.
    """

    steer: str
    places: Places
    frontiers: Frontiers
    costs: Costs
    blocks: tuple[int, ...]
    item_price: float
    block: int
    overhead: float = 0.0
    model: ExecutionTimeModel | None = None
    known: Mapping[LayerSpec, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        graph: Graph,
        groups: Sequence[ChannelGroup],
        model: ExecutionTimeModel | None,
        block: int,
        steer: str = "time",
        overhead_s: float = 0.0,
    ) -> "Objective":
        """`block` is the channels of a block of the runtime's blocked layout, 1 where it has none. Steering by time
        takes a `model` of the device's time, by energy one of its energy."""
        places = Places(graph, tuple(groups))
        layouts = Layouts.of(places, block)
        blocks = blocks_of(model)
        if steer in PREDICTED:
            assert model is not None
            prices = Prices(model, _BYTES * places.weights(places.widths))
            costs = time_costs(layouts, prices)
            return cls(steer, places, Frontiers(layouts, prices), costs, blocks, 0.0, block, overhead_s, model)
        counts = steer == "operations"
        counted: Costs = operation_costs(layouts) if counts else WeightCosts(places)
        return cls(steer, places, Frontiers(layouts, _Counted(counts)), counted, blocks, 0.0 if counts else 1.0, block)

    def at_weights(self, widths: Widths) -> "Objective":
        """The same where so many bytes of weights as at these widths lie in the caches."""
        if self.model is None:
            return self
        return self._priced(Prices(self.model, _BYTES * self.places.weights(widths), self.known))

    def is_as_cold(self, widths: Widths) -> bool:
        """Whether about the same share of the weights lies outside of the caches at these widths."""
        if self.model is None:
            return True
        capacity = self.model.context.capacity_bytes
        now, then = (cold_share(_BYTES * self.places.weights(one), capacity) for one in (self.original, widths))
        return abs(now - then) < _COLDER

    def measured(self, seconds: Mapping[LayerSpec, float]) -> "Objective":
        """The same with layers that were measured, by which those that differ in their channels are corrected too."""
        if self.steer != "time" or self.model is None or not seconds:
            return self
        prices = Prices(self.model, _BYTES * self.places.weights(self.original), seconds)
        return replace(self._priced(prices), known=seconds)

    def _priced(self, prices: Prices) -> "Objective":
        layouts = self.frontiers.layouts
        return replace(self, frontiers=Frontiers(layouts, prices), costs=time_costs(layouts, prices))

    @property
    def original(self) -> Widths:
        return self.places.widths

    @property
    def least(self) -> Widths:
        """The fewest channels of each group."""
        return tuple(min(FEWEST, width) for width in self.original)

    def cost(self, widths: Widths) -> float:
        return self.all_costs([widths])[0]

    def all_costs(self, rows: Sequence[Widths]) -> list[float]:
        """The cost of each of many plans, worked out together."""
        found = self.costs(np.array(rows, np.int64).reshape(len(rows), len(self.original)))
        return [float(cost) + self.overhead for cost in found]

    def cheapest(self, options: Options, favours: WidthPrices = ()) -> tuple[Widths, bool]:
        """The widths of least cost, each charged what `favours` says, and whether no option is cheaper."""
        found = self.frontiers.best(options, self.item_price, min(self.frontiers.most, _MOST_FRONTIERS), favours)
        return found.widths, found.is_exact

    def options(self, least: Widths) -> Options:
        """A few widths for each group, at the edges of blocks, from the least on; a bit wider than it is, too."""
        return tuple(_widths_of(group, self.blocks, low) for group, low in zip(self.places.groups, least, strict=True))

    def plan(self, widths: Widths, ranked: Mapping[str, Sequence[int]]) -> WidthPlan:
        """The plan of these widths: of each group the channels at the end of its ranking go."""
        gone = {group.name: ranked[group.name][width:] for group, width in zip(self.places.groups, widths, strict=True)}
        return plan_of(self.places, widths, gone)

    def peak_bytes(self, widths: Widths) -> int:
        """The predicted peak memory of the activations."""
        graph = apply(self.places.graph, plan_of(self.places, widths, self._last(widths)).edits)
        return predict_peak(graph, block=self.block, orders=1).peak_bytes

    def _last(self, widths: Widths) -> dict[str, range]:
        return {group.name: range(width, group.width) for group, width in zip(self.places.groups, widths, strict=True)}


def check_kinds(objective: Objective, model: ExecutionTimeModel) -> None:
    """Raises UnsupportedModelError where the network runs layers of a kind that the device was never asked about."""
    missing = model.unmeasured(layers_at(objective.frontiers.layouts, objective.original))
    lacking = [kind for kind in missing if not kind.startswith(("reshape", "other"))]
    if lacking:
        raise UnsupportedModelError(
            f"device {model.device!r} has never run layers of kind {', '.join(lacking)}, which this network has: "
            "`edgewright profile --for MODEL.onnx` learns them"
        )


def _widths_of(group: ChannelGroup, blocks: Sequence[int], least: int) -> tuple[int, ...]:
    """Widths of a group, at the edges of blocks, the largest that are fine enough for a width."""
    width = group.width
    found = {width, min(least, width), *(few for few in _FEW if few <= width)}
    for step in range(1, _COARSE + 1):
        about = width * step / _COARSE
        fitting = [block for block in blocks if block <= max(about / _BIG, blocks[0])]
        found.add(min(-(-int(about) // fitting[-1]) * fitting[-1], width) or 1)
    if group.growable:
        found |= {-(-width // block) * block for block in blocks if block <= max(2 * width / _BIG, blocks[0])}
    return tuple(sorted(one for one in found if one >= min(least, width)))
