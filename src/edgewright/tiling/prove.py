"""From plans that are predicted to be fast enough to the smallest one that is: times are measured, not believed.

Predicted times of tiled networks are a few per cent off, some too high, which would give memory away, some too low,
which would break the promise. So plans race the untiled network. Memory falls as time rises, about, so the interval
between the smallest plan that was fast enough and the next one is searched in steps, a few plans at a time. What is
found then races once more in more processes, the next larger plans beside it (also those that the steps passed over),
and the whole interval must be inside; where it reaches out though its middle does not, that plan has a second chance,
as the machine may have been disturbed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgewright.timing.interval import Interval

SLOTS = 5
"""So many plans race the untiled network at a time."""
_STEPS = 4
_LAST = 3
"""Plans that race at the end, and again the next larger ones where none of them proves to be fast enough."""
_NEAR = 0.02
"""Plans slower than what was asked for by no more may still turn out to be fast enough."""


P = TypeVar("P")
Race = Callable[[Sequence[P], bool], Sequence[Interval]]
"""Times of plans in relation to the untiled network; carefully, or just to see which ones are worth that."""


@dataclass(frozen=True)
class Proven(Generic[P]):
    """The plan and its measured ratio, None where no plan proved to be fast enough; how many plans were measured."""

    plan: P | None
    ratio: Interval | None
    measured: int


def prove(plans: Sequence[P], slowdown: float, race: Race[P], slots: int = SLOTS) -> Proven[P]:
    """The first of the plans, the smallest first, that is measured to take at most `slowdown` times as long.

    A plan that is passed over was measured to be slower, or lies among such ones.
    """
    seen: dict[int, Interval] = {}
    first_fast, last_slow = len(plans), -1
    for _ in range(_STEPS):
        chosen = _spread(last_slow + 1, first_fast, slots)
        if not chosen:
            break
        seen |= zip(chosen, race([plans[index] for index in chosen], False), strict=True)
        fast = [index for index, ratio in seen.items() if ratio.value <= slowdown]
        first_fast = min(fast, default=len(plans))
        last_slow = max((index for index in seen if index < first_fast), default=-1)
    hopeful = _hopeful(seen, len(plans), slowdown)
    for start in range(0, len(hopeful), _LAST):
        last = hopeful[start : start + _LAST]
        careful = race([plans[index] for index in last], True)
        seen |= zip(last, careful, strict=True)
        for index, ratio in zip(last, careful, strict=True):
            found = ratio
            if ratio.value <= slowdown < ratio.high:
                (found,) = race([plans[index]], True)
            if found.high <= slowdown:
                return Proven(plans[index], found, len(seen))
    return Proven(None, None, len(seen))


def _hopeful(seen: Mapping[int, Interval], count: int, slowdown: float) -> list[int]:
    """The plans that may be fast enough: those that were about so, and those behind the first one that did not race."""
    near = [index for index, ratio in seen.items() if ratio.value <= slowdown * (1 + _NEAR)]
    return [index for index in range(min(near, default=count), count) if index in near or index not in seen]


def _spread(start: int, end: int, count: int) -> list[int]:
    """So many indices, evenly spread over an interval."""
    have = end - start
    return sorted({start + (2 * i + 1) * have // (2 * count) for i in range(count)}) if have > 0 else []
