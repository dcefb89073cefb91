"""Random tiling plans for random networks: strategies that the tests of tiling share."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from edgewright.errors import UnsupportedModelError
from edgewright.graph.geometry import tileable
from edgewright.graph.types import Graph
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan

Draw = Callable[[st.SearchStrategy[Any]], Any]


def spans(graph: Graph, positions: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of ops between two positions that can all be tiled."""
    can = [tileable(op, graph) for op in graph.ops]
    return [(a, b) for a in positions for b in positions if a < b and all(can[a:b])]


@st.composite
def plans(draw: Draw, graph: Graph, most_groups: int = 2, at_cuts: bool = False) -> TilingPlan:
    """A plan that fits the network, with no groups where none does.

    Groups begin and end anywhere, and leave some ops out; `at_cuts` takes runs of ops between cut points only.
    """
    positions = outline(graph, {}).cuts if at_cuts else range(len(graph.ops) + 1)
    groups: list[FusedGroup] = []
    for _ in range(draw(st.integers(1, most_groups))):
        taken = {name for group in groups for name in group.op_names}
        free = [span for span in spans(graph, positions) if taken.isdisjoint(op.name for op in graph.ops[slice(*span)])]
        if not free:
            break
        start, end = draw(st.sampled_from(free))
        names = [op.name for op in graph.ops[start:end]]
        if not at_cuts and draw(st.integers(0, 2)) == 0:
            names = [name for name in names if draw(st.integers(0, 4))] or names
        halo = draw(st.sampled_from(("recompute", "carry")))
        columns = 1 if halo == "carry" else draw(st.integers(1, 3))
        group = FusedGroup(tuple(names), (draw(st.integers(2 if columns == 1 else 1, 5)), columns), halo)
        if fits(graph, TilingPlan((*groups, group))):
            groups.append(group)
    return TilingPlan(tuple(groups))


def fits(graph: Graph, plan: TilingPlan) -> bool:
    try:
        lower(graph, plan)
    except UnsupportedModelError:
        return False
    return True
