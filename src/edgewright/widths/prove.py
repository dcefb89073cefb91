"""From plans that are predicted to be faster to the one that is: everything is measured before it is believed.

Whole plans race the network as it is first. Around the fastest of them single changes are measured then: each of its
groups at its old width, and at the widths that are predicted to be nearly as good. What proves faster is taken over,
and changes that do not prove their gain are dropped together, if the plan is no slower without them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgewright.timing.interval import Interval
from edgewright.widths.places import Widths

SLOTS = 16
"""So many variants race at a time."""
_SWEEPS = 3
_NEAR = 1.03
"""Plans that were slower by less when they raced first race the last one once more."""
_AS_FAST = 1.002
"""Plans that differ by less are as fast as each other."""
_LIKELY = 0.99
"""A variant whose time is below this share of the plan's is likely to be faster, if not proven."""


Race = Callable[[Sequence[Widths]], Sequence[Interval]]
"""Measures the times of all but the first in relation to the first."""
Alternatives = Callable[[Widths], Sequence[Widths]]
"""Plans that differ in one group from a plan, those that are predicted to be fastest first."""


@dataclass(frozen=True)
class Trial:
    """A plan that was measured against another one."""

    widths: Widths
    against: Widths
    ratio: Interval


@dataclass(frozen=True)
class Proven:
    """The fastest plan found, which is the network as it is where nothing proved to be faster, and all trials."""

    widths: Widths
    trials: tuple[Trial, ...]


def prove(
    original: Widths,
    plans: Sequence[Widths],
    alternatives: Alternatives,
    race: Race,
    fits: Callable[[Widths], bool],
    has_time: Callable[[], bool],
    slots: int = SLOTS,
) -> Proven:
    """The fastest of the plans, improved by single changes as long as there is time; every step is measured.

    Only plans that `fits` holds for are taken, and at most `slots` race at a time. A last comparison with the network
    as it is, by `bench`, is the caller's: what is likely to be faster is enough here.
    """
    trials = _measured(original, [plan for plan in dict.fromkeys(plans) if plan != original and fits(plan)], race)
    faster = [trial for trial in trials if trial.ratio.value < _LIKELY]
    if not faster:
        return Proven(original, tuple(trials))
    best = min(faster, key=lambda trial: trial.ratio.value).widths
    for _ in range(_SWEEPS):
        around: list[Trial] = []
        for variants in _batches(alternatives(best), slots):
            if not has_time():
                break
            around += _measured(best, variants, race)
        composed = [plan for plan in _composed(original, best, around) if plan not in (best, original) and fits(plan)]
        tried = _measured(best, composed, race)
        trials += [*around, *tried]
        before, best = best, _chosen(original, best, tried)
        if best == before:
            break
    last = _measured(best, _near(faster, best), race)
    faster_still = [trial for trial in last if trial.ratio.value < 1]
    final = min(faster_still, key=lambda trial: trial.ratio.value).widths if faster_still else best
    return Proven(final, (*trials, *last))


def _near(faster: Sequence[Trial], best: Widths) -> list[Widths]:
    """Plans that were nearly as fast as the fastest one at first."""
    limit = min(trial.ratio.value for trial in faster) * _NEAR
    return [trial.widths for trial in faster if trial.ratio.value < limit and trial.widths != best]


def _measured(against: Widths, plans: Sequence[Widths], race: Race) -> list[Trial]:
    ratios = race([against, *plans]) if plans else ()
    return [Trial(plan, against, ratio) for plan, ratio in zip(plans, ratios, strict=True)]


def _batches(variants: Sequence[Widths], slots: int) -> Iterator[Sequence[Widths]]:
    for first in range(0, len(variants), slots):
        yield variants[first : first + slots]


def _composed(original: Widths, best: Widths, around: Sequence[Trial]) -> Sequence[Widths]:
    """Plans with what was learned from single changes: the proven ones; also the likely ones; without the unproven."""
    likely = [trial for trial in around if trial.ratio.value < _LIKELY]
    idle = [trial for trial in around if _is_drop(trial, original) and trial.ratio.value <= _AS_FAST]
    proven = _with(best, [trial for trial in around if trial.ratio.high < 1])
    lighter = _with(best, idle)
    return tuple(dict.fromkeys((proven, _with(best, likely), lighter, _with(lighter, likely))))


def _is_drop(trial: Trial, original: Widths) -> bool:
    """Whether a single change goes back to the width that the group had."""
    changed = [group for group, (a, b) in enumerate(zip(trial.widths, trial.against, strict=True)) if a != b]
    return all(trial.widths[group] == original[group] for group in changed)


def _with(plan: Widths, changes: Sequence[Trial]) -> Widths:
    """A plan with single changes, the fastest for each group."""
    found = list(plan)
    for trial in sorted(changes, key=lambda one: -one.ratio.value):
        for group, (width, before) in enumerate(zip(trial.widths, trial.against, strict=True)):
            if width != before:
                found[group] = width
    return tuple(found)


def _chosen(original: Widths, best: Widths, tried: Sequence[Trial]) -> Widths:
    """The fastest of the plan and what was tried against it, or one that is as fast and changes less."""
    ratios = {best: 1.0} | {trial.widths: trial.ratio.value for trial in tried}
    limit = min(ratios.values()) * _AS_FAST
    as_fast = [plan for plan, ratio in ratios.items() if ratio <= limit]
    return min(as_fast, key=lambda plan: (_changes(original, plan), ratios[plan]))


def _changes(original: Widths, plan: Widths) -> int:
    return sum(a != b for a, b in zip(plan, original, strict=True))
