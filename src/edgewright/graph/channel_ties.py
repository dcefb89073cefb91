"""Which items of which axes stay or go together: ties between them, found op by op.

Every position of every axis of every tensor is an item. An op ties items that it pairs (a channel of a map with a
column of the weight that reads it), and fixes axes whose length it can't give up. Items that are tied, directly or over
others, are a class: one channel, wherever it lies. What a rule does not speak of is fixed, so that an op is never taken
for more flexible than is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.graph.types import Graph, Shape

Items = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Composite:
    """An axis whose positions count through several others, the last one fastest: a map that was flattened."""

    merged: Items
    factors: tuple[Items, ...]
    reason: str


class Ties:
    """The ties of a network while its ops are looked at."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.composites: list[Composite] = []
        self.fixed: list[tuple[Items, str]] = []
        self.fills: dict[str, float] = {}
        self._starts: dict[str, list[int]] = {}
        self._pairs: list[tuple[Items, Items]] = []
        self._cuts: list[Items] = []
        self.touched: set[tuple[str, int]] = set()
        self.count = 0
        for name, tensor in graph.tensors.items():
            self._starts[name] = []
            for size in tensor.shape:
                self._starts[name].append(self.count)
                self.count += size
        self._all = np.arange(self.count)
        self.stored = self.count
        """Items of tensors come before this number, those made up on the way behind it."""

    def shape(self, name: str) -> Shape:
        return self.graph.tensors[name].shape

    def rank(self, name: str) -> int:
        return len(self.shape(name))

    def is_constant(self, name: str) -> bool:
        return self.graph.tensors[name].is_constant

    def items(self, name: str, axis: int) -> Items:
        """The items of an axis, which may be counted from the back; what is asked for is taken to be understood."""
        axis %= self.rank(name)
        self.touched.add((name, axis))
        start = self._starts[name][axis]
        return self._all[start : start + self.shape(name)[axis]]

    def made_up(self, size: int) -> Items:
        """Items of an axis that no tensor has."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def tie(self, first: Items, second: Items) -> None:
        """Tie the items of two arrays one by one, broadcast against each other."""
        one, two = np.broadcast_arrays(first, second)
        self._pairs.append((one.reshape(-1), two.reshape(-1)))

    def fix(self, items: Items, reason: str) -> None:
        """Let these items neither go nor be joined by others."""
        self.fixed.append((items, reason))

    def cut(self, items: Items) -> None:
        """Between each of these items and the one before it something ends, so that no channel spans both."""
        self._cuts.append(items)

    def combine(self, merged: Items, factors: Sequence[Items], reason: str) -> None:
        """Say that the positions of an axis count through these axes, the last one fastest."""
        if merged.size != prod(len(factor) for factor in factors):
            raise ValueError("sizes that do not fit")
        if len(factors) == 1:
            self.tie(merged, factors[0])
        else:
            self.composites.append(Composite(merged, tuple(factors), reason))

    def fill(self, name: str, value: float) -> None:
        """What a constant holds for a new channel, where it is not 0."""
        self.fills[name] = value

    def same(self, names: Sequence[str], axes: Sequence[int] | None = None) -> None:
        """Tie tensors of one shape item by item, on these axes or on all."""
        first, *others = (name for name in names if name)
        for other in others:
            for axis in range(self.rank(first)) if axes is None else axes:
                self.tie(self.items(first, axis), self.items(other, axis))

    def taken_pairs(self) -> tuple[Items, Items]:
        """The ties since the last call."""
        empty = np.zeros(0, np.int64)
        pairs, self._pairs = self._pairs, []
        return (
            np.concatenate([empty, *(first for first, _ in pairs)]),
            np.concatenate([empty, *(second for _, second in pairs)]),
        )

    def cuts(self) -> Flags:
        """For each item whether something ends before it."""
        found = np.zeros(self.count, np.bool_)
        for items in self._cuts:
            found[items] = True
        return found


def merged_labels(labels: Items, first: Items, second: Items) -> Items:
    """The class of each item after further ties; a class is called by its least item.

    Every class hooks onto the least of those that it is tied to, and chains of hooks are shortened, until nothing
    changes (Shiloach and Vishkin, J. Algorithms 3, 1982).
    """
    labels = labels.copy()
    while True:
        one, two = labels[first], labels[second]
        apart = one != two
        if not apart.any():
            return labels
        first, second, one, two = first[apart], second[apart], one[apart], two[apart]
        np.minimum.at(labels, np.maximum(one, two), np.minimum(one, two))
        labels = _flattened(labels)


def _flattened(labels: Items) -> Items:
    while True:
        further = labels[labels]
        if np.array_equal(further, labels):
            return labels
        labels = further


def grown(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """An array of labels with one of its own for every item that came since."""
    return np.concatenate([values, np.arange(len(values), count)])
