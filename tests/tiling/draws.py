"""Random tiling plans for random networks: strategies that the tests of tiling share."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from edgewright.errors import UnsupportedModelError
from edgewright.graph.geometry import tileable
from edgewright.graph.padding import Expresses, any_padding
from edgewright.graph.types import Graph, Op
from edgewright.graph.written_out import can_be_written_out
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import HALOS, FusedGroup, TilingPlan

Draw = Callable[[st.SearchStrategy[Any]], Any]


def spans(graph: Graph, positions: Sequence[int], integers_only: bool = False) -> list[tuple[int, int]]:
    """Runs of ops between two positions that can all be tiled."""
    can = [tileable(op, graph) and (not integers_only or on_integers(op, graph)) for op in graph.ops]
    return [(a, b) for a in positions for b in positions if a < b and all(can[a:b])]


def on_integers(op: Op, graph: Graph) -> bool:
    """Whether a runtime computes the op on integers, in a network with quantize and dequantize ops."""
    makers = graph.producers()
    if op.kind == "quantize":
        return all(name in makers and on_integers(makers[name], graph) for name in op.inputs[:1])
    data = [name for name in op.inputs if name and not graph.tensors[name].is_constant]
    return op.kind == "dequantize" or all(
        name in makers and makers[name].kind == "dequantize" and name not in graph.outputs for name in data
    )


@st.composite
def plans(
    draw: Draw,
    graph: Graph,
    most_groups: int = 2,
    at_cuts: bool = False,
    integers_only: bool = False,
    expresses: Expresses = any_padding,
    writes_out: bool = False,
) -> TilingPlan:
    """A plan that fits the network, with no groups where none does.

    Groups begin and end anywhere, and leave some ops out; `at_cuts` takes runs of ops between cut points only, and
    `integers_only` only those whose every op is computed on integers. `expresses` is what the format can pad, and
    `writes_out` whether it writes PRelus out.
    """
    positions = outline(graph, {}).cuts if at_cuts else range(len(graph.ops) + 1)
    runs = spans(graph, positions, integers_only)
    groups: list[FusedGroup] = []
    for _ in range(draw(st.integers(1, most_groups))):
        taken = {name for group in groups for name in group.op_names}
        free = [span for span in runs if taken.isdisjoint(op.name for op in graph.ops[slice(*span)])]
        if not free:
            break
        start, end = draw(st.sampled_from(free))
        names = [op.name for op in graph.ops[start:end]]
        if not at_cuts and draw(st.integers(0, 2)) == 0:
            names = [name for name in names if draw(st.integers(0, 4))] or names
        halo = draw(st.sampled_from(HALOS))
        columns = draw(st.integers(1, 3)) if halo == "recompute" else 1
        group = FusedGroup(tuple(names), (draw(st.integers(2 if columns == 1 else 1, 5)), columns), halo)
        if fits(graph, TilingPlan((*groups, group)), expresses):
            groups.append(group)
    made = {op.name: (graph.tensors.get(op.inputs[-1]), graph.tensors[op.outputs[0]]) for op in graph.ops if op.inputs}
    prelus = [op.name for op in graph.ops if op.name in made and can_be_written_out(op, *made[op.name])]
    return TilingPlan(tuple(groups), written_out=tuple(n for n in prelus if writes_out and draw(st.booleans())))


def fits(graph: Graph, plan: TilingPlan, expresses: Expresses = any_padding) -> bool:
    try:
        lower(graph, plan, expresses=expresses)
    except UnsupportedModelError:
        return False
    return True
