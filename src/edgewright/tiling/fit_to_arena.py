"""A network fitted to the arena of TensorFlow Lite Micro: groups in strips, and offsets planned offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgewright.errors import BudgetError, EdgewrightError
from edgewright.graph.edits import Edit
from edgewright.graph.padding import Expresses
from edgewright.graph.types import Graph
from edgewright.memory.tflm import ArenaPrediction, Build, predict_arena
from edgewright.memory.tflm.offline import OfflinePlan, plan_offsets
from edgewright.memory.tflm.price import arena_estimate, clone_bytes, live_at_ops
from edgewright.memory.tflm.verify import overwritten
from edgewright.tiling.arena_search import ArenaPrice, ArenaSearch, Candidate
from edgewright.tiling.plan import TilingPlan
from edgewright.units import format_bytes

_MOST_PLANNED = 16


@dataclass(frozen=True)
class ArenaTarget:
    """Where a network is to fit: the build whose arena counts, whether tensors may share bytes, and how many times
    the operations and the time may be taken."""

    build: Build
    expresses: Expresses
    share: bool = True
    most_work: float = 1.1


@dataclass(frozen=True)
class ArenaFit:
    """A plan, its edits, the network after them, offsets, and the arena before and after.

    `macs_ratio` and `time_ratio` are operations and predicted time by those of the untiled network.
    """

    plan: TilingPlan
    edits: tuple[Edit, ...]
    graph: Graph
    offsets: Mapping[str, int]
    shared: tuple[str, ...]
    before: ArenaPrediction
    after: ArenaPrediction
    macs_ratio: float
    time_ratio: float


def fit_arena(
    graph: Graph,
    budget_bytes: int | None,
    target: ArenaTarget,
    source: str = "network",
    given: Mapping[str, int] | None = None,
) -> ArenaFit:
    """The fastest plan whose whole arena stays inside the budget; without a budget the one of the least arena.

    `given` are offsets that the network has already. Nothing is changed where the network fits as it is; offsets alone
    are planned where that does. Raises BudgetError, which names the least budget that was found, and
    UnsupportedModelError where TFLM can't run the network.
    """
    before = predict_arena(graph, target.build, offsets=given)
    if budget_bytes is not None and before.arena_bytes <= budget_bytes:
        return ArenaFit(TilingPlan(()), (), graph, given or {}, (), before, before, 1.0, 1.0)
    planned = _Planned(graph, before, target)
    if budget_bytes is not None and planned.fit(planned.untiled).after.arena_bytes <= budget_bytes:
        return planned.fit(planned.untiled)
    found = planned.search()
    if budget_bytes is None:
        return planned.smallest(found)
    promising = sorted((one for one in found if one.arena_bytes <= budget_bytes), key=lambda one: one.time_s)
    for one in promising[: 2 * _MOST_PLANNED]:
        if planned.fit(one).after.arena_bytes <= budget_bytes:
            return planned.fit(one)
    best = planned.smallest(found)
    if best.after.arena_bytes <= budget_bytes:
        return best
    least = best.after.arena_bytes
    raise BudgetError(
        f"{source}: {format_bytes(budget_bytes)} can't be met: op {best.after.peak_op!r} stands in the way; "
        f"the least arena that was found is {format_bytes(least)} ({least} bytes)",
        least,
    )


class _Planned:
    """Candidates of a network, and their fits once they have been planned with care."""

    def __init__(self, graph: Graph, before: ArenaPrediction, target: ArenaTarget) -> None:
        self.before, self.target = before, target
        build, share = target.build, target.share
        price = ArenaPrice(
            lambda one: arena_estimate(one, build, share),
            lambda one: clone_bytes(one, build),
            lambda one: live_at_ops(one, share),
        )
        self.searching = ArenaSearch(graph, price, target.expresses, target.most_work)
        self.untiled = self.searching.untiled()
        self.fits: dict[int, ArenaFit] = {}

    def search(self) -> Sequence[Candidate]:
        """All candidates, the smallest arena first."""
        return sorted(self.searching.candidates(), key=lambda one: one.arena_bytes)

    def smallest(self, found: Sequence[Candidate]) -> ArenaFit:
        """The least arena of candidates, of which no later one is expected to need less, or the network as it is."""
        best = self.fit(self.untiled)
        for one in found[:_MOST_PLANNED]:
            if one.arena_bytes >= best.after.arena_bytes:
                break
            best = min(best, self.fit(one), key=lambda fit: fit.after.arena_bytes)
        return best

    def fit(self, one: Candidate) -> ArenaFit:
        """A candidate with its offsets."""
        if id(one) not in self.fits:
            self.fits[id(one)] = self._fit(one)
        return self.fits[id(one)]

    def _fit(self, one: Candidate) -> ArenaFit:
        found = best_offsets(one.graph, self.target)
        after = predict_arena(one.graph, self.target.build, offsets=found.offsets)
        ratios = one.macs / max(self.untiled.macs, 1), one.time_s / max(self.untiled.time_s, 1e-12)
        return ArenaFit(one.plan, one.edits, one.graph, found.offsets, found.shared, self.before, after, *ratios)


def best_offsets(graph: Graph, target: ArenaTarget) -> OfflinePlan:
    """Offsets for a network. Raises EdgewrightError where the check finds them wrong."""
    best = plan_offsets(graph, target.build, share=target.share)
    wrong = overwritten(graph, best.offsets, best.head_bytes) if best.offsets else ()
    if wrong:
        raise EdgewrightError(f"the offsets that were planned are wrong: {wrong[0]}")
    return best
