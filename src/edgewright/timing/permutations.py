"""How a transpose walks through memory: the items that stay together, and the steps between them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.types import LayerSpec

Column = NDArray[np.float64]

WALK = ("run_items", "read_row", "written_row", "read_step", "write_step")


def permutation_columns(layers: Sequence[LayerSpec]) -> Mapping[str, Column]:
    """Columns of transposes, all in items, by the permutation that their variant tells.

    `run_items` stay side by side. What is side by side before and is torn apart is a `read_row`, what comes side by
    side a `written_row`, both in runs; `write_step` and `read_step` are how far apart their parts lie afterwards and
    before.
    """
    found = np.ones((len(WALK), len(layers)))
    groups: dict[tuple[str, int], list[int]] = {}
    for row, layer in enumerate(layers):
        groups.setdefault((layer.variant, len(layer.input)), []).append(row)
    for (variant, rank), rows in groups.items():
        perm = tuple(int(axis) for axis in variant.split("-") if axis.isdecimal())
        if rank and sorted(perm) == list(range(rank)):
            shapes = np.array([layers[row].input for row in rows], np.float64)
            found[:, rows] = _walk(shapes, perm)
    return dict(zip(WALK, found, strict=True))


def _walk(shapes: Column, perm: tuple[int, ...]) -> Column:
    """The columns of layers of one permutation, from their shapes, (layers, axes)."""
    last = len(perm) - 1
    run = np.ones(len(shapes))
    order = list(perm)
    while order and order[-1] == last:
        run = run * shapes[:, last]
        order.pop()
        last -= 1
    if not order:
        return np.array([run, *np.ones((4, len(shapes)))])
    made = order[-1]
    read_step = np.prod(shapes[:, made + 1 :], axis=1)
    write_step = run * np.prod(shapes[:, order[order.index(last) + 1 :]], axis=1)
    return np.array([run, shapes[:, last], shapes[:, made], read_step, write_step])
