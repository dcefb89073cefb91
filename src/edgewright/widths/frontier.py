"""The least predicted time over the widths of all groups: dynamic programming over the order of execution.

Going through the network op by op, all that the future needs to know of the past is the frontier: the widths of the
groups that later ops touch as well, and how the tensors lie that they read. Of all choices that lead to the same
frontier only the cheapest can be part of the best plan (Bellman). So the result is exact as long as no more frontiers
are kept than `most`; on chains of layers there are few. Beyond it the cheapest ones are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from edgewright.widths.executed import Executed, Lies, Taken
from edgewright.widths.places import Widths
from edgewright.widths.price import Prices

MOST_FRONTIERS, LEAST_FRONTIERS = 6000, 100
_STEPS = 100_000
"""About so many frontiers in all: large networks keep fewer of them at each op."""

Options = tuple[tuple[int, ...], ...]
"""The widths that each group may take."""
WidthPrices = Sequence[Mapping[int, float]]
"""For each group, what some of its widths are charged beside the time, in seconds; below 0 where they are favoured."""


@dataclass(frozen=True)
class Found:
    """Widths for all groups, their predicted seconds, and whether none in the options is predicted to be faster."""

    widths: Widths
    seconds: float
    is_exact: bool


class _Trail(NamedTuple):
    """How a frontier was reached: the seconds and the price so far, and the widths chosen, the last ones first."""

    price: float
    seconds: float
    chosen: tuple[tuple[int, int], ...]
    before: "_Trail | None"


Key = tuple[tuple[int, ...], tuple[Lies, ...]]
"""Widths of some groups, and how some tensors lie."""


class Frontiers:
    """The search over one network; what an op costs at given widths is computed once and serves every search."""

    def __init__(self, layouts: Executed, prices: Prices) -> None:
        self.layouts, self.prices, self.places = layouts, prices, layouts.places
        self._taken: list[dict[Key, tuple[Taken, float]]] = [{} for _ in layouts.nodes]

    def seconds(self, widths: Widths) -> float:
        """Predicted seconds of the network at these widths."""
        return self.best(tuple((width,) for width in widths)).seconds

    def shares(self, widths: Widths) -> tuple[float, ...]:
        """Predicted seconds of each op at these widths; a convolution counts where what is folded into it ends."""
        trail: _Trail | None = self._cheapest(tuple((width,) for width in widths), 0.0, 1)[0]
        steps = []
        while trail is not None and trail.before is not None:
            steps.append(trail.seconds - trail.before.seconds)
            trail = trail.before
        return tuple(reversed(steps))

    @property
    def most(self) -> int:
        """How many frontiers are kept at each op of this network."""
        return min(max(_STEPS // max(len(self.layouts.nodes), 1), LEAST_FRONTIERS), MOST_FRONTIERS)

    def best(
        self,
        options: Options,
        item_price_s: float = 0.0,
        most: int = MOST_FRONTIERS,
        width_prices_s: WidthPrices = (),
    ) -> Found:
        """The widths of least seconds, each item of the weights being charged `item_price_s`, and each group what
        `width_prices_s` says of its width."""
        trail, is_exact = self._cheapest(options, item_price_s, most, width_prices_s)
        chosen = dict(_choices(trail))
        widths = tuple(chosen.get(group, self.places.widths[group]) for group in range(len(options)))
        return Found(widths, trail.seconds, is_exact)

    def _cheapest(
        self, options: Options, item_price_s: float, most: int, width_prices_s: WidthPrices = ()
    ) -> tuple[_Trail, bool]:
        """The way to the end of the network of least price, and whether no frontier was left out."""
        states: dict[Key, _Trail] = {self._start(): _Trail(0.0, 0.0, (), None)}
        is_exact = True
        for index in range(len(self.layouts.nodes)):
            states = self._advance(index, states, options, item_price_s, width_prices_s)
            if len(states) > most:
                kept = sorted(states.items(), key=lambda item: item[1].price)[:most]
                states, is_exact = dict(kept), False
        return min(states.values(), key=lambda one: one.price), is_exact

    def _start(self) -> Key:
        return (), tuple(Lies() for _ in self._frontier[-1][1])

    def _advance(
        self,
        index: int,
        states: Mapping[Key, _Trail],
        options: Options,
        item_price_s: float,
        width_prices_s: WidthPrices,
    ) -> dict[Key, _Trail]:
        """All frontiers behind an op."""
        node, groups = self.layouts.nodes[index], self.layouts.groups_of(index)
        before_groups, before_tensors = self._frontier[index - 1]
        after_groups, after_tensors = self._frontier[index]
        new = tuple(group for group in groups if group not in before_groups)
        choices = [tuple(zip(new, widths, strict=True)) for widths in product(*(options[group] for group in new))]
        charged = {choice: _charged(choice, width_prices_s) for choice in choices}
        reads = tuple(before_tensors.index(name) for name in dict.fromkeys(node.inputs))
        names = tuple(dict.fromkeys(node.inputs))
        found: dict[Key, _Trail] = {}
        asked = []
        for (live, lies), trail in states.items():
            given = tuple(lies[position] for position in reads)
            known = dict(zip(before_groups, live, strict=True))
            for choice in choices:
                widths = {**known, **dict(choice)}
                local = tuple(widths[group] for group in groups)
                asked.append((trail, choice, widths, lies, local, given))
        self._price(index, groups, names, {(local, given) for *_, local, given in asked})
        for trail, choice, widths, lies, local, given in asked:
            taken, seconds = self._taken[index][local, given]
            now = dict(zip(before_tensors, lies, strict=True)) | dict(taken.lies)
            key = tuple(widths[group] for group in after_groups), tuple(now[name] for name in after_tensors)
            price = trail.price + seconds + charged[choice]
            if item_price_s:
                price += item_price_s * self._items(index, local)
            best = found.get(key)
            if best is None or price < best.price:
                found[key] = _Trail(price, trail.seconds + seconds, choice, trail)
        return found

    def _price(
        self,
        index: int,
        groups: Sequence[int],
        names: Sequence[str],
        keys: set[Key],
    ) -> None:
        """What an op makes the runtime execute in all these situations."""
        known = self._taken[index]
        new = {
            (local, given): self.layouts.take(
                index, dict(zip(groups, local, strict=True)), dict(zip(names, given, strict=True))
            )
            for local, given in keys
            if (local, given) not in known
        }
        self.prices.learn(layer for taken in new.values() for layer in taken.layers)
        for key, taken in new.items():
            known[key] = taken, self.prices.of(taken.layers)

    def _items(self, index: int, local: tuple[int, ...]) -> int:
        """Items of the constants that an op is the first to read."""
        widths = dict(zip(self.layouts.groups_of(index), local, strict=True))
        return sum(self.places.items(name, widths) for name in self._constants[index])

    @cached_property
    def _constants(self) -> tuple[tuple[str, ...], ...]:
        seen: set[str] = set()
        found = []
        for node in self.layouts.nodes:
            own = [
                name
                for name in dict.fromkeys(node.op.inputs)
                if name in self.places.touching and self.places.graph.tensors[name].is_constant and name not in seen
            ]
            seen.update(own)
            found.append(tuple(own))
        return tuple(found)

    @cached_property
    def _frontier(self) -> dict[int, tuple[tuple[int, ...], tuple[str, ...]]]:
        """Behind each op: the groups that were met and will be met again, and the tensors that are still to be read.

        At -1 what there is before the first op.
        """
        nodes = self.layouts.nodes
        last_use: dict[str, int] = {}
        last_met: dict[int, int] = {}
        for index, node in enumerate(nodes):
            last_use.update(dict.fromkeys(node.inputs, index))
            last_met.update(dict.fromkeys(self.layouts.groups_of(index), index))
        tensors = [name for name in self.layouts.network.inputs if name in last_use]
        groups: list[int] = []
        found = {-1: ((), tuple(tensors))}
        frontier: dict[int, tuple[tuple[int, ...], tuple[str, ...]]] = dict(found)
        for index, node in enumerate(nodes):
            groups = [g for g in dict.fromkeys((*groups, *self.layouts.groups_of(index))) if last_met[g] > index]
            tensors = [t for t in dict.fromkeys((*tensors, *node.outputs)) if last_use.get(t, -1) > index]
            frontier[index] = tuple(groups), tuple(tensors)
        return frontier


def _charged(choice: Sequence[tuple[int, int]], width_prices_s: WidthPrices) -> float:
    """What the groups are charged for the widths that they take."""
    return sum(width_prices_s[group].get(width, 0.0) for group, width in choice) if width_prices_s else 0.0


def _choices(trail: _Trail) -> list[tuple[int, int]]:
    chosen: list[tuple[int, int]] = []
    step: _Trail | None = trail
    while step is not None:
        chosen += step.chosen
        step = step.before
    return chosen
