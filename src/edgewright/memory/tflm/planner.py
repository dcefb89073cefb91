"""TFLM's greedy planner: buffers by falling size, each in the first gap that is large enough.

Replayed so that the head of the arena is known to the byte (GreedyMemoryPlanner of tflite-micro). Buffers that come
with an offset of their own (planned offline) keep it, and are taken first.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

ONLINE = -1
"""The offset of a buffer that the runtime places by itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """A buffer that the planner is asked for: its size, the first and the last moment of its life, both included."""

    name: str
    size_bytes: int
    first: int
    last: int
    offset_bytes: int = ONLINE
    is_scratch: bool = False

    def meets(self, other: "Request") -> bool:
        """Whether both live at the same time."""
        return self.first <= other.last and other.first <= self.last


def greedy_offsets(requests: Sequence[Request]) -> tuple[int, ...]:
    """The offset of each buffer, as TFLM places them."""
    offsets = [request.offset_bytes for request in requests]
    fixed = [index for index, request in enumerate(requests) if request.offset_bytes != ONLINE]
    # Online buffers are collected from the last to the first, and sorted by size in a stable manner.
    online = [index for index in range(len(requests) - 1, -1, -1) if requests[index].offset_bytes == ONLINE]
    online.sort(key=lambda index: -requests[index].size_bytes)
    placed: list[tuple[int, int, int]] = []
    for rank, index in enumerate((*fixed, *online)):
        if offsets[index] == ONLINE:
            offsets[index] = _first_gap(requests, placed, requests[index])
        insort(placed, (offsets[index], rank, index))
    return tuple(offsets)


def head_bytes(requests: Sequence[Request], offsets: Sequence[int]) -> int:
    """The end of the highest buffer."""
    return max((offset + one.size_bytes for one, offset in zip(requests, offsets, strict=True)), default=0)


def lifetimes_bound(requests: Sequence[Request]) -> int:
    """The most bytes that live at once: no plan can do with less."""
    change: dict[int, int] = {}
    for one in requests:
        change[one.first] = change.get(one.first, 0) + one.size_bytes
        change[one.last + 1] = change.get(one.last + 1, 0) - one.size_bytes
    live = most = 0
    for moment in sorted(change):
        live += change[moment]
        most = max(most, live)
    return most


def _first_gap(requests: Sequence[Request], placed: Sequence[tuple[int, int, int]], wanted: Request) -> int:
    """The lowest offset where `wanted` fits before the next buffer that lives with it, else behind all of those."""
    candidate = 0
    for offset, _, index in placed:
        other = requests[index]
        if not other.meets(wanted):
            continue
        if offset - candidate >= wanted.size_bytes:
            break
        candidate = max(candidate, offset + other.size_bytes)
    return candidate
