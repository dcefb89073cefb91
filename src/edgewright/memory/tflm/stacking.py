"""Exact placement of buffers in a given capacity, by depth-first search with a limit."""

from collections.abc import Sequence

from edgewright.memory.tflm.planner import Request


def stacked(requests: Sequence[Request], capacity: int, nodes: int) -> tuple[int, ...] | None:
    """Offsets that stay inside `capacity`; None where there are none, or none was found in so many `nodes`.

    A solution can always be pushed down until every buffer rests on the floor or on one that lives with it, and written
    down by rising offset. So it is enough to place buffers in that order, each on what lies below it (the canonical
    form of MiniMalloc, Moffitt, ASPLOS 2023).
    """
    search = _Search(requests, capacity, nodes)
    return tuple(search.offsets) if search.place(0, len(requests)) else None


class _Search:
    """`tops` is how high the arena is filled at each stretch of time, `waiting` what is still to be placed there."""

    def __init__(self, requests: Sequence[Request], capacity: int, nodes: int) -> None:
        self.capacity, self.nodes = capacity, nodes
        times = sorted({one.first for one in requests} | {one.last + 1 for one in requests})
        index = {time: i for i, time in enumerate(times)}
        self.spans = [(index[one.first], index[one.last + 1]) for one in requests]
        self.sizes = [one.size_bytes for one in requests]
        self.offsets = [-1] * len(requests)
        self.tops = [0] * len(times)
        self.waiting = [0] * len(times)
        for (start, stop), size in zip(self.spans, self.sizes, strict=True):
            for time in range(start, stop):
                self.waiting[time] += size

    def place(self, floor: int, left: int) -> bool:
        """Place the `left` buffers that are not placed yet at `floor` or higher."""
        if not left:
            return True
        self.nodes -= 1
        if self.nodes < 0:
            return False
        for offset, index in self.choices(floor):
            start, stop = self.spans[index]
            before = self.tops[start:stop]
            self.tops[start:stop] = [offset + self.sizes[index]] * (stop - start)
            for time in range(start, stop):
                self.waiting[time] -= self.sizes[index]
            self.offsets[index] = offset
            if self.is_possible(offset) and self.place(offset, left - 1):
                return True
            self.offsets[index] = -1
            self.tops[start:stop] = before
            for time in range(start, stop):
                self.waiting[time] += self.sizes[index]
            if self.nodes < 0:
                return False
        return False

    def choices(self, floor: int) -> list[tuple[int, int]]:
        """Buffers that may come next with their offsets, the lowest first; equal ones count once.

        In a solution where no buffer could be lower, one that rests below `floor` would have come before, and none
        comes next that leaves room for another one below it, which could be there.
        """
        found: dict[tuple[int, int, tuple[int, int]], int] = {}
        lowest_end = self.capacity + 1
        for index, offset in enumerate(self.offsets):
            if offset < 0:
                start, stop = self.spans[index]
                height = max(self.tops[start:stop])
                lowest_end = min(lowest_end, max(height, floor) + self.sizes[index])
                if height >= floor and height + self.sizes[index] <= self.capacity:
                    found.setdefault((height, -self.sizes[index], self.spans[index]), index)
        return [(key[0], index) for key, index in sorted(found.items()) if key[0] < lowest_end]

    def is_possible(self, floor: int) -> bool:
        """Whether what waits at each stretch of time still fits above what is there."""
        pairs = zip(self.tops, self.waiting, strict=True)
        return all(not waits or max(top, floor) + waits <= self.capacity for top, waits in pairs)
