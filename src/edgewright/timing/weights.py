"""What named properties weigh: the work of each variant, and of each activation that is fused in, for an item."""

import numpy as np

from edgewright.timing.columns import PLACES, Column, Table, Weights
from edgewright.timing.growth import freeze, grow
from edgewright.timing.leaves import FLOOR_S, Array, make_design
from edgewright.timing.splits import Rows
from edgewright.timing.tree import Seconds, predict_tree
from edgewright.timing.variables import basis_of, explanatory_columns

FEWEST_FUSED = 5
"""An activation that is fused into fewer layers than this weighs nothing: its work is a small part of theirs."""
SKETCH_LEAVES = 8
ROUNDS = 8
FARTHEST = 3.0
"""Logarithms of the ratio of prediction and measurement are cut off here."""

Key = tuple[str, str]


def learn_weights(table: Table, seconds: Seconds, rows: Rows) -> Weights:
    """Weights of variants where there are several, and of fused activations, relative to the heaviest of all."""
    found = _variant_rates(table, seconds, rows) | _fused_rates(table, seconds, rows)
    heaviest = max(found.values(), default=0.0)
    return {key: rate / heaviest for key, rate in found.items()} if heaviest > 0 else {}


def _variant_rates(table: Table, seconds: Seconds, rows: Rows) -> dict[Key, float]:
    """Seconds for each item of each variant, by one fit of all rows: shared variables, and items of each variant.

    Even of a single layer: variants lie so far apart that it tells more than what the others have in common.
    """
    keys = _keys(table, "variant", rows, 1)
    if len(keys) < 2:
        return {}
    shared = explanatory_columns(table, {}, (*basis_of(table.kind).variables, "moved_items"))
    items = table.worked_items("variant")
    columns = [np.ones(table.size), *shared, *(items * table.named[key] for key in keys)]
    rates = _fit_logarithmic(columns, seconds, rows)[-len(keys) :]
    return {key: float(rate) for key, rate in zip(keys, rates, strict=True)}


def _fused_rates(table: Table, seconds: Seconds, rows: Rows) -> dict[Key, float]:
    """Seconds for each output item of each fused activation: what a small tree that knows of none leaves over."""
    keys = _keys(table, "fused", rows, FEWEST_FUSED)
    if not keys:
        return {}
    bare = Table(table.kind, table.size, table.columns, {})
    design = make_design(bare, seconds)
    left = seconds - predict_tree(freeze(design, grow(design, rows, SKETCH_LEAVES)), bare)
    items = np.maximum(table.worked_items("fused"), 1)
    plain = rows[~np.any([table.named[key][rows] for key in keys], axis=0)]
    usual = float(np.median(left[plain] / items[plain])) if len(plain) else 0.0
    found = {key: float(np.median((left / items)[rows[table.named[key][rows]]])) - usual for key in keys}
    return {key: max(rate, 0.0) for key, rate in found.items()}


def _keys(table: Table, name: str, rows: Rows, fewest: int) -> list[Key]:
    """The properties of that name that enough rows have; not those words that only tell where axes lie."""
    named = [key for key in table.named if key[0] == name and key[1] not in PLACES]
    return [key for key in named if table.named[key][rows].sum() >= fewest]


def _fit_logarithmic(columns: list[Column], seconds: Seconds, rows: Rows) -> Array:
    """Non-negative rates of least squared logarithm of prediction over measurement, by reweighting.

    A fit on relative errors would give up a rare and slow variant, as an error downwards is never more than 1.
    """
    from scipy.optimize import nnls

    table = np.array(columns).T[rows] / np.maximum(seconds[rows], FLOOR_S)[:, None]
    wanted = seconds[rows] / np.maximum(seconds[rows], FLOOR_S)
    scale = np.maximum(table.max(axis=0), 1e-300)
    pull = np.ones(len(rows))
    weights = np.zeros(table.shape[1])
    for _ in range(ROUNDS):
        weights, _ = nnls(table / scale * pull[:, None], wanted * pull, maxiter=10_000)
        ratio = np.clip(table / scale @ weights / wanted, np.exp(-FARTHEST), np.exp(FARTHEST))
        away = ratio - 1
        pull = np.where(np.abs(away) > 1e-3, np.log(ratio) / np.where(away == 0, 1, away), 1.0)
    found: Array = weights / scale
    return found
