"""Blocks of bytes with lifetimes, put into an arena one after the other."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from edgewright.memory.tflm.sharing import Block
from edgewright.memory.tflm.structures import aligned

Ints = npt.NDArray[np.int64]


class Packing:
    """Blocks to place: for each a row for every part of it, with start, stop, first and last moment."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.parts: list[Ints] = [
            np.array([(part.start, part.stop, part.first, part.last) for part in one.parts], np.int64) for one in blocks
        ]
        self.heights = [_padded_size(one) for one in blocks]
        self.firsts: Ints = np.array([one.first for one in blocks], np.int64)
        self.lasts: Ints = np.array([one.last for one in blocks], np.int64)

    def first_fit(self, order: Sequence[int]) -> tuple[int, ...]:
        """Each block at the lowest place, a multiple of 16, where no byte of it meets another that lives with it."""
        starts = [0] * len(self.blocks)
        taken: Ints = np.empty((sum(len(rows) for rows in self.parts), 4), np.int64)
        count = 0
        for index in order:
            rows = self.parts[index]
            starts[index] = start = _lowest(rows, taken[:count])
            taken[count : count + len(rows)] = rows
            taken[count : count + len(rows), :2] += start
            count += len(rows)
        return tuple(starts)

    def head(self, starts: Sequence[int]) -> int:
        """The end of the highest block, tensors being padded as the runtime pads them."""
        return max((start + size for start, size in zip(starts, self.heights, strict=True)), default=0)

    def highest(self, starts: Sequence[int]) -> int:
        return max(range(len(starts)), key=lambda index: starts[index] + self.heights[index])

    def neighbours(self, index: int) -> list[int]:
        """Blocks that live at some time when this one does."""
        meets = (self.firsts <= self.lasts[index]) & (self.firsts[index] <= self.lasts)
        return [int(i) for i in np.flatnonzero(meets) if i != index]


def lives_at_once(blocks: Sequence[Block]) -> int:
    """The most bytes that live at one moment; bytes that several parts of a block share count once."""
    return max(live_bytes(blocks).values(), default=0)


def live_bytes(blocks: Sequence[Block]) -> dict[int, int]:
    """Bytes that live from each moment on at which that changes."""
    change: dict[int, int] = {}
    for one in blocks:
        moments = sorted({part.first for part in one.parts} | {part.last + 1 for part in one.parts})
        before = 0
        for moment in moments:
            held = _union([(part.start, part.stop) for part in one.parts if part.first <= moment <= part.last])
            change[moment] = change.get(moment, 0) + held - before
            before = held
    moments = sorted(change)
    return dict(zip(moments, accumulate(change[moment] for moment in moments), strict=True))


def _lowest(rows: Ints, taken: Ints) -> int:
    """The lowest start of a block with these parts beside the parts that are taken."""
    lows, highs = [], []
    for start, stop, first, last in rows.tolist():
        rivals = taken[(taken[:, 2] <= last) & (taken[:, 3] >= first)]
        lows.append(rivals[:, 0] - stop)
        highs.append(rivals[:, 1] - start)
    low, high = np.concatenate(lows), np.concatenate(highs)
    keep = high > 0
    low, high = low[keep], high[keep]
    found = 0
    for index in np.argsort(low, kind="stable").tolist():
        if low[index] >= found:
            break
        if high[index] > found:
            found = aligned(int(high[index]))
    return found


def _padded_size(block: Block) -> int:
    stops: dict[str, int] = {}
    for part in block.parts:
        stops[part.tensor] = max(stops.get(part.tensor, 0), part.stop)
    return max((block.starts[name] + aligned(stop - block.starts[name]) for name, stop in stops.items()), default=0)


def _union(ranges: list[tuple[int, int]]) -> int:
    total, reach = 0, 0
    for start, stop in sorted(ranges):
        total += max(stop - max(start, reach), 0)
        reach = max(reach, stop)
    return total
