"""From a profile to an execution-time model, with the errors that it makes on layers it has not seen."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import DataError
from edgewright.graph.cost import is_plain
from edgewright.profile import Profile
from edgewright.timing.columns import Table, Weights, tabulate
from edgewright.timing.context import fit_context
from edgewright.timing.cores import Job, run_jobs
from edgewright.timing.growth import Growing, freeze, grow, prune
from edgewright.timing.leaves import FLOOR_S, Design, make_design, robust_fit
from edgewright.timing.model import ExecutionTimeModel, Fallbacks, FamilyTree, HeldOut, held_out_errors
from edgewright.timing.observations import FEWEST, Observations, observations
from edgewright.timing.splits import Rows
from edgewright.timing.tree import Leaf, Node, Seconds, predict_tree
from edgewright.timing.variables import explanatory_columns
from edgewright.timing.weights import learn_weights

FOLDS = 5
OVERGROWTH = 1.25
"""A tree is grown to this many times its leaves, and then pruned back."""
PARSIMONY = 1.005
"""Fewer leaves are preferred while the cross-validated error stays within this factor of the least."""


def fit(
    profile: Profile,
    *,
    max_leaves: int = 30,
    seed: int = 0,
    earlier: ExecutionTimeModel | None = None,
    changed: Collection[str] = (),
) -> ExecutionTimeModel:
    """The execution-time model of a profile: a tree for each family of layers, pruned by cross-validation.

    Where there is an `earlier` model of the profile, only the families that `changed` since are learned anew. Raises
    DataError where the profile holds no measurement.
    """
    observed = observations(profile)
    if not observed:
        raise DataError(f"{profile.device}: no measurement to learn from")
    fallbacks = _fit_fallbacks(observed)
    earlier_trees = {} if earlier is None else earlier.families
    kept = {name: tree for name, tree in earlier_trees.items() if name in observed and name not in changed}
    learned = _fit_families({n: f for n, f in observed.items() if n not in kept}, fallbacks, max_leaves, seed)
    families = dict(sorted((kept | learned).items()))
    about = (profile.device, profile.runtime, profile.runtime_version, profile.threads, profile.settings)
    return ExecutionTimeModel(*about, families, fallbacks, fit_context(profile.comparable))


def folds_of(count: int, seed: int = 0, folds: int = FOLDS) -> list[tuple[Rows, Rows]]:
    """Rows to learn from and rows to test on, for each fold; the same for the trees and for every baseline."""
    fold = np.random.default_rng(seed).permutation(count) % min(folds, count)
    return [(np.flatnonzero(fold != index), np.flatnonzero(fold == index)) for index in range(min(folds, count))]


def evaluate(profile: Profile, *, max_leaves: int = 30, seed: int = 0) -> dict[str, HeldOut]:
    """The errors of each family by cross-validation, as `fit` finds them, without the final trees."""
    found = sorted(observations(profile).items())
    observed = {name: family for name, family in found if len(family.layers) >= FEWEST}
    tables = {name: tabulate(family.layers) for name, family in observed.items()}
    jobs = {n: _fold_jobs(table, observed[n], max_leaves, seed) for n, table in tables.items()}
    made = iter(run_jobs([job for own in jobs.values() for job in own]))
    return {
        name: _cross_validated(observed[name], [next(made) for _ in own], seed).held_out for name, own in jobs.items()
    }


@dataclass(frozen=True)
class CrossValidation:
    """Predictions of every layer by trees that have not seen it, their errors, and the number of leaves to keep."""

    unseen_s: Seconds
    held_out: HeldOut


def cross_validate(family: Observations, max_leaves: int = 30, seed: int = 0) -> CrossValidation:
    """Grows a tree for each fold and prunes it by the errors on the *other* folds, so that no choice saw the layer."""
    return _cross_validated(family, run_jobs(_fold_jobs(tabulate(family.layers), family, max_leaves, seed)), seed)


def _fold_jobs(table: Table, family: Observations, max_leaves: int, seed: int) -> list[Job]:
    """For each fold, the predictions of its layers by trees of any number of leaves that learned from the others."""
    measured = (table, family.seconds, family.certainty)
    return [
        Job(_predictions_by_leaves, (*measured, learned, tested, max_leaves), len(learned))
        for learned, tested in folds_of(table.size, seed)
    ]


def _cross_validated(family: Observations, predicted: Sequence[NDArray[np.float64]], seed: int) -> CrossValidation:
    seconds, certain = family.seconds, family.certainty >= 1
    folds = folds_of(len(seconds), seed)
    losses = []
    for made, (_, tested) in zip(predicted, folds, strict=True):
        misses = np.abs(made - seconds[tested]) / np.maximum(seconds[tested], FLOOR_S)
        losses.append(misses @ certain[tested])
    total = np.sum(losses, axis=0)
    unseen = np.empty(len(seconds))
    for made, loss, (_, tested) in zip(predicted, losses, folds, strict=True):
        unseen[tested] = made[_fewest_leaves(total - loss)]
    errors = held_out_errors(unseen[certain], seconds[certain], _fewest_leaves(total) + 1)
    return CrossValidation(unseen, errors)


def _fit_families(
    families: Mapping[str, Observations], fallbacks: Fallbacks, max_leaves: int, seed: int
) -> dict[str, FamilyTree]:
    """A tree for each family; all folds of all families, and the trees that learn from everything, side by side."""
    few = {name: family for name, family in families.items() if len(family.layers) < FEWEST}
    enough = {name: (tabulate(family.layers), family) for name, family in families.items() if name not in few}
    jobs = {
        name: [
            *_fold_jobs(table, family, max_leaves, seed),
            Job(_grown, (table, family.seconds, family.certainty, max_leaves), table.size),
        ]
        for name, (table, family) in enough.items()
    }
    made = iter(run_jobs([job for own in jobs.values() for job in own]))
    found = {name: _scaled_fallback(family, fallbacks) for name, family in few.items()}
    for name, (table, family) in enough.items():
        *predicted, (weights, pruned) = [next(made) for _ in jobs[name]]
        errors = _cross_validated(family, predicted, seed).held_out
        leaves, tree = next((count, tree) for count, tree in pruned if count <= errors.leaves)
        found[name] = FamilyTree(table.kind, tree, replace(errors, leaves=leaves), weights)
    return found


def _grown(
    table: Table, seconds: Seconds, certainty: Seconds, max_leaves: int
) -> tuple[Weights, list[tuple[int, Node]]]:
    """What the named properties weigh, and the trees that learned from all rows, from the largest on."""
    everything = np.arange(table.size)
    weights = learn_weights(table, seconds, everything)
    design = make_design(table, seconds, weights, certainty)
    return weights, list(_pruned(design, grow(design, everything, round(max_leaves * OVERGROWTH))))


def _fewest_leaves(losses: NDArray[np.float64]) -> int:
    """The index of the fewest leaves whose loss is about the least."""
    return int(np.flatnonzero(losses <= losses.min() * PARSIMONY)[0])


def _predictions_by_leaves(
    table: Table, seconds: Seconds, certainty: Seconds, learned: Rows, tested: Rows, max_leaves: int
) -> NDArray[np.float64]:
    """Predictions of the tested rows by trees of 1 to `max_leaves` leaves that learned from others: (leaves, rows)."""
    design = make_design(table, seconds, learn_weights(table, seconds, learned), certainty)
    root = grow(design, learned, round(max_leaves * OVERGROWTH))
    unseen = design.table.take(tested)
    predicted = np.empty((max_leaves, unseen.size))
    limit = max_leaves
    for count, tree in _pruned(design, root):
        if count <= limit:
            predicted[count - 1 : limit] = predict_tree(tree, unseen)
            limit = count - 1
    return predicted


def _pruned(design: Design, root: Growing) -> Iterator[tuple[int, Node]]:
    yield root.leaf_count, freeze(design, root)
    while prune(root):
        yield root.leaf_count, freeze(design, root)


def _scaled_fallback(family: Observations, fallbacks: Fallbacks) -> FamilyTree:
    """Too few layers to learn a leaf from: the fallback, scaled to them."""
    table = tabulate(family.layers)
    fallback = fallbacks.of(table.kind)
    factor = float(np.median(family.seconds / fallback.predict(table)))
    rates = {name: rate_s * factor for name, rate_s in fallback.rates_s.items()}
    leaf = Leaf(rates, fallback.constant_s * factor, {}, table.size, 0.0)
    error = float(np.abs(leaf.predict(table) / family.seconds - 1).mean())
    return FamilyTree(table.kind, replace(leaf, error=error), None)


def _fit_fallbacks(observed: Mapping[str, Observations]) -> Fallbacks:
    """A rate for operations and one for items moved, over all layers; and one for those that only move or map items."""
    plain = {name: family for name, family in observed.items() if is_plain(family.layers[0].kind)}
    return Fallbacks(_fit_fallback(plain or observed), _fit_fallback(observed))


def _fit_fallback(observed: Mapping[str, Observations]) -> Leaf:
    names = ("macs", "moved_items")
    columns = [explanatory_columns(tabulate(family.layers), {}, names) for family in observed.values()]
    variables = np.concatenate([np.array([*column, np.ones(len(column[0]))]) for column in columns], axis=1).T
    seconds = np.concatenate([family.seconds for family in observed.values()])
    weight = 1 / np.maximum(seconds, FLOOR_S)
    scale = np.maximum(variables.max(axis=0), 1.0)
    weights, loss = robust_fit(variables / scale * weight[:, None], seconds * weight)
    rates = weights / scale
    named = {name: float(rate) for name, rate in zip(names, rates, strict=False) if rate > 0}
    return Leaf(named, float(rates[-1]), {}, len(seconds), loss / len(seconds))
