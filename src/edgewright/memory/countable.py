"""Whether all that a network holds can be counted at all."""

from edgewright.errors import UnsupportedModelError
from edgewright.graph.types import Graph

_CONTROL_FLOW = frozenset({"if", "loop", "scan", "while"})


def check_countable(graph: Graph, source: str = "network") -> None:
    """Raises UnsupportedModelError, which names the op, where the size of what an op makes is not known.

    So it is behind ops that edgewright knows nothing of, and inside control flow, whose networks it does not see.
    """
    for op in graph.ops:
        if op.variant in _CONTROL_FLOW:
            raise UnsupportedModelError(
                f"{source}: op {op.name!r} is control flow ({op.variant}), and what it holds can't be predicted"
            )
        if any(name and not graph.tensors[name].dtype for name in op.outputs):
            raise UnsupportedModelError(
                f"{source}: the size of what op {op.name!r} ({op.variant or op.kind}) makes is not known, "
                "and its memory can't be predicted"
            )
