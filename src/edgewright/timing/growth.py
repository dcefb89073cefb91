"""Growing and pruning of trees: best split first, then the weakest link away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgewright.timing.columns import Mask
from edgewright.timing.leaves import Array, Design, Fit, batched_nnls, fit_leaves, prior_of, to_leaf
from edgewright.timing.splits import AtMost, Has, MultipleOf, Rows, Split, candidate_splits, nearby_splits
from edgewright.timing.tree import Branch, Node

MIN_SUPPORT = 8
COMBINATIONS = 6
"""Block combinations that candidate splits are ranked with: the best of the node."""
ROUGH_COMBINATIONS = 2
RANKED = 48
CORE = 3
RANK_SWEEPS = 8
REFINED = 3
"""Of so many of the best splits, thresholds between the quantiles are tried as well."""
TRIED = 4
"""Candidate splits that are fitted robustly, out of all that are ranked."""

FIRST: Mapping[str, tuple[Split, ...]] = {
    "conv": (AtMost("groups", 1), MultipleOf("spatial_axes", 2)),
    "reduction": (Has("variant", "inner"),),
    "softmax": (Has("variant", "inner"),),
    "expand": (Has("variant", "tile"),),
    "transposed_conv": (AtMost("stride_w", 1),),
    "depthwise_conv": (AtMost("out_channels_per_group", 1), MultipleOf("spatial_axes", 2)),
}
"""Grouped convolutions, those with a channel multiplier or one spatial axis, transposed ones that don't enlarge their
input, reductions over rows or columns, and tiles, which copy where an expansion broadcasts."""
APART: Mapping[str, int] = {"transposed_conv": 20}
"""So many rows at least are parted from the others; `MIN_SUPPORT` where it isn't told."""


@dataclass(eq=False)
class Division:
    """The best split found for a node, and what its two sides fit."""

    split: Split
    yes: "Growing"
    no: "Growing"
    gain: float


@dataclass(eq=False)
class Growing:
    """A node while the tree grows: its rows, its fit as a leaf, the best division found, and whether it is taken."""

    rows: Rows
    fit: Fit
    division: Division | None = None
    divided: bool = field(default=False)

    @property
    def loss(self) -> float:
        """The loss of the subtree."""
        return self.division.yes.loss + self.division.no.loss if self.divided and self.division else self.fit.loss

    @property
    def leaf_count(self) -> int:
        if self.divided and self.division:
            return self.division.yes.leaf_count + self.division.no.leaf_count
        return 1


def grow(design: Design, rows: Rows, max_leaves: int) -> Growing:
    """A tree on the given rows: the division that lowers the loss most is taken first (best-first Algorithm 1).

    What is an op of its own is parted before (`FIRST`).
    """
    root = Growing(rows, fit_leaves(design, [rows])[0])
    open_nodes = _part(design, root, FIRST.get(design.table.kind, ()))
    for node in open_nodes:
        divide(design, node)
    for _ in range(max_leaves - len(open_nodes)):
        open_nodes = [node for node in open_nodes if node.division is not None and node.division.gain > 0]
        if not open_nodes:
            break
        chosen = max(open_nodes, key=lambda node: node.division.gain if node.division else 0.0)
        open_nodes.remove(chosen)
        chosen.divided = True
        assert chosen.division is not None
        for side in (chosen.division.yes, chosen.division.no):
            divide(design, side)
            open_nodes.append(side)
    return root


def _part(design: Design, node: Growing, splits: Sequence[Split]) -> list[Growing]:
    """Divides the node, and then its `yes` side, by each of the splits that leaves enough rows on both sides."""
    parts, least = [], APART.get(design.table.kind, MIN_SUPPORT)
    for split in splits:
        mask = split.mask(design.table)[node.rows]
        if min(mask.sum(), (~mask).sum()) >= least:
            node.division = _division(design, node, split, mask)
            node.divided = True
            parts.append(node.division.no)
            node = node.division.yes
    return [node, *parts]


def divide(design: Design, node: Growing) -> None:
    """Finds the best division of a node: all candidates ranked by least squares, the best few fitted robustly."""
    splits, masks = candidate_splits(design.table, node.rows, MIN_SUPPORT)
    if not splits:
        return
    splits, masks = _promising(design, node, splits, masks)
    sides = [node.rows[side] for mask in masks for side in (mask, ~mask)]
    fits = fit_leaves(design, sides, prior_of(design, node.rows, node.fit), node.fit.ranking[:COMBINATIONS])
    left = [yes.loss + no.loss for yes, no in zip(fits[::2], fits[1::2], strict=True)]
    best = int(np.argmin(left))
    node.division = _division(design, node, splits[best], masks[best])


