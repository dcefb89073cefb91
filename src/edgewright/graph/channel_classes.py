"""Classes of tied items, once it is settled which part of a flattened axis carries the channels."""

from dataclasses import dataclass
from math import prod

import numpy as np

from edgewright.graph.channel_rules import tie_op
from edgewright.graph.channel_ties import Composite, Flags, Items, Ties, grown, merged_labels
from edgewright.graph.types import Graph


@dataclass(frozen=True)
class Classes:
    """The class of each item, the least item of it; whether it may not change; where no channel spans; and why not."""

    ties: Ties
    labels: Items
    fixed: Flags
    reasons: dict[int, str]
    cuts: Flags


def classes_of(graph: Graph) -> Classes:
    """The classes of all items of a network."""
    ties = Ties(graph)
    for name in graph.inputs:
        _fix_all(ties, name, "it is an input of the network")
    for name in graph.outputs:
        _fix_all(ties, name, "it is an output of the network")
    for op in graph.ops:
        tie_op(op, ties)
    return _settled(ties)


def _fix_all(ties: Ties, name: str, reason: str) -> None:
    for axis in range(ties.rank(name)):
        ties.fix(ties.items(name, axis), reason)


def _settled(ties: Ties) -> Classes:
    """Settle every composite: as long as there is one whose carrying axis is sure, that; else the first by rule."""
    labels = np.arange(ties.count)
    undecided = list(ties.composites)
    while True:
        labels = merged_labels(grown(labels, ties.count), *ties.taken_pairs())
        fixed = _fixed(ties, labels)
        if not undecided:
            return Classes(ties, labels, fixed, _reasons(ties, labels), ties.cuts())
        ready = [part for part in undecided if _is_sure(part, fixed)]
        if ready:
            done = {id(part) for part in ready}
            undecided = [part for part in undecided if id(part) not in done]
            for part in ready:
                _carry(ties, part, fixed)
        else:
            _choose(ties, undecided, labels, fixed)


def _fixed(ties: Ties, labels: Items) -> Flags:
    roots = np.zeros(len(labels), np.bool_)
    for items, _ in ties.fixed:
        roots[labels[items]] = True
    return np.asarray(roots[labels])


def _reasons(ties: Ties, labels: Items) -> dict[int, str]:
    found: dict[int, str] = {}
    for items, reason in ties.fixed:
        for label in np.unique(labels[items]).tolist():
            found.setdefault(label, reason)
    return found


def _open(part: Composite, fixed: Flags) -> list[int]:
    """The factors that may still change."""
    return [i for i, factor in enumerate(part.factors) if len(factor) > 1 and not fixed[factor].all()]


def _is_sure(part: Composite, fixed: Flags) -> bool:
    return bool(fixed[part.merged].all()) or len(_open(part, fixed)) < 2


def _carry(ties: Ties, part: Composite, fixed: Flags) -> None:
    """Tie the merged axis to the one factor that may change; what the others count is repeated or lies in a block."""
    found = _open(part, fixed)
    if not found or fixed[part.merged].all():
        for items in (part.merged, *part.factors):
            ties.fix(items, part.reason)
        return
    sizes = [len(factor) for factor in part.factors]
    index = found[0]
    outer, inner = prod(sizes[:index]), prod(sizes[index + 1 :])
    ties.tie(part.merged.reshape(outer, sizes[index], inner), part.factors[index][None, :, None])
    if outer > 1:
        ties.cut(part.merged[:: sizes[index] * inner])


def _choose(ties: Ties, undecided: list[Composite], labels: Items, fixed: Flags) -> None:
    """Fix all open factors of the first composite but one.

    That is the outermost (whole heads of attention), or the innermost where another composite counts through the same
    factors in another order: then channels are shuffled, and those of a part go together with those of the others.
    """
    part = undecided[0]
    found = _open(part, fixed)
    order = [int(labels[part.factors[i][0]]) for i in found]
    carrying = found[0]
    for other in undecided[1:]:
        heads = [int(labels[factor[0]]) for factor in other.factors]
        places = [heads.index(head) for head in order if head in heads]
        if len(places) > 1 and places != sorted(places):
            carrying = found[-1]
            break
    for i in found:
        if i != carrying:
            ties.fix(part.factors[i], part.reason)
