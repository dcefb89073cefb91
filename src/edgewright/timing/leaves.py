"""Fitting of leaves: non-negative least squares on relative error, with the blocks found from the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import Table, Weights
from edgewright.timing.splits import Rows
from edgewright.timing.tree import Leaf, Seconds
from edgewright.timing.variables import basis_of, explanatory_columns

Array = NDArray[np.float64]

FLOOR_S = 5e-6
"""Below this time errors count as if relative to it: the clock and the call weigh more than the layer."""
TIGHT = 0.02
"""Relative errors under this count by their square, larger ones by their size (a Huber loss)."""
REWEIGHTINGS = 5
MIN_ACTIVE = 6
"""A variable is used by a leaf only if so many of its layers have it: fewer say too little of its rate."""
SWEEPS = 24
CHUNK = 100_000
"""So many entries of Gram matrices at a time stay in the cache."""
SHORTLIST = 3
"""Block combinations that are fitted robustly, out of all that are fitted by least squares."""


@dataclass(frozen=True)
class Fit:
    """A fitted leaf of a design: the index of its block combination, its scaled weights, and its loss."""

    combination: int
    weights: Array
    loss: float
    ranking: NDArray[np.intp]


@dataclass(frozen=True)
class Design:
    """All that the leaves of one family may compute with, prepared once.

    `scaled` has the explanatory variables and a last column of ones for each block combination, (combinations,
    layers, variables), each divided by `scale`; `relative` is the same over the measured seconds, whose product with
    the weights should be `target`.
    """

    table: Table
    seconds: Seconds
    variables: tuple[str, ...]
    combinations: Sequence[Mapping[str, int]]
    scale: Array
    scaled: Array
    relative: Array
    target: Array
    weights: Weights


def fit_weights(table: Table, seconds: Seconds, rows: Rows) -> Weights:
    """What each variant weighs for an item it is applied to, relative to the heaviest; empty where there is one alone.

    By one robust fit of all the rows: constant + rate x items read and written + rate of the variant x its items.
    """
    keys = [key for key, mask in table.named.items() if key[0] == "variant" and mask[rows].any()]
    if len(keys) < 2:
        return {}
    items = table.worked_items
    shared = explanatory_columns(table, {}, (*basis_of(table.kind).variables, "moved_items"))
    columns = np.array([np.ones(table.size), *shared, *(items * table.named[key] for key in keys)]).T[rows]
    scale = np.maximum(columns.max(axis=0), 1e-300)
    weight = 1 / np.maximum(seconds[rows], FLOOR_S)
    rates, _ = robust_fit(columns / scale * weight[:, None], seconds[rows] * weight)
    found = (rates / scale)[-len(keys) :]
    heaviest = found.max()
    return {key: float(rate / heaviest) for key, rate in zip(keys, found, strict=True)} if heaviest > 0 else {}


def make_design(table: Table, seconds: Seconds, rows: Rows | None = None) -> Design:
    """The design of layers of one family and their measured seconds; what named properties weigh is learned from `rows`."""
    basis = basis_of(table.kind)
    weights = fit_weights(table, seconds, np.arange(table.size) if rows is None else rows)
    table = table.with_work(weights)
    offered = (*basis.variables, "work") if weights else basis.variables
    plain = explanatory_columns(table, {}, offered)
    variables = tuple(name for name, column in zip(offered, plain, strict=True) if column.any())
    names = [name for name in basis.blocks if name != "out_width"]
    combinations = [dict(zip(names, sizes, strict=True)) for sizes in product(*(basis.blocks[name] for name in names))]
    ones = np.ones(table.size)
    columns = np.array([[*explanatory_columns(table, blocks, variables), ones] for blocks in combinations])
    scale = np.maximum(columns[0].max(axis=1), 1e-300)
    scaled = np.ascontiguousarray((columns / scale[:, None]).transpose(0, 2, 1))
    weight = 1 / np.maximum(seconds, FLOOR_S)
    return Design(
        table, seconds, variables, combinations, scale, scaled, scaled * weight[:, None], seconds * weight, weights
    )  # fmt: skip


def fit_leaves(design: Design, row_sets: Sequence[Rows], among: NDArray[np.intp] | None = None) -> list[Fit]:
    """The best leaf for each set of rows: block combinations by least squares, the best few of them then robustly.

    All combinations are considered, or those of the indices `among`.
    """
    considered = np.arange(len(design.combinations)) if among is None else among
    grams, moments, squares = [], [], []
    for rows in row_sets:
        relative, target = design.relative[considered][:, rows], design.target[rows]
        grams.append(np.matmul(relative.transpose(0, 2, 1), relative))
        moments.append(np.matmul(target, relative))
        squares.append(np.full(len(relative), target @ target))
    losses = batched_nnls(
        np.ascontiguousarray(np.concatenate(grams).transpose(1, 2, 0)),
        np.ascontiguousarray(np.concatenate(moments).T),
        np.concatenate(squares),
        SWEEPS,
    )
    rankings = considered[np.argsort(losses.reshape(len(row_sets), -1), axis=1, kind="stable")]
    return [_best_fit(design, rows, ranking) for rows, ranking in zip(row_sets, rankings, strict=True)]


def _best_fit(design: Design, rows: Rows, ranking: NDArray[np.intp]) -> Fit:
    target = design.target[rows]
    fits = [(*robust_fit(design.relative[index, rows], target), int(index)) for index in ranking[:SHORTLIST]]
    weights, loss, combination = min(fits, key=lambda fit: fit[1])
    return Fit(combination, weights, loss, ranking)


def robust_fit(relative: Array, target: Array) -> tuple[Array, float]:
    """Non-negative weights of least absolute relative error, by iteratively reweighted least squares; and its sum."""
    from scipy.optimize import nnls

    used = np.count_nonzero(relative, axis=0) >= min(MIN_ACTIVE, len(target))
    relative = relative * used
    best: tuple[Array, float] | None = None
    pull = np.ones(len(target))
    for _ in range(REWEIGHTINGS):
        weights, _ = nnls(relative * pull[:, None], target * pull, maxiter=1000)
        misses = np.abs(relative @ weights - target)
        loss = float(misses.sum())
        if best is None or loss < best[1]:
            best = weights, loss
        pull = 1 / np.sqrt(np.maximum(misses, TIGHT))
    assert best is not None
    return best


def batched_nnls(grams: Array, moments: Array, squares: Array, sweeps: int, start: Array | None = None) -> Array:
    """Residual sums of squares of many small non-negative least-squares problems, by coordinate descent.

    `grams` is (variables, variables, problems), `moments` (variables, problems), `squares` the sums of squared
    targets, `start` the weights to begin with. The sweeps are few, as the results only rank candidates.
    """
    count, problems = moments.shape
    start = np.zeros(count) if start is None else start
    size = max(CHUNK // count**2, 16)
    parts = [slice(first, first + size) for first in range(0, problems, size)]
    return np.concatenate(
        [_descend(np.ascontiguousarray(grams[:, :, p]), moments[:, p], squares[p], sweeps, start) for p in parts]
    )


def _descend(grams: Array, moments: Array, squares: Array, sweeps: int, start: Array) -> Array:
    count = len(moments)
    diagonal = grams[np.arange(count), np.arange(count)]
    inverse = np.where(diagonal > 0, 1 / np.maximum(diagonal, 1e-30), 0)
    weights = np.repeat(start[:, None], moments.shape[1], axis=1)
    slopes = moments - np.tensordot(start, grams, axes=1)
    for _ in range(sweeps):
        for index in range(count):
            moved = np.maximum(slopes[index] * inverse[index] + weights[index], 0) - weights[index]
            weights[index] += moved
            slopes -= grams[index] * moved
    losses: Array = squares - ((moments + slopes) * weights).sum(axis=0)
    return losses


def to_leaf(design: Design, fit: Fit, support: int) -> Leaf:
    """The leaf in seconds per item, without the variables that it doesn't use."""
    rates = fit.weights / design.scale
    named = {name: float(rate) for name, rate in zip(design.variables, rates[:-1], strict=True) if rate > 0}
    blocks = {name: size for name, size in design.combinations[fit.combination].items() if size > 1}
    return Leaf(named, float(rates[-1]), blocks, support, fit.loss / support)
