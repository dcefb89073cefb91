"""The tree-structured linear model of one family of layers: branches that ask, leaves that compute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import Table
from edgewright.timing.splits import Split
from edgewright.timing.variables import explanatory_columns

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Leaf:
    """Seconds = constant + sum of rate x explanatory variable, none of them negative.

    The variables are computed on dimensions rounded up to `blocks`. `support` is the number of layers it was learned
    from and `error` their mean absolute relative error.
    """

    rates_s: Mapping[str, float]
    constant_s: float
    blocks: Mapping[str, int]
    support: int
    error: float

    def predict(self, table: Table) -> Seconds:
        predicted = np.full(table.size, self.constant_s)
        variables = explanatory_columns(table, self.blocks, tuple(self.rates_s))
        for rate_s, variable in zip(self.rates_s.values(), variables, strict=True):
            predicted += rate_s * variable
        return predicted


@dataclass(frozen=True)
class Branch:
    """Layers for which `split` holds go to `yes`, the others to `no`; support and error as if it were a leaf."""

    split: Split
    yes: "Node"
    no: "Node"
    support: int
    error: float


Node = Leaf | Branch
Path = tuple[tuple[Split, bool], ...]


def predict_tree(node: Node, table: Table) -> Seconds:
    """Seconds of every layer of the table."""
    predicted = np.empty(table.size)
    for leaf, rows in leaf_rows(node, table):
        predicted[rows] = leaf.predict(table.take(rows))
    return predicted


def leaf_rows(node: Node, table: Table) -> Iterator[tuple[Leaf, NDArray[np.intp]]]:
    """Each leaf that is reached, with the rows of the table that reach it."""
    waiting = [(node, np.arange(table.size))]
    while waiting:
        node, rows = waiting.pop()
        if len(rows) == 0:
            continue
        if isinstance(node, Leaf):
            yield node, rows
        else:
            holds = node.split.mask(table)[rows]
            waiting += [(node.no, rows[~holds]), (node.yes, rows[holds])]


def leaves(node: Node) -> tuple[Leaf, ...]:
    """The leaves of a tree, from the `yes` side on."""
    return (node,) if isinstance(node, Leaf) else leaves(node.yes) + leaves(node.no)


def paths(node: Node, above: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Each leaf with the splits that lead to it, and whether each of them holds."""
    if isinstance(node, Leaf):
        yield above, node
    else:
        yield from paths(node.yes, (*above, (node.split, True)))
        yield from paths(node.no, (*above, (node.split, False)))
