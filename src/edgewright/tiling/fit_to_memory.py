"""A network fitted to a budget on a runtime: the search with the runtime's own peaks, and times of a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn, Protocol, Self

from edgewright.errors import BudgetError
from edgewright.graph.edits import Edit, apply
from edgewright.graph.layers import layers_of
from edgewright.graph.types import Graph, LayerSpec
from edgewright.memory.onnxruntime import PeakPrediction, Settings, predict_peak
from edgewright.tiling.estimate import Floats
from edgewright.tiling.plan import TilingPlan
from edgewright.tiling.rates import OpTime, Rates, network_macs
from edgewright.tiling.search import PlanSearch, Pricing, frontier
from edgewright.tiling.space import Space
from edgewright.tiling.written_out import faster_written_out
from edgewright.timing import ExecutionTimeModel
from edgewright.units import parse_bytes

_NEXT_SHARE = 0.99
"""Where a plan turns out to need more than was asked for, less is asked for by so much at the least."""
_CLOSER = 0.9
"""What is predicted closely of a plan is no less than this share of what the search goes by."""
_ALIKE = 0.01
"""Predicted times do not tell plans apart that differ by no more: the smaller one is taken."""
_TRIED = 32
"""Plans of the frontier that are looked at closely where times are to be measured."""
_SLOWER = 1.5
"""Plans that are predicted to be slower than what was asked for by no more may still turn out to be fast enough."""
_GAIN = 0.99
"""A larger plan is worth measuring where it is predicted to take at most this share of the time of a smaller one."""
_SELECT_S = 2.5e-9
"""What ONNX Runtime takes for an item of a PRelu whose signs follow no pattern, at the least, beyond moving it."""
_COPIES = 2.0
"""What is cut out of blocks of channels leaves them before and enters them behind, each at half the price of a copy."""


class Peak(Protocol):
    """What is predicted of a network's memory; `arena_bytes` is as in each runtime's own prediction."""

    @property
    def peak_bytes(self) -> int: ...
    @property
    def peak_op(self) -> str: ...
    @property
    def inputs_bytes(self) -> int: ...
    @property
    def weights_bytes(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def settings(self) -> Settings: ...


class Place(Protocol):
    """Where a network is to fit: `Target` for ONNX Runtime, `LitertTarget` for LiteRT."""

    def peak(self, graph: Graph) -> Peak:
        """The predicted peak of a network."""

    def seconds(self, graph: Graph, peak: Any = None) -> float:
        """The predicted time of a network; `peak` is what was predicted of it already."""

    def pricing(self, graph: Graph) -> Pricing:
        """What the search goes by for a network."""

    def rewritten(self) -> Self:
        """The same place for a network that was rewritten: its file fixes the shapes of the inputs."""


@dataclass(frozen=True)
class Target:
    """Where a network is to fit: the runtime's memory settings and blocked layout, and the device's times if known.

    Without an execution-time model, times come from operations and bytes moved, and only their ratios count.
    `open_inputs` are as in `predict_peak`.
    """

    settings: Settings = "lean"
    block: int = 16
    threads: int = 1
    learned: ExecutionTimeModel | None = None
    open_inputs: tuple[str, ...] = ()

    def peak(self, graph: Graph, arena_bytes: int | None = None) -> PeakPrediction:
        """The predicted peak of a network as its file says it; `arena_bytes` as in `predict_peak`."""
        return predict_peak(
            graph,
            self.settings,
            block=self.block,
            threads=self.threads,
            arena_bytes=arena_bytes,
            open_inputs=self.open_inputs,
        )

    def seconds(self, graph: Graph, peak: PeakPrediction | None = None) -> float:
        """The predicted time of a network; `peak` is what was predicted of it already."""
        found = peak or self.peak(graph, arena_bytes=0)
        if self.learned is None:
            rates = Rates(select_s=_SELECT_S)
            times = rates.times(graph)
            own = sum(time.fixed_s + time.variable_s for name, time in times.items() if name not in found.folded)
            return own + sum(rates.reorder_s(layer) for layer in found.reorders)
        named = [layer for name, layer in layers_of(graph) if name not in found.folded]
        return float(self._layer_times([*named, *found.reorders], graph).sum())

    def _layer_times(self, layers: Sequence[LayerSpec], graph: Graph) -> Floats:
        """Learned seconds of layers; tiles share the network's weights, so that those count once."""
        assert self.learned is not None
        weights = sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_constant)
        found: Floats = self.learned.predict(layers) + self.learned.context.added(layers, float(weights))
        return found

    def pricing(self, graph: Graph) -> Pricing:
        """What the search goes by for a network."""
        rates = Rates(copies=_COPIES if self.block > 1 else 1.0, select_s=_SELECT_S)
        times = None
        if self.learned is not None:
            rates = rates.slower(self.seconds(graph) / max(rates.price(graph)[1], 1e-12))
            times = self._learned_times(graph, rates)
        written_out = faster_written_out(graph, self.seconds, times or rates.times(graph))
        return Pricing(rates, self.rewritten()._price, times, cuts_late=self.block > 1, written_out=written_out)

    def _learned_times(self, graph: Graph, rates: Rates) -> dict[str, OpTime]:
        named = layers_of(graph)
        seconds = self._layer_times([layer for _, layer in named], graph)
        return shared_times(graph, rates, {name: float(s) for (name, _), s in zip(named, seconds, strict=True)})

    def rewritten(self) -> "Target":
        """The same for a network that was rewritten: its file fixes the shapes of the inputs, so none are open."""
        return replace(self, open_inputs=())

    def _price(self, graph: Graph) -> tuple[int, float]:
        found = self.peak(graph, arena_bytes=0)
        return found.peak_bytes, self.seconds(graph, found)


