"""One network to be aligned: what may change, what it is predicted to bring, and what bounds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgewright.graph.channels import ChannelGroup
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph, LayerSpec
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.alternatives import alternatives
from edgewright.widths.candidates import ROUNDINGS, blocks_of, candidates, rounded
from edgewright.widths.executed import Target, layers_at
from edgewright.widths.frontier import Frontiers, Options
from edgewright.widths.places import Places, Widths
from edgewright.widths.plan import WidthPlan, plan_of
from edgewright.widths.price import Prices
from edgewright.widths.search import search

FASTEST, CORRECTED = "fastest predicted", "the same, corrected by measured layers"


@dataclass(frozen=True)
class Task:
    """A network, its groups and their candidate widths, and the ratios to which its weights and its peak may grow.

    `dead` are the channels of each group, by its name, that may go.
    """

    places: Places
    frontiers: Frontiers
    options: Options
    dead: Mapping[str, Sequence[int]]
    max_growth: float
    max_memory_growth: float
    target: Target
    _peaks: dict[Widths, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        graph: Graph,
        groups: Sequence[ChannelGroup],
        model: ExecutionTimeModel,
        target: Target,
        max_growth: float,
        max_memory_growth: float,
        dead: Mapping[str, Sequence[int]],
    ) -> "Task":
        """The task of aligning a network for a runtime, whose layers the model prices."""
        free = tuple(group for group in groups if group.growable or dead.get(group.name))
        places = Places(graph, free)
        frontiers = Frontiers(target.executed(places), Prices(model, places.weights_bytes()))
        blocks = blocks_of(model)
        options = tuple(candidates(group, blocks, len(dead.get(group.name, ()))) for group in free)
        return cls(places, frontiers, options, dead, max_growth, max_memory_growth, target)

    @property
    def original(self) -> Widths:
        return self.places.widths

    def plans(self) -> dict[str, Widths]:
        """Whole plans by name: the one that is predicted to be fastest, and every width rounded up to a constant."""
        constants = {f"all up to {block}": rounded(self.places.groups, block) for block in ROUNDINGS}
        return {FASTEST: self.fastest(tuple(constants.values())), **constants}

    def fastest(self, starts: Sequence[Widths] = ()) -> Widths:
        """The plan of least predicted time whose weights fit, with what breaks the bound of the memory taken back."""
        found = search(self.frontiers, self.options, self.most_items, starts).widths
        while not self.is_small(found):
            found = min(self._taken_back(found), key=self.peak_bytes)
        return found

    def _taken_back(self, widths: Widths) -> list[Widths]:
        """The plan with each of its groups, in turn, at the width that it had."""
        return [
            (*widths[:group], before, *widths[group + 1 :])
            for group, (width, before) in enumerate(zip(widths, self.original, strict=True))
            if width != before
        ]

    def after_measuring(self, seconds: Mapping[LayerSpec, float]) -> "Task":
        """The task with the times of layers that were measured in this network."""
        frontiers = Frontiers(self.frontiers.layouts, self.frontiers.prices.measured(seconds))
        return replace(self, frontiers=frontiers)

    def layers(self, widths: Widths) -> tuple[LayerSpec, ...]:
        """The layers that the runtime executes at these widths."""
        return layers_at(self.frontiers.layouts, widths)

    def in_network(self, layers: Sequence[LayerSpec]) -> tuple[float, ...]:
        """Seconds that each of some layers takes longer in this network than alone."""
        return tuple(float(time_s) for time_s in self.frontiers.prices.added(layers))

    @property
    def most_items(self) -> int:
        return int(self.max_growth * self.places.weights(self.original))

    def fits(self, widths: Widths) -> bool:
        """Whether weights and predicted peak memory grow within their bounds."""
        return self.is_light(widths) and self.is_small(widths)

    def is_small(self, widths: Widths) -> bool:
        """Whether the predicted peak memory grows within its bound."""
        return self.peak_bytes(widths) <= self.max_memory_growth * self.peak_bytes(self.original)

    def is_light(self, widths: Widths) -> bool:
        """Whether weights grow within the bound."""
        return self.places.weights(widths) <= self.most_items

    def peak_bytes(self, widths: Widths) -> int:
        """The predicted peak memory of the activations."""
        if widths not in self._peaks:
            graph = apply(self.places.graph, self.plan(widths).edits)
            self._peaks[widths] = self.target.peak_bytes(graph)
        return self._peaks[widths]

    def predicted_s(self, widths: Widths) -> float:
        return self.frontiers.seconds(widths)

    def alternatives(self, widths: Widths) -> tuple[Widths, ...]:
        """Plans that differ in one group from a plan, the ones predicted to be fastest first."""
        return alternatives(self.frontiers, self.options, widths, self.is_light)

    def plan(self, widths: Widths) -> WidthPlan:
        return plan_of(self.places, widths, self.dead)
