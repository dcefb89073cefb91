"""A tree as rules in words."""

import math
from itertools import accumulate
from textwrap import wrap

from edgewright.graph.cost import is_plain
from edgewright.timing.model import FamilyTree
from edgewright.timing.splits import AtMost
from edgewright.timing.tree import Leaf, Path, paths
from edgewright.timing.words import phrase
from edgewright.units import format_count

MILLION = 1e6
LONG_S = 0.1
WIDTH = 118


def rules_of(family: str, tree: FamilyTree) -> str:
    """The rules of a family: a title with its held-out error, then a rule a leaf, the best supported first."""
    lines = [_title(family, tree)]
    for splits, leaf in sorted(paths(tree.root), key=lambda rule: -rule[1].support):
        lines += _wrapped(f"{_condition(splits)}:", 2)
        lines += _wrapped(formula(leaf, tree.kind), 6)
        lines += _wrapped(f"{leaf.support} layers, error {100 * leaf.error:.1f} %{_blocks(leaf)}", 6)
    return "\n".join(lines)


def formula(leaf: Leaf, kind: str) -> str:
    """What a leaf computes: `0.021 ms + 0.0061 ms per million operations`.

    What counts only beyond a number of items is told by what an item costs from there on, all in all.
    """
    rates: dict[str, dict[float, float]] = {}
    for name, rate_s in leaf.rates_s.items():
        base, _, start = name.partition(">")
        its = rates.setdefault(phrase("output_items" if name == "macs" and is_plain(kind) else base), {})
        its[float(start or 0)] = its.get(float(start or 0), 0.0) + rate_s
    terms = [_time(leaf.constant_s)] if leaf.constant_s > 0 or not rates else []
    for words, its in sorted(rates.items(), key=lambda item: 0 not in item[1]):
        sums = accumulate(its[start] for start in sorted(its))
        named = [f" {words}", *[""] * (len(its) - 1)]
        terms.append(
            ", ".join(
                _per_item(rate_s) + name + (f" beyond {format_count(start)}" if start else "")
                for start, rate_s, name in zip(sorted(its), sums, named, strict=True)
            )
        )
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


def _per_item(rate_s: float) -> str:
    """The cost of an item, by the million, or by the thousand where a million is seconds."""
    million_s = rate_s * MILLION
    return f"{_time(million_s)} per million" if million_s < LONG_S else f"{_time(rate_s * 1e3)} per thousand"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _wrapped(text: str, indent: int) -> list[str]:
    return wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
