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
SHRINKAGE = 0.1
"""A leaf's weights are drawn to those of the node above it as by so many further rows (hierarchical shrinkage)."""
TRUSTED = 0.05
"""The mean relative error up to which a node above is trusted in full; beyond, with its inverse square."""
MIN_ACTIVE = 6
"""Of a variable that fewer of its layers have a leaf learns nothing: it takes the rate of the node above, if any."""
CERTAIN = 1e4
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


def make_design(
    table: Table, seconds: Seconds, weights: Weights | None = None, certainty: Array | None = None
) -> Design:
    """The design of layers of one family and their measured seconds; `weights` give the variable `work`.

    A layer counts as much as it has `certainty`, in full where none is given.
    """
    basis = basis_of(table.kind)
    table = table.with_work(weights or {})
    offered = (*basis.variables, "work") if weights else basis.variables
    plain = explanatory_columns(table, {}, offered)
    variables = tuple(name for name, column in zip(offered, plain, strict=True) if column.any())
    names = [name for name in basis.blocks if name != "out_width"]
    combinations = [dict(zip(names, sizes, strict=True)) for sizes in product(*(basis.blocks[name] for name in names))]
    ones = np.ones(table.size)
    columns = np.array([[*explanatory_columns(table, blocks, variables), ones] for blocks in combinations])
    scale = np.maximum(columns[0].max(axis=1), 1e-300)
    scaled = np.ascontiguousarray((columns / scale[:, None]).transpose(0, 2, 1))
    weight = (1.0 if certainty is None else certainty) / np.maximum(seconds, FLOOR_S)
    return Design(
        table, seconds, variables, combinations, scale, scaled, scaled * weight[:, None], seconds * weight
    )  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """What is believed of a leaf's weights before its rows are seen: those of the node above it.

    `trust` is the mean square of each variable (relative to the measured seconds) in the rows of that node.
    """

    weights: Array
    trust: Array


def fit_leaves(
    design: Design, row_sets: Sequence[Rows], prior: Prior | None = None, among: NDArray[np.intp] | None = None
) -> list[Fit]:
    """The best leaf for each set of rows: block combinations by least squares, the best few of them then robustly.

    All combinations are considered, or those of the indices `among`.
    """
    considered = np.arange(len(design.combinations)) if among is None else among
    grams, moments, squares = [], [], []
    for rows in row_sets:
        relative, target = design.relative[considered[:, None], rows], design.target[rows]
        gram, moment = np.matmul(relative.transpose(0, 2, 1), relative), np.matmul(target, relative)
        if prior is not None:
            gram[:, np.arange(len(prior.trust)), np.arange(len(prior.trust))] += SHRINKAGE * prior.trust
            moment += SHRINKAGE * prior.trust * prior.weights
        grams.append(gram)
        moments.append(moment)
        squares.append(np.full(len(relative), target @ target))
    losses = batched_nnls(
        np.ascontiguousarray(np.concatenate(grams).transpose(1, 2, 0)),
        np.ascontiguousarray(np.concatenate(moments).T),
        np.concatenate(squares),
        SWEEPS,
    )
    rankings = considered[np.argsort(losses.reshape(len(row_sets), -1), axis=1, kind="stable")]
    return [_best_fit(design, rows, ranking, prior) for rows, ranking in zip(row_sets, rankings, strict=True)]


def _best_fit(design: Design, rows: Rows, ranking: NDArray[np.intp], prior: Prior | None) -> Fit:
    target = design.target[rows]
    fits = [(*robust_fit(design.relative[index, rows], target, prior), int(index)) for index in ranking[:SHORTLIST]]
    weights, loss, combination = min(fits, key=lambda fit: fit[1])
    return Fit(combination, weights, loss, ranking)


def prior_of(design: Design, rows: Rows, fit: Fit) -> Prior:
    """What the leaf at a node says of the leaves below it."""
    relative = design.relative[fit.combination, rows]
    credit = min(1.0, (TRUSTED / max(fit.loss / len(rows), 1e-9)) ** 2)
    return Prior(fit.weights, credit * (relative * relative).mean(axis=0))


def robust_fit(relative: Array, target: Array, prior: Prior | None = None) -> tuple[Array, float]:
    """Non-negative weights of least absolute relative error, by iteratively reweighted least squares; and its sum.

    With a prior the weights are drawn to it as by `SHRINKAGE` further rows.
    """
    from scipy.optimize import nnls

    count, variables = relative.shape
    known = np.count_nonzero(relative, axis=0) >= min(MIN_ACTIVE, count)
    if prior is None:
        relative = relative * known
        pseudo, believed = np.zeros((0, variables)), np.zeros(0)
    else:
        root = np.sqrt(SHRINKAGE * np.where(known, 1, CERTAIN) * prior.trust)
        pseudo, believed = np.diag(root), root * prior.weights
    rows, wanted = np.concatenate([relative, pseudo]), np.concatenate([target, believed])
    best: tuple[Array, float] | None = None
    pull = np.ones(len(rows))
    for _ in range(REWEIGHTINGS):
        weights, _ = nnls(rows * pull[:, None], wanted * pull, maxiter=1000)
        misses = np.abs(relative @ weights - target)
        loss = float(misses.sum())
        if best is None or loss < best[1]:
            best = weights, loss
        pull[:count] = 1 / np.sqrt(np.maximum(misses, TIGHT))
        pull[count:] = np.sqrt(np.mean(pull[:count] ** 2))
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