def shared_times(graph: Graph, rates: Rates, seconds: Mapping[str, float]) -> dict[str, OpTime]:
    """The learned seconds of ops, each split into what every tile pays and what tiles share as the rates say."""
    parts, found = rates.times(graph), {}
    for name, time_s in seconds.items():
        part = parts.get(name, OpTime())
        whole = part.fixed_s + part.variable_s
        fixed = time_s * (part.fixed_s / whole if whole else 0.0)
        found[name] = OpTime(fixed, time_s - fixed)
    return found


@dataclass(frozen=True)
class Fitted:
    """A plan, the edits that carry it out, and what is predicted of the network before and after them."""

    plan: TilingPlan
    edits: tuple[Edit, ...]
    before: Peak
    after: Peak
    before_s: float
    after_s: float
    macs: int


@dataclass(frozen=True)
class Wish:
    """The bytes to stay inside, or how many times the time may be taken; one of both."""

    bytes: int | None = None
    slowdown: float | None = None


def asked_for(memory: int | str | None, slowdown: float | None) -> Wish:
    """What a user asked for. Raises BudgetError for no size above zero, no ratio of at least 1, or both."""
    if (memory is None) == (slowdown is None):
        raise BudgetError("say either how much memory may be used or how many times the time may be taken")
    if slowdown is not None:
        if not 1 <= slowdown < float("inf"):
            raise BudgetError(f"a slowdown of {slowdown} is no ratio of at least 1, such as 1.1")
        return Wish(None, slowdown)
    size = parse_bytes(str(memory))
    if size < 1:
        raise BudgetError(f"{memory!r} must be at least one byte")
    return Wish(size)


def fit(graph: Graph, wish: Wish, target: Place, source: str = "network") -> Fitted:
    """The fastest plan whose predicted peak stays inside the budget, or the one of least peak in the time allowed.

    No groups where none are needed. Raises BudgetError, which names the op in the way and the least budget that can be
    met.
    """
    fitting = Fitting(graph, target)
    return fitting.wished(wish) or _refused(fitting, wish, source)