def _division(design: Design, node: Growing, split: Split, mask: Mask) -> Division:
    sides = [node.rows[mask], node.rows[~mask]]
    fits = fit_leaves(design, sides, prior_of(design, node.rows, node.fit))
    yes, no = (Growing(rows, fit) for rows, fit in zip(sides, fits, strict=True))
    return Division(split, yes, no, node.fit.loss - yes.fit.loss - no.fit.loss)


def _promising(design: Design, node: Growing, splits: list[Split], masks: Mask) -> tuple[list[Split], Mask]:
    """The few splits that are worth a robust fit; ranked roughly first, and then with more block combinations."""
    losses = rank_splits(split_terms(design, node, node.fit.ranking[:ROUGH_COMBINATIONS]), masks)
    order = np.argsort(losses, kind="stable")
    finer, finer_masks = nearby_splits(design.table, node.rows, MIN_SUPPORT, [splits[i] for i in order[:REFINED]])
    kept = order[:RANKED]
    splits = [*(splits[index] for index in kept), *finer]
    masks = np.concatenate([masks[kept], finer_masks])
    losses = rank_splits(split_terms(design, node, node.fit.ranking[:COMBINATIONS]), masks)
    tried = np.argsort(losses, kind="stable")[:TRIED]
    return [splits[index] for index in tried], masks[tried]


@dataclass(frozen=True)
class SplitTerms:
    """What each row adds to the Gram matrices, the moments and the squares of every block combination."""

    rows: Array
    combinations: int
    variables: int
    start: Array


def split_terms(design: Design, node: Growing, chosen: NDArray[np.intp]) -> SplitTerms:
    """The terms of a node's rows, for some block combinations and the variables that matter to the node."""
    target = design.target[node.rows]
    matter = node.fit.weights > 0
    matter[[*range(min(CORE, len(matter))), -1]] = True
    relative = design.relative[chosen[:, None], node.rows][:, :, matter]
    combinations, count, variables = relative.shape
    upper = np.triu_indices(variables)
    pairs = (relative[:, :, upper[0]] * relative[:, :, upper[1]]).transpose(1, 0, 2).reshape(count, -1)
    moments = (relative * target[:, None]).transpose(1, 0, 2).reshape(count, -1)
    return SplitTerms(
        np.concatenate([pairs, moments, (target * target)[:, None]], axis=1),
        combinations,
        variables,
        node.fit.weights[matter],
    )


def rank_splits(terms: SplitTerms, masks: Mask) -> Array:
    """The sum of squares that each split leaves: all Gram matrices of both sides by one product with the masks."""
    variables, upper = terms.variables, np.triu_indices(terms.variables)
    yes = masks.astype(np.float64) @ terms.rows
    sums = np.concatenate([yes, terms.rows.sum(axis=0) - yes])
    problems, pairs = len(sums) * terms.combinations, terms.combinations * len(upper[0])
    grams = np.empty((variables, variables, problems))
    halves = sums[:, :pairs].reshape(problems, -1).T
    grams[upper], grams[upper[::-1]] = halves, halves
    moments = np.ascontiguousarray(sums[:, pairs:-1].reshape(problems, variables).T)
    losses = batched_nnls(grams, moments, np.repeat(sums[:, -1], terms.combinations), RANK_SWEEPS, terms.start)
    best = losses.reshape(len(sums), terms.combinations).min(axis=1)
    found: Array = best[: len(masks)] + best[len(masks) :]
    return found


def prune(root: Growing) -> bool:
    """Turns the division that is worth least for each leaf it adds back into a leaf; False at the root alone."""
    weakest = min(_divided(root), key=lambda node: (node.fit.loss - node.loss) / (node.leaf_count - 1), default=None)
    if weakest is None:
        return False
    weakest.divided = False
    return True


def _divided(node: Growing) -> list[Growing]:
    if not node.divided or node.division is None:
        return []
    return [node, *_divided(node.division.yes), *_divided(node.division.no)]


def freeze(design: Design, node: Growing) -> Node:
    """The tree as it stands, as plain data."""
    support = len(node.rows)
    if not node.divided or node.division is None:
        return to_leaf(design, node.fit, support)
    yes, no = freeze(design, node.division.yes), freeze(design, node.division.no)
    return Branch(node.division.split, yes, no, support, node.fit.loss / support)
