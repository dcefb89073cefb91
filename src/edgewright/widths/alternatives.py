"""Plans that differ from a plan in one group: what is worth measuring around it."""

from collections.abc import Callable

from edgewright.widths.frontier import Frontiers, Options
from edgewright.widths.places import Widths

_EACH = 2
"""So many other widths of each group, beside the one that it had."""
_MOST_GROUPS = 40
"""Of more groups, those whose ops take longest are tried."""
_NEARLY = 1.02
"""Plans that are predicted to take up to this many times as long are worth a try."""


def alternatives(
    frontiers: Frontiers, options: Options, plan: Widths, fits: Callable[[Widths], bool]
) -> tuple[Widths, ...]:
    """Each group at its old width, and at the widths of the options that are predicted to be nearly as fast or faster;
    the fastest first."""
    limit_s = _NEARLY * frontiers.seconds(plan)
    found: dict[Widths, float] = {}
    for group in _heaviest(frontiers, plan):
        width = plan[group]
        before = frontiers.places.widths[group]
        others = {_changed(plan, group, other) for other in options[group] if other not in (width, before)}
        ranked = sorted((frontiers.seconds(other), other) for other in others)
        found |= {other: seconds for seconds, other in ranked[:_EACH] if seconds <= limit_s and fits(other)}
        if width != before and fits(old := _changed(plan, group, before)):
            found[old] = frontiers.seconds(old)
    return tuple(sorted(found, key=lambda other: found[other]))


def _heaviest(frontiers: Frontiers, plan: Widths) -> list[int]:
    """The groups whose ops take longest."""
    shares = frontiers.shares(plan)
    touched = [0.0] * len(plan)
    for index, share in enumerate(shares):
        for group in frontiers.layouts.groups_of(index):
            touched[group] += share
    return sorted(range(len(plan)), key=lambda group: -touched[group])[:_MOST_GROUPS]


def _changed(plan: Widths, group: int, width: int) -> Widths:
    return (*plan[:group], width, *plan[group + 1 :])
