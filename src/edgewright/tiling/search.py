"""The fastest plan whose peak stays inside a budget, and the frontier of memory and time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgewright.errors import BudgetError
from edgewright.graph.edits import CloneOp, Edit, apply
from edgewright.graph.padding import Expresses, any_padding
from edgewright.graph.types import Graph
from edgewright.graph.written_out import WriteOut
from edgewright.memory.liveness import timeline
from edgewright.tiling.dynamic import Estimate, estimates
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import OpTime, Rates, network_macs
from edgewright.tiling.space import Space
from edgewright.units import format_bytes

Price = Callable[[Graph], tuple[int, float]]
"""Peak bytes and seconds of a network; it is given the rewritten one."""

_MOST_POINTS = 24
_NEIGHBOURS = 2
_FURTHER = (4, 7, 11, 16)
_BACK = (0, 1, 2, 4, 7, 11, 16, 24)
"""Estimates are in order, prices not quite: some plans further on are looked at as well, and some before the last."""


@dataclass(frozen=True)
class Pricing:
    """What the search goes by.

    `price` judges rewritten networks and has the last word. `times` are the seconds of the ops of the network as it
    is, from an execution-time model where there is one; `rates` give the costs of cutting and joining, and all the
    rest where there is none. `ordered` networks keep the order of execution on any runtime, `expresses` says what
    padding the format can write, `most_joined` how many tensors a concat joins at most, and `cuts_late` whether skip
    connections are left uncut (see `lower`). `written_out` has the times of PRelu ops that are faster written out.
    """

    rates: Rates = field(default_factory=Rates)
    price: Price | None = None
    times: Mapping[str, OpTime] | None = None
    ordered: bool = True
    expresses: Expresses = any_padding
    most_joined: int | None = None
    cuts_late: bool = False
    written_out: Mapping[str, OpTime] = field(default_factory=dict)

    def lowered(self, graph: Graph, plan: TilingPlan) -> tuple[Edit, ...]:
        """The edits of a plan."""
        return lower(graph, plan, self.ordered, self.expresses, self.most_joined, self.cuts_late)


def search(graph: Graph, budget_bytes: int, pricing: Pricing | None = None, space: Space | None = None) -> TilingPlan:
    """The plan with the least time among those whose peak stays inside the budget; no groups where none are needed.

    Raises BudgetError, which names the op that stands in the way and the least budget that can be met.
    """
    plans = PlanSearch(graph, pricing or Pricing(), space or Space())
    found = plans.fastest(budget_bytes)
    if found is None:
        raise plans.unmet(budget_bytes, plans.smallest().peak_bytes)
    return found


def least_memory(
    graph: Graph, slowdown: float, pricing: Pricing | None = None, space: Space | None = None
) -> TilingPlan:
    """The plan with the least peak among those that take at most `slowdown` times as long as the untiled network."""
    return PlanSearch(graph, pricing or Pricing(), space or Space()).least_memory(slowdown)


def frontier(graph: Graph, pricing: Pricing | None = None, space: Space | None = None) -> tuple[TilingPlan, ...]:
    """Plans that none beats in both memory and time, from the fastest to the smallest."""
    return PlanSearch(graph, pricing or Pricing(), space or Space()).frontier()


class PlanSearch:
    """Estimated plans of a network, from the fastest to the smallest, and the price of those that are looked at."""

    def __init__(self, graph: Graph, pricing: Pricing, space: Space, found: Sequence[Estimate] | None = None) -> None:
        self.graph, self.pricing, self.space = graph, pricing, space
        self.price = pricing.price or pricing.rates.price
        self.macs = network_macs(graph)
        self.plans: dict[int, TilingPlan] = {}
        self.untiled = self.judged(())
        self.found: Sequence[Estimate] = self._estimates() if found is None else found

    def repriced(self, pricing: Pricing) -> "PlanSearch":
        """The same estimates, where only the price of rewritten networks is another one."""
        return PlanSearch(self.graph, pricing, self.space, self.found)

    def fastest(self, budget_bytes: int, alike: float = 0.0) -> TilingPlan | None:
        """As `search`, None where no plan meets the budget; of plans whose times differ by no more than the share
        `alike`, the one of the least peak."""
        if self.untiled.peak_bytes <= budget_bytes:
            return self.untiled
        fits = [index for index, one in enumerate(self.found) if one.peak_bytes <= budget_bytes]
        first = fits[0] if fits else len(self.found) - 1
        if self.plan(first).peak_bytes > budget_bytes:
            first = self.bisect(first, lambda plan: plan.peak_bytes <= budget_bytes)
        plans = [plan for plan in map(self.plan, self.around(first)) if plan.peak_bytes <= budget_bytes]
        if not plans:
            smallest = self.smallest()
            return smallest if smallest.peak_bytes <= budget_bytes else None
        slowest_s = (1 + alike) * min(plan.predicted_s for plan in plans)
        return min((plan for plan in plans if plan.predicted_s <= slowest_s), key=_peak)

    def least_memory(self, slowdown: float) -> TilingPlan:
        """As the function of that name."""
        limit_s = slowdown * self.untiled.predicted_s
        first_slow = self.bisect(0, lambda plan: plan.predicted_s > limit_s)
        plans = [self.untiled, *map(self.plan, self.around(first_slow))]
        return min((plan for plan in plans if plan.predicted_s <= limit_s), key=_peak)

    def frontier(self) -> tuple[TilingPlan, ...]:
        """As the function of that name."""
        plans = [self.untiled, *map(self.plan, self.spread(_MOST_POINTS))]
        kept: list[TilingPlan] = []
        for plan in sorted(plans, key=lambda plan: (plan.predicted_s, plan.peak_bytes)):
            if not kept or plan.peak_bytes < kept[-1].peak_bytes:
                kept.append(plan)
        return tuple(kept)

    def smallest(self) -> TilingPlan:
        """The plan of the least peak."""
        last = len(self.found) - 1
        return min((self.untiled, *(self.plan(last - back) for back in _BACK if back <= last)), key=_peak)

    def unmet(self, budget_bytes: int, least_bytes: int) -> BudgetError:
        """The error of a budget that no plan meets, where so much is the least."""
        return BudgetError(
            f"{format_bytes(budget_bytes)} can't be met: op {self._widest_op(self.smallest())!r} stands in the way; "
            f"the least budget that can be met is {format_bytes(least_bytes)} ({least_bytes} bytes)",
            least_bytes,
        )

    def _estimates(self) -> Sequence[Estimate]:
        pricing = self.pricing
        times = pricing.times if pricing.times is not None else pricing.rates.times(self.graph)
        seen = outline(self.graph, {**times, **pricing.written_out}, pricing.expresses)
        return estimates(seen, pricing.rates, self.space)

    def plan(self, index: int) -> TilingPlan:
        """A plan with the price of its rewritten network."""
        if index not in self.plans:
            blocks = (block for block in self.found[index].blocks if block.grid != (1, 1))
            self.plans[index] = self.judged(
                tuple(
                    FusedGroup(tuple(op.name for op in self.graph.ops[block.start : block.end]), block.grid, block.halo)
                    for block in blocks
                )
            )
        return self.plans[index]

    def judged(self, groups: tuple[FusedGroup, ...]) -> TilingPlan:
        """The plan of these groups: PRelu ops outside of them are written out too where that takes no memory."""
        order, written = tuple(op.name for op in self.graph.ops), tuple(self.pricing.written_out)
        inside = tuple(name for name in written if any(name in group.op_names for group in groups))
        plan = self._priced(TilingPlan(groups, order, written_out=inside))
        if groups and inside != written:
            plan = min(plan, self._priced(replace(plan, written_out=written)), key=_peak_and_time)
        return plan

    def _priced(self, plan: TilingPlan) -> TilingPlan:
        edits = self.pricing.lowered(self.graph, plan)
        rewritten = apply(self.graph, edits) if edits else self.graph
        peak, time = self.price(rewritten)
        return replace(plan, peak_bytes=peak, predicted_s=time, extra_macs=network_macs(rewritten) - self.macs)

    def bisect(self, low: int, accepts: Callable[[TilingPlan], bool]) -> int:
        """The first plan from `low` on that is accepted, as far as acceptance is in order; the last where none is."""
        high = len(self.found) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if accepts(self.plan(middle)) else (middle + 1, high)
        return low

    def around(self, index: int) -> list[int]:
        """The plans next to one, and a few smaller ones further on."""
        near = range(max(index - _NEIGHBOURS, 0), index + _NEIGHBOURS + 1)
        return [one for one in (*near, *(index + far for far in _FURTHER)) if one < len(self.found)]

    def spread(self, count: int) -> list[int]:
        """At most so many plans, the first and the last among them, their peaks in about equal proportions."""
        peaks = np.log([max(one.peak_bytes, 1) for one in self.found])
        wanted = np.linspace(peaks[0], peaks[-1], count)
        return sorted({int(np.abs(peaks - one).argmin()) for one in wanted} | {0, len(peaks) - 1})

    def _widest_op(self, plan: TilingPlan) -> str:
        """The op of the original network at whose place the rewritten one needs most."""
        edits = self.pricing.lowered(self.graph, plan)
        rewritten = apply(self.graph, edits)
        sources = {edit.name: edit.source for edit in edits if isinstance(edit, CloneOp | WriteOut)}
        sources |= {op.name: op.name for op in self.graph.ops}
        places = range(timeline(rewritten).peak_index, -1, -1)
        before = (sources.get(rewritten.ops[place].name) for place in places)
        return next((name for name in before if name), self.graph.ops[0].name)


def _peak(plan: TilingPlan) -> int:
    return plan.peak_bytes


def _peak_and_time(plan: TilingPlan) -> tuple[int, float]:
    return plan.peak_bytes, plan.predicted_s
