"""How a reshape passes channels on."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from edgewright.graph.channel_ties import Items, Ties
from edgewright.graph.types import Op, Shape


def reshape(op: Op, ties: Ties) -> None:
    """Tie the axes of both sides over factors that are common to them.

    (N, C, H, W) and (N, C * H * W) share the factors N, C, H, W; (N, C, L) and (N, G, C / G * L) share N, G, C / G, L.
    An axis of several factors counts through them. Axes that have no such factors in common are not understood.
    """
    given, made = op.operands[0], op.outputs[0]
    for old, new in runs(ties.shape(given), ties.shape(made)):
        sizes = common_factors([ties.shape(given)[axis] for axis in old], [ties.shape(made)[axis] for axis in new])
        if sizes:
            _tie_run(op, ties, sizes, [(given, axis) for axis in old], [(made, axis) for axis in new])


def _tie_run(
    op: Op, ties: Ties, sizes: Sequence[int], old: Sequence[tuple[str, int]], new: Sequence[tuple[str, int]]
) -> None:
    factors: list[Items | None] = [None] * len(sizes)
    counted: list[tuple[Items, range]] = []
    for side in (old, new):
        place = 0
        for name, axis in side:
            items, first, product = ties.items(name, axis), place, 1
            while product < len(items):
                product *= sizes[place]
                place += 1
            if place == first + 1 and factors[first] is None:
                factors[first] = items
            else:
                counted.append((items, range(first, place)))
    whole = [ties.made_up(size) if factor is None else factor for size, factor in zip(sizes, factors, strict=True)]
    for items, places in counted:
        ties.combine(items, [whole[place] for place in places], f"op {op.name!r} reshapes it")


def runs(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """The least runs of axes of both sides that hold equally many items, axes of one item left out."""
    if prod(old) != prod(new) or 0 in (*old, *new):
        return []
    left, right = ([axis for axis, size in enumerate(shape) if size != 1] for shape in (old, new))
    found, i, j = [], 0, 0
    while i < len(left):
        first, second = i, j
        i, j, before, after = i + 1, j + 1, old[left[i]], new[right[j]]
        while before != after:
            if before < after:
                before *= old[left[i]]
                i += 1
            else:
                after *= new[right[j]]
                j += 1
        found.append((left[first:i], right[second:j]))
    return found


def common_factors(old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Sizes of which every size of both sides is a product of some in a row; empty where there are none."""
    marks = sorted({prod(side[: i + 1]) for side in (old, new) for i in range(len(side))})
    if any(after % before for before, after in pairwise(marks)):
        return ()
    return tuple(after // before for before, after in pairwise([1, *marks]))
