"""The widths of all groups that keep the most importance at no more than a cost: a knapsack over the staircase.

What a width of a group is worth follows from what is lost at it (`values_of`): measured (`sensitivity`), or told by
scores. At a price of it (seconds for all), dynamic programming over the order of execution finds the widths of least
cost less what they are worth (`widths.frontier`); bisection finds the price at which they just meet the limit. That is
the convex hull of what can be had (Everett, Generalized Lagrange multiplier method, Operations Research 1963), and it
bounds what any plan can keep. Between its corners moves of one and two groups fill what is left, through every width:
so that no group is left at a width that costs as much as a wider one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np

from edgewright.compression.objective import Objective
from edgewright.errors import BudgetError
from edgewright.widths.frontier import Options, WidthPrices
from edgewright.widths.places import Widths

_BISECTIONS = 12
_ENOUGH = 0.995
"""Bisection ends where the limit is used to this share."""
_MOST_MOVES = 4000
_MOST_STEPS = 200
_LEAST_GAIN = 1e-9
_FAINT = 1e-3
"""A group that keeps less than this share of its scores is worth nothing."""

Fits = Callable[[Widths], bool]


@dataclass(frozen=True)
class Chosen:
    """Widths, their cost, the share of the network that is kept, and the most that any widths could keep."""

    widths: Widths
    cost: float
    kept: float
    bound: float


@dataclass
class Knapsack:
    """A choice of widths under a limit of cost; `values` tell what each width of each group is worth, from 0 channels
    on, and `least` the fewest channels of each."""

    objective: Objective
    values: Sequence[Sequence[float]]
    limit: float
    least: Widths
    fits: Fits = lambda _: True
    options: Options = field(init=False)

    def __post_init__(self) -> None:
        self.options = self.objective.options(self.least)

    def choose(self) -> Chosen:
        """The choice. Raises BudgetError where no widths are so cheap, naming what the cheapest cost."""
        cheap, _ = self.objective.cheapest(self.options)
        if self.objective.cost(cheap) > self.limit:
            cost, limit = self.objective.cost(cheap), self.limit
            raise BudgetError(
                f"no widths cost {limit:.4g} or less: the cheapest cost {cost:.4g} ({self.objective.steer})"
            )
        start, bound = self._hull(cheap)
        start = self._smaller(start)
        found = self._filled(start)
        kept = self.kept(found)
        return Chosen(found, self.objective.cost(found), share_of(kept), share_of(max(bound, kept)))

    def kept(self, widths: Widths) -> float:
        """What is kept at these widths, in values."""
        return worth(self.values, widths)

    def value(self, group: int, width: int) -> float:
        values = self.values[group]
        return values[min(width, len(values) - 1)]

    def _hull(self, cheap: Widths) -> tuple[Widths, float]:
        """The best plan at any price of importance, and what no plan can surpass."""
        best, bound = cheap, 1.0
        low, high = 0.0, self.objective.cost(self.objective.original)
        for _ in range(_BISECTIONS):
            tried, is_exact = self.objective.cheapest(self.options, self._favours(high))
            if self.objective.cost(tried) > self.limit:
                break
            best, low, high = max(best, tried, key=self.kept), high, 4 * high
            if self.kept(tried) >= 1 - _LEAST_GAIN:
                return best, bound
        for _ in range(_BISECTIONS):
            price = (low + high) / 2
            tried, is_exact = self.objective.cheapest(self.options, self._favours(price))
            cost = self.objective.cost(tried)
            if is_exact:
                bound = min(bound, self.kept(tried) + (self.limit - cost) / price)
            if cost > self.limit:
                high = price
                continue
            best, low = max(best, tried, key=self.kept), price
            if cost >= _ENOUGH * self.limit:
                break
        return best, bound

    def _favours(self, price: float) -> WidthPrices:
        """What each width of each group is worth, as a charge."""
        return [
            {width: -price * self.value(group, width) for width in widths} for group, widths in enumerate(self.options)
        ]

    def _smaller(self, widths: Widths) -> Widths:
        """Steps down, each the one that loses least, until what else is bounded fits too. Raises BudgetError."""
        while not self.fits(widths):
            lower = [_changed(widths, {g: max(o for o in own if o < widths[g])})
                     for g, own in enumerate(self.options) if own[0] < widths[g]]  # fmt: skip
            if not lower:
                raise BudgetError("no widths fit into the memory")
            widths = max(lower, key=self.kept)
        return widths

    def _filled(self, widths: Widths) -> Widths:
        """Moves of one group up, or one up and another down, as long as one keeps more within the limit."""
        for _ in range(_MOST_STEPS):
            moves = sorted(self._moves(widths), key=self.kept, reverse=True)[:_MOST_MOVES]
            costs = self.objective.all_costs(moves) if moves else []
            fitting = (move for move, cost in zip(moves, costs, strict=True) if cost <= self.limit and self.fits(move))
            better = next(fitting, None)
            if better is None:
                return widths
            widths = better
        return widths

    def _moves(self, widths: Widths) -> list[Widths]:
        """Plans near a plan that keep more."""
        now = self.kept(widths)
        up = [(group, width) for group, own in enumerate(widths) for width in self._wider(group, own)]
        down = [(group, width) for group, own in enumerate(widths) for width in self._narrower(group, own)]
        singles = [_changed(widths, {group: width}) for group, width in up]
        pairs = [_changed(widths, {a: wide, b: narrow}) for a, wide in up for b, narrow in down if a != b]
        return [move for move in (*singles, *pairs) if self.kept(move) > now + _LEAST_GAIN]

    def _wider(self, group: int, width: int) -> list[int]:
        """Every width up to the next one of the options, and that one after it."""
        above = [option for option in self.options[group] if option > width]
        return sorted({*range(width + 1, above[0] + 1), *above[:2]}) if above else []

    def _narrower(self, group: int, width: int) -> list[int]:
        below = [option for option in self.options[group] if option < width]
        return below[-2:]


def values_of(losses: Sequence[Sequence[float]]) -> list[list[float]]:
    """For each group, what it is worth to keep so many of its best channels, from 0 on; 1 for all groups whole.

    `losses` are what is lost at each of these widths: logarithms of the share of the network that gets through.
    """
    return [[1 / len(losses) - loss / -log(_FAINT) for loss in own] for own in losses]


def losses_of(scores: Sequence[Sequence[float]]) -> list[list[float]]:
    """What is lost of each group's own scores at each number of its best channels, from 0 on.

    Layers stand behind each other, so what gets through is the product of what each lets through, here the geometric
    mean: a loss is the logarithm of the share that is kept, and so no group is cut to nothing for the others.
    """
    found = []
    for own in scores:
        kept = np.concatenate([[0.0], np.cumsum(sorted(own, reverse=True))])
        shares = kept / kept[-1] if kept[-1] else np.ones(len(kept))
        found.append((-np.log(np.maximum(shares, _FAINT)) / len(scores)).tolist())
    return found


def worth(values: Sequence[Sequence[float]], widths: Widths) -> float:
    """What all groups are worth together at these widths; a group that is wider than it was is worth no more."""
    return sum(own[min(width, len(own) - 1)] for own, width in zip(values, widths, strict=True))


def share_of(value: float) -> float:
    """The share of the network that is kept, from the sum of the values of its groups."""
    return float(_FAINT ** (1 - min(value, 1.0)))


def ranking(scores: Mapping[str, Sequence[float]]) -> dict[str, list[int]]:
    """The channels of each group, the most important ones first; the first of equals first."""
    return {name: sorted(range(len(own)), key=lambda channel: -own[channel]) for name, own in scores.items()}


def _changed(widths: Widths, changes: Mapping[int, int]) -> Widths:
    return tuple(changes.get(group, width) for group, width in enumerate(widths))
