"""Fitting of leaves: non-negative least squares on relative error, with the blocks found from the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import Table
from edgewright.timing.splits import Rows
from edgewright.timing.tree import Leaf, Seconds
from edgewright.timing.variables import basis_of, explanatory_columns

Array = NDArray[np.float64]

FLOOR_S = 2e-6
"""Below this time errors count as if relative to it: the clock and the call weigh more than the layer."""
TIGHT = 0.02
"""Relative errors under this count by their square, larger ones by their size (a Huber loss)."""
REWEIGHTINGS = 5
SWEEPS = 24
CHUNK = 1024
"""So many small problems at a time stay in the cache."""
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


def make_design(table: Table, seconds: Seconds) -> Design:
    """The design of layers of one family and their measured seconds."""
    basis = basis_of(table.kind)
    plain = explanatory_columns(table, {}, basis.variables)
    variables = tuple(name for name, column in zip(basis.variables, plain, strict=True) if column.any())
    names = [name for name in basis.blocks if name != "out_width"]
    combinations = [dict(zip(names, sizes, strict=True)) for sizes in product(*(basis.blocks[name] for name in names))]
    ones = np.ones(table.size)
    columns = np.array([[*explanatory_columns(table, blocks, variables), ones] for blocks in combinations])
    scale = np.maximum(columns[0].max(axis=1), 1e-300)
    scaled = np.ascontiguousarray((columns / scale[:, None]).transpose(0, 2, 1))
    weight = 1 / np.maximum(seconds, FLOOR_S)
    return Design(
        table, seconds, variables, combinations, scale, scaled, scaled * weight[:, None], seconds * weight
    )  # fmt: skip


def fit_leaves(design: Design, row_sets: Sequence[Rows]) -> list[Fit]:
    """The best leaf for each set of rows: every block combination by least squares, the best few then robustly."""
    grams, moments, squares = [], [], []
    for rows in row_sets:
        relative, target = design.relative[:, rows], design.target[rows]
        grams.append(np.matmul(relative.transpose(0, 2, 1), relative))
        moments.append(np.matmul(target, relative))
        squares.append(np.full(len(relative), target @ target))
    losses = batched_nnls(
        np.ascontiguousarray(np.concatenate(grams).transpose(1, 2, 0)),
        np.ascontiguousarray(np.concatenate(moments).T),
        np.concatenate(squares),
        SWEEPS,
    )
    rankings = np.argsort(losses.reshape(len(row_sets), -1), axis=1, kind="stable")
    return [_best_fit(design, rows, ranking) for rows, ranking in zip(row_sets, rankings, strict=True)]


def _best_fit(design: Design, rows: Rows, ranking: NDArray[np.intp]) -> Fit:
    target = design.target[rows]
    fits = [(*robust_fit(design.relative[index, rows], target), int(index)) for index in ranking[:SHORTLIST]]
    weights, loss, combination = min(fits, key=lambda fit: fit[1])
    return Fit(combination, weights, loss, ranking)


def robust_fit(relative: Array, target: Array) -> tuple[Array, float]:
    """Non-negative weights of least absolute relative error, by iteratively reweighted least squares; and its sum."""
    from scipy.optimize import nnls

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


def batched_nnls(grams: Array, moments: Array, squares: Array, sweeps: int) -> Array:
    """Residual sums of squares of many small non-negative least-squares problems, by coordinate descent.

    `grams` is (variables, variables, problems), `moments` (variables, problems), `squares` the sums of squared
    targets. The sweeps are few, as the results only rank candidates.
    """
    problems = moments.shape[1]
    parts = [slice(start, start + CHUNK) for start in range(0, problems, CHUNK)]
    return np.concatenate(
        [_descend(np.ascontiguousarray(grams[:, :, part]), moments[:, part], squares[part], sweeps) for part in parts]
    )


def _descend(grams: Array, moments: Array, squares: Array, sweeps: int) -> Array:
    count = len(moments)
    inverse, slopes = 1 / np.maximum(grams[np.arange(count), np.arange(count)], 1e-300), moments.copy()
    weights = np.zeros_like(moments)
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
