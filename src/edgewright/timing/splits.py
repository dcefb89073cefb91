"""The questions that a tree asks of a layer: a range, an integer multiple, or a named property."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import Mask, Table
from edgewright.timing.words import phrase

MODULI = (2, 3, 4, 6, 8, 16, 32, 64)
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
        return f"{self.column} {'is' if holds else 'is not'} {self.value}"


Split = AtMost | MultipleOf | Has


def candidate_splits(table: Table, rows: Rows, min_support: int) -> list[tuple[Split, Mask]]:
    """Every split worth trying on the given rows, each with its mask over them.

    Splits that leave fewer than `min_support` rows on a side, or divide the rows as an earlier one does, are dropped.
    """
    found: dict[bytes, tuple[Split, Mask]] = {}
    for split in _proposals(table, rows):
        mask = split.mask(table)[rows]
        if min_support <= int(mask.sum()) <= len(rows) - min_support:
            found.setdefault((mask if mask[0] else ~mask).tobytes(), (split, mask))
    return list(found.values())


def nearby_splits(table: Table, rows: Rows, min_support: int, split: Split) -> list[tuple[Split, Mask]]:
    """The thresholds beside that of a range split, up to the neighbouring quantiles; none for other splits."""
    if not isinstance(split, AtMost):
        return []
    values = np.sort(table.column(split.column)[rows])
    reach = len(values) // THRESHOLDS + 1
    first, last = np.searchsorted(values, split.threshold, "left"), np.searchsorted(values, split.threshold, "right")
    around = np.unique(values[max(first - reach, 0) : last + reach])
    chosen = around[np.unique(np.linspace(0, len(around) - 1, THRESHOLDS).astype(int))]
    found: list[tuple[Split, Mask]] = []
    for threshold in chosen[chosen != split.threshold]:
        finer = AtMost(split.column, float(threshold))
        mask = finer.mask(table)[rows]
        if min_support <= int(mask.sum()) <= len(rows) - min_support:
            found.append((finer, mask))
    return found


def _proposals(table: Table, rows: Rows) -> list[Split]:
    proposals: list[Split] = [Has(*key) for key in table.named]
    for name in table.questions:
        values = table.column(name)[rows]
        distinct = np.unique(values)
        if len(distinct) > 1:
            if name in table.sizes:
                proposals += [MultipleOf(name, modulus) for modulus in MODULI]
            proposals += [AtMost(name, float(threshold)) for threshold in _thresholds(values, distinct)]
    return proposals


def _thresholds(values: NDArray[np.float64], distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(distinct) <= THRESHOLDS:
        return distinct[:-1]
    shares = np.linspace(0, 1, THRESHOLDS + 2)[1:-1]
    return np.unique(np.quantile(values, shares, method="lower"))
