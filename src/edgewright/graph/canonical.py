"""Shapes with as few axes as an op's cost needs: axes that are treated alike and lie side by side become one."""

from collections.abc import Sequence
from itertools import groupby
from math import prod

from edgewright.graph.types import Shape


def merged(patterns: Sequence[object], shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """The shapes with every run of axes of equal pattern as one axis; all have one entry for each pattern.

    Axes that are 1 in every shape are dropped first; at least one axis stays.
    """
    axes = [axis for axis in range(len(patterns)) if any(shape[axis] != 1 for shape in shapes)]
    runs = [list(run) for _, run in groupby(axes, key=lambda axis: patterns[axis])] or [[]]
    return tuple(tuple(prod(shape[axis] for axis in run) for run in runs) for shape in shapes)


def broadcast(operands: Sequence[Shape], output: Shape) -> tuple[tuple[Shape, ...], Shape]:
    """Operands and output of an elementwise op, axes merged where each operand is equally broadcast or not."""
    rank = len(output)
    aligned = [(1,) * (rank - len(shape)) + shape[max(len(shape) - rank, 0) :] for shape in operands]
    patterns = [tuple(shape[axis] == output[axis] for shape in aligned) for axis in range(rank)]
    *inputs, result = merged(patterns, [*aligned, output])
    return tuple(inputs), result


def around(shape: Shape, axis: int) -> Shape:
    """The shape as (outer, axis, inner)."""
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def changed(given: Shape, made: Shape) -> tuple[Shape, Shape]:
    """Input and output of an op that changes the length of some axes.

    (outer, axis, inner) where it is one; else every changed axis stands alone between merged ones.
    """
    axes = [axis for axis, (before, after) in enumerate(zip(given, made, strict=True)) if before != after]
    if len(axes) == 1:
        return around(given, axes[0]), around(made, axes[0])
    first, second = merged([axis if axis in axes else -1 for axis in range(len(given))], [given, made])
    return first, second


def permuted(shape: Shape, perm: Sequence[int]) -> tuple[Shape, tuple[int, ...]]:
    """Shape and permutation of a transpose without unit axes, axes that stay side by side merged."""
    order = [axis for axis in perm if shape[axis] != 1]
    runs: list[list[int]] = []
    kept = sorted(order)
    for axis in order:
        if runs and kept.index(axis) == kept.index(runs[-1][-1]) + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    starts = sorted(run[0] for run in runs)
    sizes = {run[0]: prod(shape[axis] for axis in run) for run in runs}
    return tuple(sizes[start] for start in starts) or (1,), tuple(starts.index(run[0]) for run in runs) or (0,)


def reduced(shape: Shape, axes: Sequence[int]) -> tuple[Shape, Shape, str]:
    """Input and output of a reduction (reduced axes stay as 1), and where the reduced axes lie.

    `inner` for (rows, n) to (rows, 1), `outer` for (n, columns) to (1, columns), else `mixed`.
    """
    flags = [axis in axes for axis in range(len(shape))]
    kept = tuple(1 if flag else size for flag, size in zip(flags, shape, strict=True))
    given, made = merged(flags, [shape, kept])
    if len(given) == 1:
        return (1, *given), (1, *made), "inner"
    if len(given) == 2:
        return given, made, "inner" if made[1] == 1 and given[1] != 1 else "outer"
    return given, made, "mixed"
