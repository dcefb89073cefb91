"""Places for buffers in an arena, better than greedy by size: the dynamic storage allocation problem.

Several orders are tried first, each buffer going to the lowest place that is free for its lifetime. Where the best of them
is above what lives at once, an exact search follows, with a limit of its own: buffers are placed by rising offset, each
resting on one that lives with it, and a branch is cut where what is still to be placed can't fit (the canonical form of
MiniMalloc, Moffitt, ASPLOS 2023). Then a hill climb over orders takes what time is left.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from edgewright.memory.tflm.planner import Request, greedy_offsets, head_bytes, lifetimes_bound
from edgewright.memory.tflm.stacking import stacked

Offsets = tuple[int, ...]

_CLIMB_STEPS = 400
_NODES = 20_000


def plan(requests: Sequence[Request], nodes: int = _NODES, climb_steps: int = _CLIMB_STEPS) -> Offsets:
    """An offset for each buffer, none over another that lives with it; the head is near `lifetimes_bound`.

    `nodes` limits the exact search and `climb_steps` the hill climb. The result is the same every time.
    """
    bound = lifetimes_bound(requests)
    neighbours = _neighbours(requests)
    best, best_head, best_order = greedy_offsets(requests), head_bytes(requests, greedy_offsets(requests)), None
    for order in _orders(requests):
        offsets = _first_fit(requests, order, neighbours)
        head = head_bytes(requests, offsets)
        if head < best_head or best_order is None:
            best, best_head, best_order = (offsets if head <= best_head else best), min(head, best_head), order
        if best_head <= bound:
            return best
    found = stacked(requests, bound, nodes)
    if found is not None:
        return found
    return _climb(requests, neighbours, list(best_order or ()), best, bound, climb_steps)


def _orders(requests: Sequence[Request]) -> Iterator[list[int]]:
    """Orders that often do well: by size, by area, by length of life, by breadth at the busiest moment, in time."""
    live: dict[int, int] = {}
    for one in requests:
        for moment in range(one.first, one.last + 1):
            live[moment] = live.get(moment, 0) + one.size_bytes
    busiest = [max(live[moment] for moment in range(one.first, one.last + 1)) for one in requests]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-busiest[i], -requests[i].size_bytes),
        lambda i: (-requests[i].size_bytes, requests[i].first),
        lambda i: (-requests[i].size_bytes * (requests[i].last - requests[i].first + 1),),
        lambda i: (requests[i].first - requests[i].last, -requests[i].size_bytes),
        lambda i: (-busiest[i], requests[i].first - requests[i].last),
        lambda i: (requests[i].first, -requests[i].size_bytes),
        lambda i: (-requests[i].last, -requests[i].size_bytes),
    )
    for key in keys:
        yield sorted(range(len(requests)), key=key)


def _neighbours(requests: Sequence[Request]) -> list[list[int]]:
    """For each buffer the others that live with it."""
    count = range(len(requests))
    return [[j for j in count if j != i and requests[i].meets(requests[j])] for i in count]


def _first_fit(requests: Sequence[Request], order: Sequence[int], neighbours: Sequence[Sequence[int]]) -> Offsets:
    """Each buffer at the lowest place that is free while it lives."""
    offsets = [-1] * len(requests)
    for index in order:
        size, candidate = requests[index].size_bytes, 0
        taken = sorted((offsets[j], offsets[j] + requests[j].size_bytes) for j in neighbours[index] if offsets[j] >= 0)
        for start, end in taken:
            if start - candidate >= size:
                break
            candidate = max(candidate, end)
        offsets[index] = candidate
    return tuple(offsets)


def _climb(
    requests: Sequence[Request],
    neighbours: Sequence[Sequence[int]],
    order: list[int],
    best: Offsets,
    bound: int,
    steps: int,
) -> Offsets:
    """Move a buffer that stands highest, or one that lives with it, forward in the order; keep what is no worse."""
    random = Random(0)
    best_head = current = head_bytes(requests, best)
    offsets = _first_fit(requests, order, neighbours)
    current = head_bytes(requests, offsets)
    for _ in range(steps):
        if best_head <= bound:
            break
        highest = max(range(len(requests)), key=lambda i: offsets[i] + requests[i].size_bytes)
        moved = random.choice([highest, *neighbours[highest]])
        trial = [index for index in order if index != moved]
        trial.insert(random.randrange(order.index(moved) + 1), moved)
        found = _first_fit(requests, trial, neighbours)
        head = head_bytes(requests, found)
        if head <= current:
            order, offsets, current = trial, found, head
        if head < best_head:
            best, best_head = found, head
    return best
