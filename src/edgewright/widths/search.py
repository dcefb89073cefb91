"""The search for widths: least predicted time of the whole network, weights bounded."""

from collections.abc import Sequence
from time import monotonic

from edgewright.widths.frontier import Found, Frontiers, Options
from edgewright.widths.places import Widths

_HALVINGS = 10
_SWEEPS = 3
_TOGETHER = 2
LIMIT_S = 10.0
"""Descent ends after so many seconds, on networks of hundreds of groups."""


def search(frontiers: Frontiers, options: Options, most_items: int, starts: Sequence[Widths] = ()) -> Found:
    """The widths of least predicted time whose weights have no more than `most_items`.

    Dynamic programming is exact as long as it keeps all frontiers and the bound does not bind. Where it binds, each
    item of the weights has a price, found by bisection, at which the plan fits (Everett, Generalized Lagrange
    multiplier method, Operations Research 1963: no plan that weighs less is faster than this one by more than the price
    of what it weighs less). Both are improved then by coordinate descent: from that plan, from the widths as they are
    and from `starts`.
    """
    places = frontiers.places
    found = frontiers.best(options, most=frontiers.most)
    if places.weights(found.widths) <= most_items:
        if found.is_exact:
            return found
    else:
        found = _priced(frontiers, options, most_items, found)
    fitting = [start for start in (found.widths, places.widths, *starts) if places.weights(start) <= most_items]
    until_s = monotonic() + LIMIT_S
    tried = [descend(frontiers, options, most_items, start, until_s) for start in dict.fromkeys(fitting)]
    return min(tried, key=lambda one: one.seconds)


def descend(
    frontiers: Frontiers, options: Options, most_items: int, start: Widths, until_s: float = float("inf")
) -> Found:
    """Coordinate descent: every group, and every two that follow each other, take their best widths while all others
    stay as they are, until nothing gets faster or the clock shows `until_s`."""
    best = Found(start, frontiers.seconds(start), False)
    count = len(start)
    for _ in range(_SWEEPS):
        before = best.seconds
        for free in range(1, _TOGETHER + 1):
            for first in range(count - free + 1):
                if monotonic() > until_s:
                    return best
                around = tuple(
                    options[group] if first <= group < first + free else (width,)
                    for group, width in enumerate(best.widths)
                )
                tried = frontiers.best(around)
                if tried.seconds < best.seconds and frontiers.places.weights(tried.widths) <= most_items:
                    best = Found(tried.widths, tried.seconds, False)
        if best.seconds >= before:
            break
    return best


def _priced(frontiers: Frontiers, options: Options, most_items: int, heavy: Found) -> Found:
    """The plan at the least price of an item at which the weights fit; `heavy` is that at no price."""
    places = frontiers.places
    low, high = 0.0, heavy.seconds / max(most_items, 1)
    few = frontiers.most // 4 + 1
    found = frontiers.best(options, high, few)
    while places.weights(found.widths) > most_items and high < 1.0:
        low, high = high, 8 * high
        found = frontiers.best(options, high, few)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = frontiers.best(options, middle, few)
        if places.weights(tried.widths) <= most_items:
            high, found = middle, tried
        else:
            low = middle
    return Found(found.widths, found.seconds, False)
