"""A tree as rules in words."""

from edgewright.graph.cost import is_plain
from edgewright.timing.model import FamilyTree
from edgewright.timing.splits import Split
from edgewright.timing.tree import Leaf, paths
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
    told = "too few layers to hold any out" if errors is None else (
        f"held-out error {errors.mape_percent:.1f} % of {errors.n} layers, "
        f"{errors.within_10_percent:.0f} % of them within 10 %"
    )  # fmt: skip
    return f"{family.replace('_', ' ')} ({told})"


def _condition(splits: tuple[tuple[Split, bool], ...]) -> str:
    return ", ".join(split.words(holds) for split, holds in splits) or "always"


def _blocks(leaf: Leaf) -> str:
    if not leaf.blocks:
        return ""
    return "; " + ", ".join(f"{phrase(name)} counted in blocks of {block}" for name, block in leaf.blocks.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"
