"""A tree as rules in words."""

import math

from edgewright.graph.cost import is_plain
from edgewright.timing.model import FamilyTree
from edgewright.timing.splits import AtMost
from edgewright.timing.tree import Leaf, Path, paths
from edgewright.timing.words import phrase

MILLION = 1e6


def rules_of(family: str, tree: FamilyTree) -> str:
    """The rules of a family: a title with its held-out error, then a rule a leaf, the best supported first."""
    lines = [_title(family, tree)]
    for splits, leaf in sorted(paths(tree.root), key=lambda rule: -rule[1].support):
        lines.append(f"  {_condition(splits)}: {formula(leaf, tree.kind)}")
        lines.append(f"      {leaf.support} layers, error {100 * leaf.error:.1f} %{_blocks(leaf)}")
    return "\n".join(lines)


def formula(leaf: Leaf, kind: str) -> str:
    """What a leaf computes: `0.021 ms + 0.0061 ms per million operations`."""
    terms = [f"{_ms(leaf.constant_s)} ms"] if leaf.constant_s > 0 or not leaf.rates_s else []
    for name, rate_s in leaf.rates_s.items():
        words = phrase("output_items" if name == "macs" and is_plain(kind) else name)
        terms.append(f"{_ms(rate_s * MILLION)} ms per million {words}")
    return " + ".join(terms)


def _title(family: str, tree: FamilyTree) -> str:
    errors = tree.held_out
    if errors is None:
        return f"{family.replace('_', ' ')}: too few layers were measured to hold any out"
    return (
        f"{family.replace('_', ' ')}: held-out error {errors.mape_percent:.1f} % of {errors.n} layers, "
        f"{errors.within_10_percent:.0f} % of them within 10 %"
    )


def _condition(path: Path) -> str:
    """The splits of a path, where the bounds of each column are told once, by the narrowest."""
    bounds: dict[str, tuple[float, float]] = {}
    told: dict[str, str] = {}
    for split, holds in path:
        if isinstance(split, AtMost):
            over, at_most = bounds.get(split.column, (-math.inf, math.inf))
            if holds:
                at_most = min(at_most, split.threshold)
            else:
                over = max(over, split.threshold)
            bounds[split.column] = over, at_most
            told[split.column] = _range(split.column, over, at_most)
        else:
            told[f"{split} {holds}"] = split.words(holds)
    return ", ".join(told.values()) or "always"


def _range(column: str, over: float, at_most: float) -> str:
    sides = [f"over {over:,.10g}"] * (over > -math.inf) + [f"at most {at_most:,.10g}"] * (at_most < math.inf)
    return f"{phrase(column)} {' and '.join(sides)}"


def _blocks(leaf: Leaf) -> str:
    if not leaf.blocks:
        return ""
    return "; " + ", ".join(f"{phrase(name)} counted in blocks of {block}" for name, block in leaf.blocks.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"
