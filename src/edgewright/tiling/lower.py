"""From a tiling plan to the edit script that carries it out."""

from edgewright.errors import UnsupportedModelError
from edgewright.graph.edits import Edit
from edgewright.graph.padding import Expresses, any_padding
from edgewright.graph.types import Graph
from edgewright.tiling.carry import lower_strips
from edgewright.tiling.groups import group_of
from edgewright.tiling.mixed import computed_again
from edgewright.tiling.plan import TilingPlan
from edgewright.tiling.recompute import lower_tiles
from edgewright.tiling.script import Script


def lower(
    graph: Graph,
    plan: TilingPlan,
    ordered: bool = True,
    expresses: Expresses = any_padding,
    most_joined: int | None = None,
    cuts_late: bool = False,
) -> tuple[Edit, ...]:
    """The edits of a plan; tiles follow one another in depth-first order, and weights are shared.

    `ordered` makes every tile wait for the one before it, which runtimes need that choose the order of execution by
    themselves. Padding that the format can't express becomes an op of its own (`graph.padding`). A concat
    joins at most `most_joined` tensors; more are joined in parts first. Where that is given slices name all axes,
    as delegates with such limits take over no others. `cuts_late` has tiles keep their halo through skip connections
    (see `late_cut`), which saves copies where the runtime has a blocked layout. Raises UnsupportedModelError where the
    plan does not fit the network.
    """
    script = Script(graph, ordered, expresses, most_joined, cuts_late, plan.written_out)
    seen: set[str] = set()
    for fused in plan.groups:
        if not seen.isdisjoint(fused.op_names):
            raise UnsupportedModelError(f"op {min(seen & set(fused.op_names))!r} is in two groups")
        seen.update(fused.op_names)
        if fused.grid == (1, 1):
            continue
        group = group_of(graph, fused.op_names)
        if not group.outputs:
            raise UnsupportedModelError(f"nothing reads what the group of op {fused.op_names[0]!r} makes")
        script.remove(group.ops)
        if fused.halo == "recompute":
            lower_tiles(script, group, graph, fused.grid)
        elif fused.grid[1] == 1:
            again = computed_again(graph, fused.grid[0]) if fused.halo == "mixed" else frozenset()
            lower_strips(script, group, graph, fused.grid[0], again)
        else:
            raise UnsupportedModelError(f"the group of op {fused.op_names[0]!r}: rows are carried in strips only")
    for op in (op for op in graph.ops if op.name in plan.written_out and op.name not in seen):
        script.remove([op])
        script.write_out(op, op.inputs[0], op.outputs[0], "out")
    return tuple(script.edits)
