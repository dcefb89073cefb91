"""The questions that a tree asks of a layer: a range, an integer multiple, or a named property."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import PLACES, STEPS, Mask, Table
from edgewright.timing.words import phrase

MODULI = (2, 3, 4, 6, 8, 16, 32, 64)
FAR_MODULI = (*MODULI, 128, 256, 512, 1024)
"""Of steps through memory, whose large powers of two fall on the same sets of a cache."""
THRESHOLDS = 24
"""At most so many thresholds are tried on a column, at its quantiles."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class AtMost:
    """`column <= threshold`."""

    column: str
    threshold: float

    def mask(self, table: Table) -> Mask:
        return table.column(self.column) <= self.threshold


@dataclass(frozen=True)
class MultipleOf:
    """`column % modulus == 0`."""

    column: str
    modulus: int

    def mask(self, table: Table) -> Mask:
        return np.asarray(table.column(self.column) % self.modulus == 0, np.bool_)

    def words(self, holds: bool) -> str:
        return f"{phrase(self.column)} {'' if holds else 'not '}a multiple of {self.modulus}"


@dataclass(frozen=True)
class Has:
    """A named property has a value: `variant` is `relu`, or `fused` holds `add`."""

    column: str
    value: str

    def mask(self, table: Table) -> Mask:
        return table.named.get((self.column, self.value), np.zeros(table.size, np.bool_))

    def words(self, holds: bool) -> str:
        if self.column == "fused":
            return f"{'with' if holds else 'without'} {self.value} fused in"
        if self.value in PLACES:
            return f"{'over' if holds else 'not over'} {self.value} axes"
        return f"{self.column} {'is' if holds else 'is not'} {self.value}"


Split = AtMost | MultipleOf | Has


def candidate_splits(table: Table, rows: Rows, min_support: int) -> tuple[list[Split], Mask]:
    """Every split worth trying on the given rows, and a row of a mask over them for each.

    Splits that leave fewer than `min_support` rows on a side, or divide the rows as an earlier one does, are dropped.
    """
    splits: list[Split] = [Has(*key) for key in table.named]
    masks = [mask[rows][None] for mask in table.named.values()]
    for name in table.questions:
        values = table.column(name)[rows]
        distinct = np.unique(values)
        if len(distinct) > 1:
            if name in table.sizes:
                moduli = FAR_MODULI if name in STEPS else MODULI
                splits += [MultipleOf(name, modulus) for modulus in moduli]
                masks.append(values % np.array(moduli)[:, None] == 0)
            thresholds = _thresholds(values, distinct)
            splits += [AtMost(name, float(threshold)) for threshold in thresholds]
            masks.append(values <= thresholds[:, None])
    return _distinct(splits, np.concatenate(masks) if masks else np.zeros((0, len(rows)), np.bool_), min_support)


def nearby_splits(table: Table, rows: Rows, min_support: int, splits: Sequence[Split]) -> tuple[list[Split], Mask]:
    """The thresholds beside those of the range splits among the given ones, up to the neighbouring quantiles."""
    found: list[Split] = []
    masks = [np.zeros((0, len(rows)), np.bool_)]
    for split in splits:
        if isinstance(split, AtMost):
            values = table.column(split.column)[rows]
            thresholds = _beside(np.sort(values), split.threshold)
            found += [AtMost(split.column, float(threshold)) for threshold in thresholds]
            masks.append(values <= thresholds[:, None])
    return _distinct(found, np.concatenate(masks), min_support)


def _distinct(splits: list[Split], masks: Mask, min_support: int) -> tuple[list[Split], Mask]:
    support = masks.sum(axis=1)
    chosen: dict[bytes, int] = {}
    packed = np.packbits(masks ^ ~masks[:, :1], axis=1) if len(splits) else masks
    for index in np.flatnonzero((support >= min_support) & (support <= masks.shape[1] - min_support)):
        chosen.setdefault(packed[index].tobytes(), int(index))
    kept = list(chosen.values())
    return [splits[index] for index in kept], masks[kept]


def _beside(ordered: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    reach = len(ordered) // THRESHOLDS + 1
    first, last = np.searchsorted(ordered, threshold, "left"), np.searchsorted(ordered, threshold, "right")
    around = np.unique(ordered[max(first - reach, 0) : last + reach])
    chosen: NDArray[np.float64] = around[np.unique(np.linspace(0, len(around) - 1, THRESHOLDS).astype(int))]
    return np.asarray(chosen[chosen != threshold])


def _thresholds(values: NDArray[np.float64], distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(distinct) <= THRESHOLDS:
        return distinct[:-1]
    shares = np.linspace(0, 1, THRESHOLDS + 2)[1:-1]
    return np.unique(np.quantile(values, shares, method="lower"))
