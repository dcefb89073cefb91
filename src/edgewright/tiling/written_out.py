"""PRelu ops that are faster written out: ONNX Runtime computes them by a branch for every item, in the plain layout."""

from collections.abc import Callable, Mapping

from edgewright.graph.edits import apply
from edgewright.graph.types import Graph
from edgewright.graph.written_out import can_be_written_out
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import TilingPlan
from edgewright.tiling.rates import OpTime


def faster_written_out(
    graph: Graph, seconds: Callable[[Graph], float], times: Mapping[str, OpTime]
) -> dict[str, OpTime]:
    """The PRelu ops with which a network takes less time when they are written out, and the time that is left of each.

    `seconds` tells the time of a network as the runtime executes it, and `times` those of the ops as they are.
    """
    tensors = graph.tensors
    found = {}
    before_s = None
    for op in graph.ops:
        if not can_be_written_out(op, tensors.get(op.inputs[-1]), tensors[op.outputs[0]]):
            continue
        before_s = seconds(graph) if before_s is None else before_s
        gain_s = before_s - seconds(apply(graph, lower(graph, TilingPlan((), written_out=(op.name,)))))
        if gain_s > 0:
            own = times[op.name]
            found[op.name] = OpTime(own.fixed_s, max(own.variable_s - gain_s, 0.0))
    return found
