"""ONNX Runtime's arena (`BFCArena`): best fit with coalescing, in regions that are never given back.

Regions grow by doubling (`kNextPowerOfTwo`). Only what was once written of a region is resident, and a table beside
it, 8 bytes for every 256 of the region.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

_GRAIN = 256
_FIRST_REGION = 1 << 20
_MOST_DOUBLED = 1 << 30
_MOST_DEAD = 128 << 20
LEAST_SPLIT_BYTES = _GRAIN
"""`max_dead_bytes_per_chunk` of the settings `arena`: a chunk that is larger than what is asked for is always split."""
_TABLE_SHARE = 32
PAGE = 4096
_LOWEST = -(1 << 62)


class Arena:
    """The state of the arena over several runs; addresses are virtual, with a wide gap between regions.

    Where chunks are always split, first regions from `same_from` bytes to below `same_below` would have gone the same
    way: their free end compares in the same way with all that was asked for, and with all that was taken.
    """

    def __init__(self, first_region_bytes: int = _FIRST_REGION, most_dead_bytes: int = _MOST_DEAD) -> None:
        self.first_region_bytes = self.next_region_bytes = first_region_bytes
        self.same_from, self.same_below = 0, 1 << 62
        self.most_dead_bytes = most_dead_bytes
        self.regions: list[tuple[int, int]] = []
        self.free: list[tuple[int, int]] = []
        self.free_at: dict[int, int] = {}
        self.free_end: dict[int, int] = {}
        self.used: dict[str, tuple[int, int]] = {}
        self.touched: list[tuple[int, int]] = []
        self.touched_bytes = 0
        self.table_bytes = 0
        self.loaded = (0, 0)
        self.kept: frozenset[str] = frozenset()

    @property
    def resident_bytes(self) -> int:
        """Bytes that became resident since loading."""
        return self.written_bytes + self.table_bytes - self.loaded[1]

    @property
    def written_bytes(self) -> int:
        """Bytes that were written for the first time since loading."""
        return self.touched_bytes - self.loaded[0]

    def own_table_bytes(self, first_region_bytes: int | None = None) -> int:
        """Bytes of the table of the first region, or of one of another size, where runs and not loading made it."""
        size = self.first_region_bytes if first_region_bytes is None else first_region_bytes
        return size // _TABLE_SHARE if self.table_bytes and not self.loaded[1] else 0

    def load(self, sizes_bytes: Iterable[tuple[int, bool]]) -> None:
        """Allocates what is needed while a network is loaded, each with whether it stays."""
        for number, (size, stays) in enumerate(sizes_bytes):
            self.allocate(f"kept {number}", size)
            if not stays:
                self.release(f"kept {number}")
        self.kept = frozenset(self.used)
        self.loaded = (self.touched_bytes, self.table_bytes)

    def end_run(self) -> None:
        """Releases what a run left to the caller."""
        for name in self.used.keys() - self.kept:
            self.release(name)

    def allocate(self, name: str, size_bytes: int, is_written: bool = True) -> int:
        """`BFCArena::AllocateRawInternal`: the smallest free chunk that fits, at the lowest address; its address."""
        size = max(_GRAIN, -(-size_bytes // _GRAIN) * _GRAIN)
        found = bisect_left(self.free, (size, _LOWEST))
        if found == len(self.free):
            self.extend(size)
            found = bisect_left(self.free, (size, _LOWEST))
        self.compare(found, size)
        have, start = self.free.pop(found)
        del self.free_at[start], self.free_end[start + have]
        taken = size if have >= 2 * size or have - size >= self.most_dead_bytes else have
        if taken < have:
            self.put(start + taken, have - taken)
        self.used[name] = (start, taken)
        if is_written:
            self.touch(start, start + size_bytes)
        return start

    def release(self, name: str) -> None:
        """`FreeAndMaybeCoalesce`: joined with its free neighbours in the same region."""
        start, size = self.used.pop(name)
        after = self.free_at.get(start + size)
        if after is not None:
            self.forget(start + size)
            size += after
        before = self.free_end.get(start)
        if before is not None:
            self.forget(before)
            size += start - before
            start = before
        self.put(start, size)

    def extend(self, size: int) -> None:
        """`BFCArena::Extend` with `kNextPowerOfTwo`."""
        grown = False
        while size > self.next_region_bytes:
            self.next_region_bytes *= 2
            grown = True
        region = self.next_region_bytes
        if grown or self.regions:
            self.same_from, self.same_below = self.first_region_bytes, self.first_region_bytes + 1
        if not grown:
            self.next_region_bytes = min(2 * region, max(_MOST_DOUBLED, region))
        # later regions lie below earlier ones, as mmap hands out addresses
        start = -sum(length for _, length in self.regions) - region - len(self.regions) * PAGE
        self.regions.append((start, region))
        self.table_bytes += region // _TABLE_SHARE
        self.put(start, region)

    def compare(self, found: int, size: int) -> None:
        """Notes which sizes of the first region, whose end is at address 0, would let this chunk be taken as well."""
        have, start = self.free[found]
        end = self.free_end.get(0, 0)
        before = self.first_region_bytes + end
        if start == end:
            self.same_from = max(self.same_from, before + size)
            if found + 1 < len(self.free):
                self.same_below = min(self.same_below, before + self.free[found + 1][0])
        elif -end >= have:
            self.same_from = max(self.same_from, before + have)
        else:
            self.same_below = min(self.same_below, before + size)

    def put(self, start: int, size: int) -> None:
        insort(self.free, (size, start))
        self.free_at[start] = size
        self.free_end[start + size] = start

    def forget(self, start: int) -> None:
        size = self.free_at.pop(start)
        del self.free_end[start + size]
        self.free.pop(bisect_left(self.free, (size, start)))

    def touch(self, start: int, stop: int) -> None:
        """Counts pages that are written for the first time."""
        start, stop = start // PAGE * PAGE, -(-stop // PAGE) * PAGE
        at = bisect_left(self.touched, (start + 1, start))
        if at and self.touched[at - 1][1] >= start:
            if self.touched[at - 1][1] >= stop:
                return
            at -= 1
        last = at
        while last < len(self.touched) and self.touched[last][0] <= stop:
            low, high = self.touched[last]
            start, stop = min(start, low), max(stop, high)
            self.touched_bytes -= high - low
            last += 1
        self.touched[at:last] = [(start, stop)]
        self.touched_bytes += stop - start
