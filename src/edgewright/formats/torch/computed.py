"""Constants that a module's code makes: zeros and ones, ranges, masks."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import fx

from edgewright.formats.torch.export import name_of

FILLS: Mapping[str, float | None] = MappingProxyType(
    {
        "zeros": 0.0, "zeros_like": 0.0, "new_zeros": 0.0, "ones": 1.0, "ones_like": 1.0, "new_ones": 1.0,
        "full": None, "full_like": None, "new_full": None, "scalar_tensor": None,
    }
)  # fmt: skip
"""Ops that make a tensor of one value, and the value; None where it is an argument."""
_VALUE_AT = {"full": 1, "full_like": 1, "new_full": 2, "scalar_tensor": 0}
_PASS_ON = frozenset(
    {"slice", "select", "view", "reshape", "_unsafe_view", "expand", "clone", "contiguous", "unsqueeze", "squeeze",
     "transpose", "permute", "detach", "to", "_to_copy", "lift_fresh_copy", "alias", "repeat", "cat", "stack"}
)  # fmt: skip


_MARK = "edgewright_computed"


def mark_computed(graph: fx.Graph) -> None:
    """Mark the nodes that depend on no parameter, buffer or input, but for the size of one."""
    for node in graph.nodes:
        if node.op == "call_function":
            node.meta[_MARK] = name_of(node) in FILLS or all(map(is_computed, node.all_input_nodes))


def is_computed(node: fx.Node) -> bool:
    """Whether a node is marked as one that the module's code makes by itself."""
    return bool(node.meta.get(_MARK, False))


def uniform(node: fx.Node) -> float | None:
    """The one value of all items that a node makes; None where they differ or it is not known."""
    name = name_of(node)
    if name in _VALUE_AT:
        value = node.args[_VALUE_AT[name]] if len(node.args) > _VALUE_AT[name] else None
        return float(value) if isinstance(value, bool | int | float) else None
    if name in FILLS:
        return FILLS[name]
    if name not in _PASS_ON or not node.all_input_nodes:
        return None
    found = {uniform(source) for source in node.all_input_nodes}
    return found.pop() if len(found) == 1 else None


def is_zero(node: fx.Node) -> bool:
    """Whether a node makes zeros, however they are cut and moved."""
    return node.op == "call_function" and is_computed(node) and uniform(node) == 0


def roots(node: fx.Node) -> list[fx.Node]:
    """The nodes from which a node that is computed has its values."""
    if name_of(node) in FILLS:
        return [node]
    return [root for source in node.all_input_nodes for root in roots(source)] or [node]
