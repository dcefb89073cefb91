"""Topological order that keeps to a given order where it can."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Sequence


def stable_order(reads: Sequence[Collection[str]], makes: Sequence[Collection[str]]) -> list[int]:
    """The order in which steps can run, when step i reads and makes tensors of these names.

    Of the steps that can run next it is always the first (Kahn's algorithm with a heap), so an order that is possible
    already stays. Steps on a cycle, and those behind them, are left out.
    """
    makers = {name: step for step, names in enumerate(makes) for name in names if name}
    missing: list[int] = []
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for step, names in enumerate(reads):
        before = {makers[name] for name in names if name in makers}
        missing.append(len(before))
        for maker in before:
            followers[maker].append(step)
    ready = [step for step, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        step = heapq.heappop(ready)
        order.append(step)
        for follower in followers[step]:
            missing[follower] -= 1
            if missing[follower] == 0:
                heapq.heappush(ready, follower)
    return order
