"""An independent check of a plan: the network after it, against the network before it and the plan alone."""

from collections import defaultdict

from edgewright.graph.types import Graph, Op
from edgewright.widths.plan import WidthPlan

_SHARE = 1e-9


def problems(before: Graph, plan: WidthPlan, after: Graph, max_growth: float) -> list[str]:
    """What is wrong with the network after a plan; empty where all is as it must be.

    The ops are the same, in the same order. Inputs and outputs keep their shapes. Each group has its new width at each
    of its places, and no other axis changes. No more weights than allowed. That outputs are equal takes a runtime.
    """
    found = [f"{name!r} is no {what} any more" for what, name in _gone(before, after)]
    if [_identity(op) for op in before.ops] != [_identity(op) for op in after.ops]:
        found.append("its ops are not the same")
    if len({change.group.name for change in plan.changes}) < len(plan.changes):
        found.append("a group changes twice")
    found += [f"{text}" for change in plan.changes for text in _kept(change.group.width, change.kept, change.added)]
    return [*found, *_shapes(before, plan, after), *_growth(before, after, max_growth)]


def _identity(op: Op) -> tuple[str, str, str]:
    """What no width changes: a convolution may become depthwise, or cease to be."""
    return op.name, op.kind.removeprefix("depthwise_"), op.variant


def _gone(before: Graph, after: Graph) -> list[tuple[str, str]]:
    sides = (("input", before.inputs, after.inputs), ("output", before.outputs, after.outputs))
    return [(what, name) for what, old, new in sides for name in old if name not in new]


def _kept(width: int, kept: tuple[int, ...], added: int) -> list[str]:
    if len(set(kept)) < len(kept) or not all(0 <= channel < width for channel in kept) or added < 0:
        return ["a group keeps channels that it does not have"]
    return [] if kept or added else ["a group has no channels left"]


def _shapes(before: Graph, plan: WidthPlan, after: Graph) -> list[str]:
    """Every axis has the size that the plan gives it."""
    grown: dict[tuple[str, int], int] = defaultdict(int)
    for change in plan.changes:
        for member in change.group.members:
            gone = len(member.positions(range(change.group.width))) - len(member.positions(change.kept))
            grown[member.tensor, member.axis] += change.added * member.block * member.repeats - gone
    found = []
    for name, tensor in before.tensors.items():
        wanted = tuple(size + grown[name, axis] for axis, size in enumerate(tensor.shape))
        made = after.tensors.get(name)
        if made is None and not tensor.is_constant:
            found.append(f"tensor {name!r} is gone")
        elif made is not None and made.shape != wanted:
            found.append(f"tensor {name!r} is {made.shape}, not {wanted}")
        if name in (*before.inputs, *before.outputs) and wanted != tensor.shape:
            found.append(f"{name!r} is an input or output, and changes")
    return found


def _growth(before: Graph, after: Graph, max_growth: float) -> list[str]:
    old, new = (
        sum(tensor.items for tensor in graph.tensors.values() if tensor.is_constant) for graph in (before, after)
    )
    if new > old * max_growth * (1 + _SHARE):
        return [f"its weights grow to {new / max(old, 1):.2f} times, which is more than {max_growth}"]
    return []
