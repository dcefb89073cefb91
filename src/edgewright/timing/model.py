"""ExecutionTimeModel: seconds of any layer on one device, from a tree for each family of layers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.cost import is_plain
from edgewright.graph.types import LayerSpec
from edgewright.timing.columns import Table, Weights, tabulate
from edgewright.timing.context import Context
from edgewright.timing.tree import Leaf, Node, Seconds, leaf_rows, predict_tree

SHORTEST_S = 5e-6
"""Errors are reported of layers that take longer; below it the clock and the call are measured."""


@dataclass(frozen=True)
class HeldOut:
    """Errors on layers that were not learned from: mean absolute percentage error, shares within, their number.

    Only layers longer than 5 us are counted; `leaves` is the size of the tree.
    """

    mape_percent: float
    within_5_percent: float
    within_10_percent: float
    n: int
    leaves: int


def held_out_errors(predicted: Seconds, seconds: Seconds, leaves: int) -> HeldOut:
    """The errors of predictions of layers that were not learned from."""
    longer = seconds > SHORTEST_S if (seconds > SHORTEST_S).any() else np.ones(len(seconds), np.bool_)
    misses = np.abs(predicted[longer] / seconds[longer] - 1)
    shares = [float(100 * (misses <= limit).mean()) for limit in (0.05, 0.10)]
    return HeldOut(float(100 * misses.mean()), shares[0], shares[1], int(longer.sum()), leaves)


@dataclass(frozen=True)
class FamilyTree:
    """The tree of one family of layers; `held_out` is None where too few were measured to hold any out.

    `weights` tell what each variant weighs for an item that it is applied to, relative to the heaviest.
    """

    kind: str
    root: Node
    held_out: HeldOut | None
    weights: Weights = field(default_factory=dict)

    def predict(self, table: Table) -> Seconds:
        """Seconds of each layer of a table."""
        return predict_tree(self.root, table.with_work(self.weights))

    def leaves(self, table: Table) -> Iterator[tuple[Leaf, NDArray[np.intp]]]:
        """Each leaf that answers for layers of a table, with their rows."""
        return leaf_rows(self.root, table.with_work(self.weights))


@dataclass(frozen=True)
class Fallbacks:
    """Rates for families that were never measured: `plain` for what moves or maps items, `any` for all else."""

    plain: Leaf
    any: Leaf

    def of(self, kind: str) -> Leaf:
        return self.plain if is_plain(kind) else self.any


@dataclass(frozen=True)
class ExecutionTimeModel:
    """Predicts the seconds of layers on a device, and says from what rules.

    A family that was never measured is answered by `fallbacks`: one rate for operations and one for items moved,
    learned from all that was measured; `unmeasured` names such families. A `reshape` never measured costs nothing.
    """

    device: str
    runtime: str
    runtime_version: str
    threads: int
    settings: str
    families: Mapping[str, FamilyTree]
    fallbacks: Fallbacks
    context: Context = field(default_factory=Context)

    def predict(self, layers: Sequence[LayerSpec]) -> Seconds:
        """Seconds of each layer by itself, none negative; 100,000 layers take less than a second."""
        predicted = np.empty(len(layers))
        rows: dict[tuple[str, str], list[int]] = {}
        for row, layer in enumerate(layers):
            rows.setdefault((layer.kind, layer.dtype), []).append(row)
        for same in rows.values():
            table = tabulate([layers[row] for row in same] if len(same) < len(layers) else layers)
            predicted[same] = self._predict_family(layers[same[0]].family, table)
        return predicted

    def predict_network(self, layers: Sequence[LayerSpec]) -> Seconds:
        """Seconds of each layer of a network, one after the other: alone, and what the network adds (`Context`)."""
        return self.predict(layers) + self.context.added(layers)

    def unmeasured(self, layers: Iterable[LayerSpec]) -> tuple[str, ...]:
        """The families among the layers for which only a fallback answers."""
        return tuple(sorted({layer.family for layer in layers} - self.families.keys()))

    def held_out(self) -> dict[str, HeldOut]:
        """The held-out errors of each family that has them."""
        return {name: tree.held_out for name, tree in self.families.items() if tree.held_out is not None}

    def rules(self) -> str:
        """Each tree as rules in words, with the support and the error of each."""
        from edgewright.timing.rules import rules_of

        return "\n\n".join(rules_of(name, tree) for name, tree in self.families.items())

    def to_json(self) -> str:
        """The readable JSON document that `from_json` reads."""
        from edgewright.timing.store import dump_model

        return dump_model(self)

    @classmethod
    def from_json(cls, text: str, source: str = "execution-time model") -> "ExecutionTimeModel":
        """The inverse of `to_json`, which checks all it reads. Raises StoreError, naming `source`."""
        from edgewright.timing.store import load_model

        return load_model(text, source)

    def _predict_family(self, family: str, table: Table) -> Seconds:
        if family in self.families:
            return self.families[family].predict(table)
        if table.kind == "reshape":
            return np.zeros(table.size)
        return self.fallbacks.of(table.kind).predict(table)
