"""What networks cost at many widths at once: the items of their weights, their operations, or their predicted time.

A cost takes widths of shape (networks, groups) and gives one number for each network. The cost of an op depends on the
widths of its own groups and on how its inputs lie in memory. So it is looked up in a table of the op, and only what is
not in the table is worked out: rows that agree in what an op sees are priced once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.cost import layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.widths.executed import Executed, Lies
from edgewright.widths.places import Places
from edgewright.widths.price import Prices

WidthRows = NDArray[np.int64]
"""Widths of shape (networks, groups)."""
CostRow = NDArray[np.float64]
"""A cost for each network."""


class Costs(Protocol):
    """A price of networks of these groups."""

    def __call__(self, widths: WidthRows, /) -> CostRow: ...


class WeightCosts:
    """Items of all constants of a network."""

    def __init__(self, places: Places) -> None:
        constants = [name for name, tensor in places.graph.tensors.items() if tensor.is_constant]
        self._fixed = float(sum(places.graph.tensors[name].items for name in constants if name not in places.touching))
        self._widths = np.array(places.widths, np.int64)
        self._touched = [
            (places.graph.tensors[name].shape, places.touching[name]) for name in constants if name in places.touching
        ]

    def __call__(self, widths: WidthRows, /) -> CostRow:
        changes = np.asarray(widths, np.int64) - self._widths
        total = np.full(len(changes), self._fixed)
        for shape, places in self._touched:
            sizes = np.tile(np.array(shape, np.float64), (len(changes), 1))
            for group, axis, each in places:
                sizes[:, axis] += each * changes[:, group]
            total += sizes.prod(axis=1)
        return total


class LayerCosts:
    """The sum over all layers that the runtime executes at these widths; `price` is a number for each of some layers.

    Equals `widths.frontier.Frontiers.seconds` where the price is that of its `Prices`.
    """

    def __init__(self, executed: Executed, price: Callable[[Sequence[LayerSpec]], Sequence[float]]) -> None:
        self._executed, self._price = executed, price
        self._tables: list[dict[tuple[int, ...], tuple[float, tuple[int, ...]]]] = [{} for _ in executed.nodes]
        self._lies: list[Lies] = [Lies()]
        self._codes: dict[Lies, int] = {Lies(): 0}

    def __call__(self, widths: WidthRows, /) -> CostRow:
        rows, back = np.unique(np.asarray(widths, np.int64), axis=0, return_inverse=True)
        total = np.zeros(len(rows))
        lying = {name: np.zeros(len(rows), np.int64) for name in self._executed.network.inputs}
        for index, node in enumerate(self._executed.nodes):
            groups = list(self._executed.groups_of(index))
            names = list(dict.fromkeys(node.inputs))
            seen = np.column_stack([rows[:, groups], *(lying[name] for name in names)])
            situations, where = np.unique(seen, axis=0, return_inverse=True)
            found = self._look_up(index, groups, names, [tuple(row) for row in situations.tolist()])
            where = where.reshape(-1)
            total += np.array([cost for cost, _ in found])[where]
            codes = np.array([codes for _, codes in found], np.int64).reshape(len(found), -1)[where]
            lying.update(zip(self._touched(index), codes.T, strict=True))
        return total[back.reshape(-1)]

    def _touched(self, index: int) -> list[str]:
        """The tensors whose lie an op decides."""
        node = self._executed.nodes[index]
        return list(dict.fromkeys((*node.inputs, *node.outputs)))

    def _look_up(
        self, index: int, groups: Sequence[int], names: Sequence[str], situations: list[tuple[int, ...]]
    ) -> list[tuple[float, tuple[int, ...]]]:
        """The cost of an op in each situation, and the codes of how the tensors lie that it touches."""
        table = self._tables[index]
        new = [situation for situation in situations if situation not in table]
        taken = []
        for situation in new:
            lies = {name: self._lies[code] for name, code in zip(names, situation[len(groups) :], strict=True)}
            taken.append(self._executed.take(index, dict(zip(groups, situation, strict=False)), lies))
        prices = iter(self._price([layer for one in taken for layer in one.layers]) if taken else ())
        for situation, one in zip(new, taken, strict=True):
            now = dict(one.lies)
            cost = float(sum(next(prices) for _ in one.layers))
            table[situation] = cost, self._encoded(now[name] for name in self._touched(index))
        return [table[situation] for situation in situations]

    def _encoded(self, lies: Iterable[Lies]) -> tuple[int, ...]:
        codes = []
        for one in lies:
            if one not in self._codes:
                self._codes[one] = len(self._lies)
                self._lies.append(one)
            codes.append(self._codes[one])
        return tuple(codes)


def operation_costs(executed: Executed) -> LayerCosts:
    """Multiply-accumulates of a network."""
    return LayerCosts(executed, lambda layers: [float(layer_cost(layer).macs) for layer in layers])


def time_costs(executed: Executed, prices: Prices) -> LayerCosts:
    """Predicted seconds of a network."""

    def seconds(layers: Sequence[LayerSpec]) -> list[float]:
        prices.learn(layers)
        return [prices.of((layer,)) for layer in layers]

    return LayerCosts(executed, seconds)
