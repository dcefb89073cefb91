"""How the cost of a network steers the choice of units: its gradient, the rising threshold, local minima of time.

FastDeepIoT (Yao et al., SenSys 2018, arXiv 1809.06970) puts the predicted execution time into the objective of DeepIoT
and then expands widths to nearby local minima of the time (its Algorithm 2). Here any cost of `costs` may steer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.compression.deepiot.costs import Costs, WidthRows
from edgewright.errors import BudgetError

Units = NDArray[np.float64]
"""A number for each unit of all groups, one group after the other."""

_TRIED = 48
"""Thresholds that are priced together, twice."""
_NEARBY = 1.25
"""A group is expanded up to so many times its width, or by `_NEARBY_UNITS`."""
_NEARBY_UNITS = 16
_SWEEPS = 4


@dataclass(frozen=True)
class Layout:
    """Which unit belongs to which group: the widths of all groups, in order. Each keeps `fewest` units, if it has so
    many."""

    widths: tuple[int, ...]
    fewest: int = 1

    @property
    def group_of(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.widths)), self.widths)

    @property
    def least(self) -> tuple[int, ...]:
        """The fewest units of each group."""
        return tuple(min(self.fewest, width) for width in self.widths)

    def counts(self, masks: NDArray[np.bool_] | NDArray[np.float64]) -> WidthRows:
        """The units that each mask keeps of each group: (masks, groups)."""
        starts = np.cumsum((0, *self.widths[:-1]))
        found: WidthRows = np.add.reduceat(np.asarray(masks, np.int64), starts, axis=1)
        return found


def cost_slopes(
    layout: Layout, masks: NDArray[np.float64], costs: Costs, alive: NDArray[np.bool_]
) -> tuple[Units, float]:
    """How much the expected cost changes with the keep probability of each unit, and the expected cost itself.

    `masks` (draws, units) are draws of the units. The derivative of an expectation by the probability of one unit is
    the expected difference that this unit makes while all others are drawn. As the cost depends on widths alone, one
    draw and the same with one unit more and one less of each group tell that of every unit. A group of which too few
    would be left is priced at its fewest. Units that are not `alive` have no slope.
    """
    kept = layout.counts(masks)
    groups = kept.shape[1]
    one = np.eye(groups, dtype=np.int64)
    around = np.stack([kept[:, None, :] + 0 * one, kept[:, None, :] + one, kept[:, None, :] - one])
    rows = np.clip(around, layout.least, layout.widths).reshape(-1, groups)
    now, more, less = costs(rows).reshape(3, len(kept), groups)
    gains, losses = more - now, now - less
    of = layout.group_of
    slopes = np.where(masks > 0, losses[:, of], gains[:, of]).mean(axis=0)
    return np.where(alive, slopes, 0.0), float(now[:, 0].mean())


@dataclass(frozen=True)
class Cut:
    """What a threshold leaves: the units, and their cost."""

    threshold: float
    alive: NDArray[np.bool_]
    cost: float


def raised(layout: Layout, probabilities: Units, alive: NDArray[np.bool_], costs: Costs, limit: float) -> Cut:
    """The lowest threshold at which the units with at least this keep probability cost no more than a limit.

    Of each group its fewest units with the highest probability stay. Raises BudgetError where these alone cost more
    than the limit.
    """
    ranks = np.sort(probabilities[alive])
    low, high = 0, len(ranks)
    found: Cut | None = None
    while high > low:
        step = max((high - low) // _TRIED, 1)
        tried = np.arange(low, high, step)
        cuts = np.stack([_above(layout, probabilities, alive, ranks[place]) for place in tried])
        priced = costs(layout.counts(cuts))
        fitting = np.flatnonzero(priced <= limit)
        if len(fitting):
            first = int(fitting[0])
            found = Cut(float(ranks[tried[first]]), cuts[first], float(priced[first]))
            low, high = (int(tried[first - 1]) + 1, int(tried[first])) if first else (0, 0)
        else:
            low = int(tried[-1]) + 1
    if found is None:
        least = _above(layout, probabilities, alive, np.inf)
        cost = float(costs(layout.counts(least[None]))[0])
        if cost > limit:
            raise BudgetError(f"DeepIoT: the fewest units of each channel group cost {cost:.4g}, more than {limit:.4g}")
        return Cut(1.0, least, cost)
    return found


def _above(layout: Layout, probabilities: Units, alive: NDArray[np.bool_], threshold: float) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = alive & (probabilities >= threshold)
    start = 0
    for width, least in zip(layout.widths, layout.least, strict=True):
        its = slice(start, start + width)
        best = np.argsort(-np.where(alive[its], probabilities[its], -1.0), kind="stable")[:least]
        kept[start + best] = True
        start += width
    return kept


def expanded(layout: Layout, widths: tuple[int, ...], costs: Costs) -> tuple[int, ...]:
    """Widths at a local minimum of the cost: each group as wide as it gets at no more cost, wider where it is cheaper.

    Coordinate descent over nearby larger widths, group by group, until none moves (FastDeepIoT, Algorithm 2). No group
    grows beyond the width that it had before compression.
    """
    now = np.array(widths, np.int64)
    for _ in range(_SWEEPS):
        before = now.copy()
        for group, most in enumerate(layout.widths):
            width = int(now[group])
            furthest = min(max(int(width * _NEARBY), width + _NEARBY_UNITS), most)
            tried = np.tile(now, (furthest - width + 1, 1))
            tried[:, group] = np.arange(width, furthest + 1)
            priced = costs(tried)
            cheapest = np.flatnonzero(priced <= priced.min() * (1 + 1e-9))
            now[group] = width + int(cheapest[-1])
        if (now == before).all():
            break
    return tuple(int(width) for width in now)


def restored(
    layout: Layout, probabilities: Units, alive: NDArray[np.bool_], widths: tuple[int, ...]
) -> NDArray[np.bool_]:
    """The units with the most probable of those that were dropped taken back, until each group has its width."""
    kept = alive.copy()
    start = 0
    for width, wanted in zip(layout.widths, widths, strict=True):
        its = slice(start, start + width)
        missing = wanted - int(kept[its].sum())
        if missing > 0:
            order = np.argsort(np.where(kept[its], -1.0, probabilities[its]))[::-1]
            kept[start + order[:missing]] = True
        start += width
    return kept
