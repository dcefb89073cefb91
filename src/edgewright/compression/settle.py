"""The widths of one round: chosen by prediction, corrected by what the cut network is measured to take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from edgewright.compression.aim import Aim, Device
from edgewright.compression.choice import Chosen, Knapsack, share_of, worth
from edgewright.compression.journal import Round
from edgewright.compression.masks import masked_call, masks_that_keep
from edgewright.compression.network import Network
from edgewright.compression.objective import Objective
from edgewright.compression.verify import problems
from edgewright.errors import BudgetError, DataError, EdgewrightError
from edgewright.graph.types import LayerSpec
from edgewright.widths.places import Widths
from edgewright.widths.plan import WidthPlan

_TRIES, _LEARNING = 10, 3
"""So many networks are measured at most; the layers of so many of them correct the prices."""
_NEAREST, _FURTHEST = 0.96, 1.0
"""A network whose measured time is within these shares of the target is near enough."""
_AIM = 0.985
_FINEST = 0.003
_NUDGES, _CLOSE = 8, 0.005
"""So many networks are measured that differ in one group; of those whose predicted time is so close to what is wanted,
the one that keeps most is taken."""
_NUDGED = 4
"""A nudge changes a group by no more than one part in so many."""


@dataclass
class Bracket:
    """The predicted time to ask for so that the measured one meets a target: `low` was measured too fast, `high` too
    slow."""

    limit: float
    low: float | None = None
    high: float | None = None

    def narrow(self, share: float) -> bool:
        """Takes in a network that was measured to take this share of its target; False where nothing lies between."""
        if share < _NEAREST:
            self.low = self.limit
        else:
            self.high = self.limit
        if self.low is None or self.high is None:
            self.limit *= _AIM / share
        else:
            self.limit = (self.low + self.high) / 2
        return self.low is None or self.high is None or self.high - self.low > _FINEST * self.limit


@dataclass
class Settlement:
    """The choice of one round: `ranked` the channels of each group, the best first, `values` what widths are worth
    (`values_of`); `times` and `objective` price the network as it is.

    `known` are the seconds of the layers that were measured so far, to which those of each cut network come.
    """

    aim: Aim
    device: Device
    network: Network
    ranked: Mapping[str, Sequence[int]]
    values: Sequence[Sequence[float]]
    objective: Objective
    times: Objective
    known: dict[LayerSpec, float]
    on_progress: Callable[[str], None]

    def settle(self, target: float, correction: float, is_last: bool) -> tuple[Network, Round]:
        """The network to be trained, near a target; `correction` is measured over predicted time so far.

        Time does not depend on weights, so the network is measured before it is trained, and in the last round widths
        are chosen again until the measured time meets the target. Raises BudgetError where nothing does.
        """
        is_timed = self.aim.steer == "time" and self.device.measure is not None
        if not is_timed:
            return self._cut(self._choose(target, target, 1.0), target)
        found: dict[Widths, tuple[Network, Round]] = {}
        self._approach(found, target, correction, _TRIES if is_last else 1)
        if is_last:
            self._nudge(found, target)
        return min(found.values(), key=lambda one: _off(one[1], target))

    def _approach(
        self, found: dict[Widths, tuple[Network, Round]], target: float, correction: float, tries: int
    ) -> None:
        """Chooses all widths anew for another predicted time until one is near, or nothing new comes of it."""
        bracket = Bracket(_AIM * target / correction)
        for _ in range(tries):
            chosen = self._choose(target, bracket.limit, correction)
            is_new = chosen.widths not in found
            cut, made = self._cut(chosen, target) if is_new else found[chosen.widths]
            found[chosen.widths] = cut, made
            share = _share(made, target)
            if _is_near(share):
                return
            if is_new and len(found) <= _LEARNING and self._learn(cut):
                correction = share * target / self.objective.cost(chosen.widths)
                bracket = Bracket(_AIM * target / correction)
            elif not bracket.narrow(share):
                return

    def _nudge(self, found: dict[Widths, tuple[Network, Round]], target: float) -> None:
        """Changes the nearest network by one group at a time, by about what is missing or too much."""
        objective, limit = self.objective, self.aim.memory_bytes
        values = self.values
        bound = max((made.bound for _, made in found.values() if made.bound is not None), default=1.0)
        for _ in range(_NUDGES):
            widths, (_, made) = min(found.items(), key=lambda item: _off(item[1][1], target))
            share = _share(made, target)
            rows = [one for one in neighbours(widths, objective.original) if one not in found]
            if _is_near(share) or not rows:
                return
            wanted = objective.cost(widths) * _AIM / share
            kept = [worth(values, row) for row in rows]
            ranked = sorted(
                zip(rows, objective.all_costs(rows), kept, strict=True),
                key=lambda one: (max(abs(one[1] / wanted - 1), _CLOSE), -one[2]),
            )
            fitting = (one for one in ranked if limit is None or objective.peak_bytes(one[0]) <= limit)
            best = next(fitting, None)
            if best is None:
                return
            found[best[0]] = self._cut(Chosen(best[0], best[1], share_of(best[2]), bound), target)

    def _learn(self, cut: Network) -> bool:
        """Takes in what the layers of a cut network take; False where they can't be measured."""
        if self.device.layers is None:
            return False
        self.known.update(self.device.layers(cut.module))
        self.objective, self.times = (one.measured(dict(self.known)) for one in (self.objective, self.times))
        return True

    def _choose(self, target: float, limit: float, correction: float) -> Chosen:
        objective = self.objective
        cheapest, _ = objective.cheapest(objective.options(objective.least))
        if objective.cost(cheapest) > limit:  # it may not be once the weights are few enough for the caches
            check_floor(self.aim, objective, target, correction)
            return self._packed(objective.at_weights(cheapest), limit)
        first = self._packed(objective, limit)
        if objective.is_as_cold(first.widths):
            return first
        return self._packed(objective.at_weights(first.widths), limit)

    def _packed(self, objective: Objective, limit: float) -> Chosen:
        """The knapsack."""
        self.on_progress("choosing widths")
        memory = self.aim.memory_bytes

        def fits(widths: Widths) -> bool:
            return memory is None or objective.peak_bytes(widths) <= memory

        return Knapsack(objective, self.values, limit, objective.least, fits).choose()

    def _cut(self, chosen: Chosen, target: float) -> tuple[Network, Round]:
        cut, off = checked_cut(self.network, self.objective.plan(chosen.widths, self.ranked))
        self.on_progress("measuring the narrower network")
        measured_s = None if self.device.measure is None else self.device.measure(cut.module)
        seconds = self.times.at_weights(chosen.widths).cost(chosen.widths)
        return cut, Round(cut.channels, target, chosen.cost, seconds, measured_s, chosen.kept, chosen.bound, off)


