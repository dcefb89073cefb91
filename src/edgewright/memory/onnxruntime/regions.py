"""The first region of an arena: what stays resident with one of each size, and which is best."""

from collections.abc import Sequence
from itertools import product

from edgewright.memory.onnxruntime.arena import PAGE, Arena
from edgewright.memory.onnxruntime.planner import Event
from edgewright.memory.onnxruntime.replay import Trace, arena_peak

_SHARES = (*(0.4 + 0.025 * i for i in range(32)), 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.3, 2.6, 3.0)
"""Sizes of a first region that are tried, by what is written of one that never ends."""
_SPARE_BYTES, _SMALL_REGION = 4 * PAGE, 1 << 20
"""What the arena of a small network may need beyond what is predicted."""
_KEPT_BYTES, _KEPT_SHARE, _MOST_KEPT_BYTES = 1024, 128, 16 * 1024
_ENDLESS = 1 << 40


class Regions:
    """Events replayed in arenas with first regions of many sizes, once for all sizes that go the same way.

    Methods that are given `most_bytes` may stop where that is exceeded: they tell exact figures up to it, and some
    larger one otherwise.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.trace = Trace.of(events)
        self.replayed: dict[tuple[int, int], list[Arena]] = {}

    def resident_bytes(self, size_bytes: int, kept_bytes: int = 0, most_bytes: int = _ENDLESS) -> int:
        """What becomes resident in runs, where so much of the region is taken from loading on."""
        arena = self.arena(size_bytes, kept_bytes, most_bytes)
        return arena.resident_bytes - arena.own_table_bytes() + arena.own_table_bytes(size_bytes)

    def arena(self, size_bytes: int, kept_bytes: int = 0, most_bytes: int = _ENDLESS) -> Arena:
        """The arena with a first region of that size, or one of another size that went the same way."""
        known = self.replayed.setdefault((kept_bytes, size_bytes % PAGE), [])
        arena = next((one for one in known if one.same_from <= size_bytes < one.same_below), None)
        if arena is None:
            arena = arena_peak(self.trace, size_bytes, kept_bytes=kept_bytes, most_bytes=most_bytes)
            if arena.resident_bytes <= most_bytes:
                known.append(arena)
        return arena

    def peak(self, size_bytes: int, most_bytes: int = _ENDLESS) -> int:
        """What becomes resident in the worst case.

        Kernels of some networks keep a little in the arena from loading on, which may just spoil a region that fits:
        the more the larger the network is.
        """
        most = self.resident_bytes(size_bytes, 0, most_bytes)
        for kept in (_KEPT_BYTES, min(most // _KEPT_SHARE, _MOST_KEPT_BYTES)):
            if most <= most_bytes:
                most = max(most, self.resident_bytes(size_bytes, kept, most_bytes))
        return most

    def best_sizes(self, count: int) -> list[int]:
        """The sizes that leave least."""
        written = self.arena(_ENDLESS).touched_bytes
        sizes = {-(-int(share * written) // PAGE) * PAGE + 5 * PAGE for share in _SHARES}
        best: list[tuple[int, int]] = []
        for size in sorted(sizes, reverse=True):
            most = best[-1][0] if len(best) == count else _ENDLESS
            best = sorted([*best, (self.resident_bytes(size, 0, most), size)])[:count]
        return [size for _, size in best]


def best_region(runs: Sequence[Regions], count: int) -> int:
    """The size of an arena's first region that leaves the least resident, in the worst of some sequences of events.

    A region a good deal larger than what is written of it fragments least, as its end is never the best fit. A small
    one is also looked at with some pages less: where a few tensors more than predicted do not fit, the arena takes
    a second region for them. So many sizes are tried in all runs, those that leave least in the first one.
    """
    best, least = 0, _ENDLESS
    for size in runs[0].best_sizes(count):
        tried = {size, size - _SPARE_BYTES if _SPARE_BYTES < size < _SMALL_REGION else size}
        most = 0
        for run, one in product(runs, tried):
            most = max(most, run.peak(one, least))
            if most >= least:
                break
        else:
            best, least = size, most
    return best
