"""Names of ops where a file has none, and names that nothing has yet."""

from dataclasses import replace

from edgewright.graph.types import Graph


def named_after_outputs(graph: Graph) -> Graph:
    """The network with each op named after its first output, as read from files that name no ops.

    Ops without an output keep their name.
    """
    ops = (replace(op, name=next(filter(None, op.outputs), op.name)) for op in graph.ops)
    return replace(graph, ops=tuple(ops))


def fresh_name(base: str, taken: set[str]) -> str:
    """`base`, or `base_1`, `base_2` and so on where it is taken; taken from then on."""
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name
