"""What the search thinks of a group against the network that is rewritten for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import networks
from tests.tiling.models import chain

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph
from edgewright.memory.liveness import lower_bound, timeline
from edgewright.tiling.estimate import Candidates
from edgewright.tiling.estimate_strips import strip_candidates
from edgewright.tiling.estimate_tiles import tile_candidates
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import Outline, outline
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import Rates, network_macs

GRIDS = {
    "recompute": ((2, 1), (3, 1), (2, 2), (1, 3)),
    "carry": ((2, 1), (5, 1)),
    "mixed": ((2, 1), (5, 1)),
}
RATES = Rates()


@dataclass(frozen=True)
class Comparison:
    """One candidate: what was estimated (`valid` or not) and what lowering it gives (None where it is refused)."""

    graph: Graph
    outline: Outline
    candidates: Candidates
    index: int
    rewritten: Graph | None

    @property
    def tiles(self) -> int:
        rows, columns = self.candidates.grids[self.index]
        return rows * columns

    @property
    def estimated_peak(self) -> int:
        found, i = self.candidates, self.index
        before = self.outline.held_bytes(found.start, found.start)
        after = self.outline.held_bytes(found.start, found.end)
        inside = max(before + found.peak_bytes[i], after + found.last_bytes[i])
        return int(max(inside, after + found.output_bytes + found.largest_output_bytes))

    @property
    def peak(self) -> int:
        """The most bytes that live while the group runs."""
        assert self.rewritten is not None
        start, removed = self.candidates.start, self.candidates.end - self.candidates.start
        added = len(self.rewritten.ops) - len(self.graph.ops) + removed
        return max(timeline(self.rewritten).live_bytes[start : start + added])

    @property
    def estimated_s(self) -> float:
        found = self.candidates
        others = (step.time for i, step in enumerate(self.outline.steps) if not found.start <= i < found.end)
        return sum(time.fixed_s + time.variable_s for time in others) + float(found.time_s[self.index])


def comparisons(graph: Graph, halo: str) -> Iterator[Comparison]:
    seen = outline(graph, RATES.times(graph))
    sweep = tile_candidates if halo == "recompute" else partial(strip_candidates, halos=("carry", "mixed"))
    for end in seen.cuts[1:]:
        for found in sweep(seen, RATES, end, frozenset(seen.cuts), GRIDS[halo], 99):
            ops = graph.ops[found.start : found.end]
            names = tuple(op.name for op in ops)
            for i, grid in enumerate(found.grids):
                if found.halos[i] != halo:
                    continue
                if halo == "mixed" and seen.again(grid[0]).isdisjoint(name for op in ops for name in op.outputs):
                    assert not found.valid[i]
                    continue
                try:
                    script = lower(graph, TilingPlan((FusedGroup(names, grid, halo),)))
                except UnsupportedModelError:
                    yield Comparison(graph, seen, found, i, None)
                else:
                    yield Comparison(graph, seen, found, i, apply(graph, script))


@pytest.mark.parametrize("halo", GRIDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(networks(most_ops=7, opsets=(13,)) | networks(most_ops=4, opsets=(13,), style="qdq"))
def test_never_less_than_what_lives_and_operations_to_the_last(halo: str, model: ModelProto) -> None:
    graph = read(model)
    for one in comparisons(graph, halo):
        assert bool(one.candidates.valid[one.index]) == (one.rewritten is not None)
        if one.rewritten is not None:
            extra = network_macs(one.rewritten) - network_macs(graph)
            assert one.candidates.extra_macs[one.index] == extra
            assert one.estimated_peak >= one.peak - 32 * one.tiles


@pytest.mark.parametrize("halo", GRIDS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(((1, 1), (3, 1), (3, 2), (5, 1), "pool")), min_size=1, max_size=5),
    st.integers(17, 40),
    st.integers(1, 6),
)
def test_close_on_chains(halo: str, layers: list[tuple[int, int] | str], size: int, channels: int) -> None:
    """Exact for tiles; strips that are thinner than what they keep copy a little less than is thought."""
    graph = read(chain(*layers, size=size, channels=channels))
    for one in comparisons(graph, halo):
        if one.rewritten is not None:
            slack = one.peak // 10 if halo != "recompute" else 0
            assert abs(one.estimated_peak - one.peak) <= 32 * one.tiles + slack
            assert one.estimated_s == pytest.approx(RATES.price(one.rewritten)[1], rel=0.05, abs=3.5 * RATES.op_s)


def test_the_untiled_network_lives_as_its_lifetimes_say() -> None:
    graph = read(chain((3, 1), "pool", (3, 2)))
    assert max(outline(graph, {}).live_bytes) == lower_bound(graph)
