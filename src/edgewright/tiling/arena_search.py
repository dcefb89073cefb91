"""Groups and strips for a runtime that keeps everything in one arena, where every op and tensor has its price.

On a microcontroller each copy of an op costs memory that stays: a node, tensors, a convolution's numbers for each
channel. So few strips are better than many, and a plan has few groups. They are found one after the other: the group
that lowers the arena most, then another one for what is the peak by then. Each candidate is lowered and priced as what
it is, but for those that can't be better by what they must cost at the least.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edgewright.errors import UnsupportedModelError
from edgewright.graph.edits import Edit, apply
from edgewright.graph.padding import Expresses, any_padding
from edgewright.graph.types import Graph
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import Rates, network_macs

MICROCONTROLLER = Rates(macs_per_s=50e6, bytes_per_s=100e6, op_s=20e-6)
"""Speeds of a small core with reference kernels; only their proportions matter."""

_STRIPS = (2, 3, 4, 5, 6, 7, 8, 10, 12)
_LONGEST = 24
_MOST_GROUPS = 3


@dataclass(frozen=True)
class ArenaPrice:
    """Prices of a network: its arena, about (`quick`), and what its parts cost at the least.

    `node_bytes` is what a copy of each op adds to the arena for good, `live_bytes` what lives while each op runs.
    """

    quick: Callable[[Graph], int]
    node_bytes: Callable[[Graph], Sequence[int]]
    live_bytes: Callable[[Graph], Sequence[int]]


@dataclass(frozen=True)
class Candidate:
    """A plan with the edits that carry it out, the network after them, its arena about, its operations and its time."""

    plan: TilingPlan
    edits: tuple[Edit, ...]
    graph: Graph
    arena_bytes: int
    macs: int
    time_s: float


@dataclass
class ArenaSearch:
    """The search for one network; `most_work` is how many times its operations and its time may be taken."""

    graph: Graph
    price: ArenaPrice
    expresses: Expresses = any_padding
    most_work: float = 1.1
    seen: dict[tuple[FusedGroup, ...], Candidate | None] = field(default_factory=dict)
    _untiled: Candidate | None = None

    def candidates(self) -> tuple[Candidate, ...]:
        """All plans that were priced, the untiled network first."""
        best = untiled = self.untiled()
        for _ in range(_MOST_GROUPS):
            found = self._with_another_group(best)
            if found is None or found.arena_bytes >= best.arena_bytes:
                break
            best = found
        priced = [one for one in self.seen.values() if one is not None]
        return (untiled, *sorted(priced, key=lambda one: one.arena_bytes))

    def untiled(self) -> Candidate:
        """The network as it is."""
        if self._untiled is None:
            self._untiled = self._priced_untiled()
        return self._untiled

    def _priced_untiled(self) -> Candidate:
        macs, time_s = network_macs(self.graph), MICROCONTROLLER.price(self.graph)[1]
        return Candidate(TilingPlan(()), (), self.graph, self.price.quick(self.graph), macs, time_s)

    def _with_another_group(self, base: Candidate) -> Candidate | None:
        """The best plan that has one group more; groups reach over the op where most lives outside of the others."""
        taken = {name for group in base.plan.groups for name in group.op_names}
        live, nodes = self.price.live_bytes(self.graph), self.price.node_bytes(self.graph)
        free = [index for index, op in enumerate(self.graph.ops) if op.name not in taken]
        peak = max(free, key=lambda index: live[index], default=-1)
        tail = base.arena_bytes - max(self.price.live_bytes(base.graph), default=0)
        best: Candidate | None = None
        for start, end, count in self._ranges(peak, taken):
            outside = max((live[index] for index in free if not start <= index < end), default=0)
            added = (count - 1) * sum(nodes[start:end])
            limit = best.arena_bytes if best else base.arena_bytes
            if tail + outside + added >= limit:
                continue
            names = tuple(op.name for op in self.graph.ops[start:end])
            found = self.judged((*base.plan.groups, FusedGroup(names, (count, 1), "carry")))
            if found is not None and (best is None or found.arena_bytes < best.arena_bytes):
                best = found
        return best

    def _ranges(self, peak: int, taken: set[str]) -> Iterator[tuple[int, int, int]]:
        """Begins and ends of groups over an op, and counts of strips; those nearest to the op first."""
        cuts = outline(self.graph, {}, self.expresses).cuts
        ops = self.graph.ops
        for end in (cut for cut in cuts if peak < cut <= peak + _LONGEST):
            for start in (cut for cut in reversed(cuts) if peak - _LONGEST <= cut <= peak):
                if taken.isdisjoint(op.name for op in ops[start:end]):
                    yield from ((start, end, count) for count in _STRIPS)

    def judged(self, groups: tuple[FusedGroup, ...]) -> Candidate | None:
        """A plan as it is after lowering; None where it can't be lowered or computes too much."""
        key = tuple(sorted(groups, key=lambda group: group.op_names))
        if key not in self.seen:
            self.seen[key] = self._judged(key)
        return self.seen[key]

    def _judged(self, groups: tuple[FusedGroup, ...]) -> Candidate | None:
        plan = TilingPlan(groups, tuple(op.name for op in self.graph.ops))
        try:
            edits = lower(self.graph, plan, ordered=False, expresses=self.expresses)
            tiled = apply(self.graph, edits)
            macs, time_s, before = network_macs(tiled), MICROCONTROLLER.price(tiled)[1], self.untiled()
            if macs > self.most_work * before.macs or time_s > self.most_work * before.time_s:
                return None
            arena = self.price.quick(tiled)
        except UnsupportedModelError:
            return None
        made = TilingPlan(groups, plan.order, arena, time_s, macs - before.macs)
        return Candidate(made, edits, tiled, arena, macs, time_s)
