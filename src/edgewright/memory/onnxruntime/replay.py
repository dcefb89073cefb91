"""Memory that a sequence of allocations makes resident under an allocator."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgewright.memory.onnxruntime.arena import LEAST_SPLIT_BYTES, PAGE, Arena
from edgewright.memory.onnxruntime.planner import Event, is_of_loading

MMAP_THRESHOLD_BYTES = 1024
"""Blocks of at least so much are mapped by themselves in the lean settings, and given back when they are freed."""

_HEADER_BYTES = 64
_PATTERN_GRAIN = 256


@dataclass(frozen=True)
class Trace:
    """Events as an arena sees them: bytes that loading allocates, each with whether they stay, and the steps of a run,
    names with bytes; a size of 0 is a release."""

    loading: tuple[tuple[int, bool], ...]
    steps: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Trace":
        return cls(
            tuple((event.size_bytes, event.kind == "kept") for event in events if is_of_loading(event)),
            tuple((event.name, event.size_bytes) for event in events if not is_of_loading(event)),
        )


def live_bytes(events: Sequence[Event], cost: Callable[[int], int] = lambda size: size) -> Iterator[tuple[Event, int]]:
    """Bytes that live after each event, each block at its cost."""
    live: dict[str, int] = {}
    total = 0
    for event in events:
        total -= live.pop(event.name, 0)
        if event.size_bytes and not is_of_loading(event):
            live[event.name] = cost(event.size_bytes)
            total += live[event.name]
        yield event, total


def mapped_bytes(size_bytes: int) -> int:
    """Whole pages, as glibc maps a block by itself in the lean settings."""
    return -(-(size_bytes + _HEADER_BYTES) // PAGE) * PAGE


def mapped_peak(events: Sequence[Event]) -> int:
    """The peak of the lean settings: blocks that are mapped by themselves, and the heap of all smaller ones.

    The heap keeps what it once had.
    """
    mapped: list[Event] = []
    small: list[Event] = []
    in_heap: set[str] = set()
    for event in events:
        if event.size_bytes:
            is_small = event.size_bytes + _HEADER_BYTES < MMAP_THRESHOLD_BYTES
            in_heap = in_heap | {event.name} if is_small else in_heap - {event.name}
        (small if event.name in in_heap else mapped).append(event)
    most = max((total for _, total in live_bytes(mapped, mapped_bytes)), default=0)
    heap = arena_peak(Trace((), Trace.of(small).steps), 1 << 40)
    return most + heap.written_bytes


def arena_peak(
    trace: Trace,
    first_region_bytes: int | None = None,
    runs: int = 2,
    kept_bytes: int = 0,
    most_bytes: int | None = None,
) -> Arena:
    """The arena after some runs; its first region has the given size, or the one of the default settings.

    `kept_bytes` of it are taken from loading on, beside what the trace says of that. It ends where more than
    `most_bytes` are resident, and with a run that leaves the arena as it found it, as all others would be the same.
    """
    arena = Arena() if first_region_bytes is None else Arena(first_region_bytes, LEAST_SPLIT_BYTES)
    arena.load([*trace.loading, *([(kept_bytes, True)] if kept_bytes else [])])
    most = arena.touched_bytes + arena.table_bytes + most_bytes if most_bytes is not None else 1 << 62
    before = list(arena.free)
    for _ in range(runs):
        for name, size in trace.steps:
            if not size:
                arena.release(name)
                continue
            arena.allocate(name, size)
            if arena.touched_bytes + arena.table_bytes > most:
                return arena
        arena.end_run()
        if arena.free == (before or [(size, start) for start, size in arena.regions[:1]]):
            break
        before = list(arena.free)
    return arena


def pattern_peak(events: Sequence[Event]) -> Arena:
    """The arena of the default settings, after a run that is traced and one that takes all tensors in one buffer.

    The first run left its pages in the arena, and the buffer comes on top where none of its free chunks holds it.
    """
    arena = arena_peak(Trace.of(events), runs=1)
    offsets, size = packed([(event.name, event.size_bytes) for event in events if event.kind == "tensor"])
    if not size:
        return arena
    base = arena.allocate("", size, is_written=False)
    for event in events:
        if event.kind == "tensor":
            start = base + offsets[event.name]
            arena.touch(start, start + event.size_bytes)
        elif not is_of_loading(event):
            _replay(arena, event)
    return arena


def _replay(arena: Arena, event: Event) -> None:
    if event.size_bytes:
        arena.allocate(event.name, event.size_bytes)
    else:
        arena.release(event.name)


def packed(traced: Sequence[tuple[str, int]]) -> tuple[dict[str, int], int]:
    """Offsets and size of the buffer that `enable_mem_pattern` makes of a run; a size of 0 is a release.

    `MemPatternPlanner`: each allocation, in order, goes into the smallest gap that fits it, what is free at the end of
    the buffer so far among the gaps; where none fits, behind the last one that lives. Sizes are rounded up to 256.
    """
    live: list[tuple[int, int, str]] = []
    offsets: dict[str, int] = {}
    peak = 0
    for name, wanted in traced:
        size = -(-wanted // _PATTERN_GRAIN) * _PATTERN_GRAIN
        if size == 0:
            live = [one for one in live if one[2] != name]
            continue
        offset = _gap_for(live, size, peak)
        live = sorted([*live, (offset, size, name)])
        offsets[name] = offset
        peak = max(peak, offset + size)
    return offsets, peak


def _gap_for(live: Sequence[tuple[int, int, str]], size: int, end: int) -> int:
    """The start of the smallest gap that fits; the first of equal ones."""
    gaps: list[tuple[int, int]] = []
    free = 0
    for start, length, _ in live:
        gaps.append((start - free, free))
        free = start + length
    gaps.append((end - free, free))
    return min((gap for gap in gaps if gap[0] >= size), default=(0, free), key=lambda gap: gap[0])[1]