def fit_anyhow(graph: Graph, wish: Wish, target: Target, source: str = "network") -> Fitted:
    """`fit` under the settings `arena`, which cost no time, or under `lean` where only they meet the budget."""
    fitting, lean = Fitting(graph, replace(target, settings="arena")), replace(target, settings="lean")
    if found := fitting.wished(wish):
        return found
    fitting = Fitting(graph, lean, fitting.plans.repriced(lean.pricing(graph)))
    return fitting.wished(wish) or _refused(fitting, wish, source)


def _refused(fitting: "Fitting", wish: Wish, source: str) -> NoReturn:
    error = fitting.plans.unmet(wish.bytes or 0, fitting.smallest.after.peak_bytes)
    raise BudgetError(f"{source}: {error}", error.least_bytes)


class Fitting:
    """The search for one network and target, with the fits of the plans that were looked at closely."""

    def __init__(self, graph: Graph, target: Place, plans: PlanSearch | None = None) -> None:
        self.graph, self.target = graph, target
        self.plans = plans or PlanSearch(graph, target.pricing(graph), Space())
        self.before = target.peak(graph)
        self.before_s = target.seconds(graph, self.before)

    def wished(self, wish: Wish) -> Fitted | None:
        """The plan that is asked for, None where no plan meets the budget."""
        if wish.bytes is None:
            return self.of(self.plans.least_memory(wish.slowdown or 1.0))
        return self.inside(wish.bytes)

    @cached_property
    def smallest(self) -> Fitted:
        """The plan of the least peak."""
        return self.of(self.plans.smallest())

    def inside(self, budget_bytes: int) -> Fitted | None:
        """The plan for a budget, if there is one; the search prices arenas a little low, so it is asked again for less
        if that shows."""
        if self.before.peak_bytes <= budget_bytes:
            return self.of(self.plans.untiled)
        wanted = float(budget_bytes)
        while wanted >= 1:
            plan = self.plans.fastest(int(wanted), _ALIKE)
            if plan is None:
                break
            if plan.groups and (found := self.of(plan)).after.peak_bytes <= budget_bytes:
                return found
            over = budget_bytes / found.after.peak_bytes if plan.groups else 1.0
            wanted *= min(over, _NEXT_SHARE)
        if _CLOSER * self.plans.smallest().peak_bytes > budget_bytes:
            return None
        return self.smallest if self.smallest.after.peak_bytes <= budget_bytes else None

    def hopeful(self, slowdown: float) -> list[Fitted]:
        """Plans that may prove to need at most `slowdown` times the time, the smallest first; each with its tiles in a
        fixed order, and in any order, which saves the ops that wait for a tile, where that is predicted to be faster.
        """
        limit_s = slowdown * _SLOWER * self.before_s
        plans = [self.plans.plan(index) for index in self.plans.spread(_TRIED)]
        found = [self.of(plan) for plan in plans if plan.groups and plan.predicted_s <= limit_s]
        if self.plans.pricing.ordered:
            tiles = [one.plan for one in found if all(group.halo == "recompute" for group in one.plan.groups)]
            found += [self.of(plan, ordered=False) for plan in tiles]
        kept: list[Fitted] = []
        for one in sorted(found, key=lambda one: (one.after.peak_bytes, one.after_s)):
            quicker = not kept or one.after_s < _GAIN * kept[-1].after_s
            if quicker and one.after.peak_bytes < self.before.peak_bytes:
                kept.append(one)
        return kept

    def of(self, plan: TilingPlan, ordered: bool = True) -> Fitted:
        """What is predicted of a plan; where tiles need not be `ordered`, the runtime chooses which one comes first."""
        pricing = self.plans.pricing
        edits = replace(pricing, ordered=pricing.ordered and ordered).lowered(self.graph, plan)
        target = self.target.rewritten() if edits else self.target
        after = target.peak(changed := apply(self.graph, edits)) if edits else self.before
        after_s = self.target.seconds(changed, after) if edits else self.before_s
        return Fitted(plan, edits, self.before, after, self.before_s, after_s, network_macs(self.graph))


def frontier_of(graph: Graph, target: Place) -> tuple[TilingPlan, ...]:
    """Plans that none beats in both memory and time, from the fastest to the smallest."""
    return frontier(graph, target.pricing(graph))