def narrowest(objective: Objective) -> tuple[Widths, float]:
    """The widths that cost least, and what they cost."""
    least, _ = objective.cheapest(objective.options(objective.least))
    return least, objective.at_weights(least).cost(least)


def check_floor(aim: Aim, objective: Objective, target: float, correction: float) -> None:
    """Raises BudgetError where no widths cost as little as the target, naming what the cheapest cost."""
    floor = narrowest(objective)[1] * correction
    if floor > target:
        raise BudgetError(
            f"the target of {aim.amount(target)} is below what this network takes at its narrowest: {aim.amount(floor)}"
        )


def checked_cut(network: Network, plan: WidthPlan) -> tuple[Network, float]:
    """The network at the widths of a plan, checked, and how far its outputs are from those of the masked one.

    Raises EdgewrightError where it is not what the plan says.
    """
    cut = network.cut(plan)
    found = problems(network, plan, cut)
    if found:
        raise EdgewrightError(f"the narrower network is not whole: {found[0]}; please report it")
    return cut, difference(network, plan, cut)


def difference(network: Network, plan: WidthPlan, cut: Network) -> float:
    """How far the outputs of a cut network are from those of the network with these channels masked, in relation to
    the largest output."""
    masks = masks_that_keep(network.stored, plan.kept)
    network.module.eval()
    cut.module.eval()
    with torch.no_grad():
        wanted = torch.utils._pytree.tree_leaves(masked_call(network.module, network.stored, masks, *network.example))
        given = torch.utils._pytree.tree_leaves(cut.module(*network.example))
    pairs = [
        (a, b) for a, b in zip(wanted, given, strict=True) if isinstance(a, torch.Tensor) and a.is_floating_point()
    ]
    if any(a.shape != b.shape for a, b in pairs):
        raise DataError("task: the outputs of its module change their shapes with the widths of its layers")
    return max((float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)) for a, b in pairs), default=0.0)


def neighbours(widths: Widths, original: Widths) -> list[Widths]:
    """Widths that differ in one group, and by no more than a quarter there; none is wider than at first."""
    found = []
    for group, (width, most) in enumerate(zip(widths, original, strict=True)):
        reach = max(width // _NUDGED, 1)
        others = (one for one in range(max(width - reach, 1), min(width + reach, most) + 1) if one != width)
        found += [(*widths[:group], one, *widths[group + 1 :]) for one in others]
    return found


def _share(of: Round, target: float) -> float:
    assert of.measured_s is not None
    return of.measured_s / target


def _is_near(share: float) -> bool:
    return _NEAREST <= share <= _FURTHEST


def _off(of: Round, target: float) -> float:
    """How far from the target a network was measured; too slow counts threefold."""
    if of.measured_s is None:
        return 0.0
    share = of.measured_s / target
    return 3 * (share - 1) if share > 1 else 1 - share
