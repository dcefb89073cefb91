"""The arena and the packing of a memory pattern: laws on random sequences, and figures worked out by hand."""

from hypothesis import given
from hypothesis import strategies as st

from edgewright.memory.onnxruntime.arena import LEAST_SPLIT_BYTES, PAGE, Arena
from edgewright.memory.onnxruntime.replay import packed

MIB = 1 << 20


@st.composite
def traces(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Allocations by name and size, each released later by a size of 0 or never."""
    live: list[str] = []
    trace: list[tuple[str, int]] = []
    for index in range(draw(st.integers(1, 30))):
        if live and draw(st.booleans()):
            trace.append((live.pop(draw(st.integers(0, len(live) - 1))), 0))
        else:
            live.append(f"t{index}")
            trace.append((live[-1], draw(st.integers(1, 3 * MIB))))
    return trace


def test_the_first_region_doubles_until_it_holds_the_first_block() -> None:
    arena = Arena()
    arena.allocate("a", 3 * MIB)
    assert [size for _, size in arena.regions] == [4 * MIB]
    arena.allocate("b", 3 * MIB)
    arena.allocate("c", 3 * MIB)
    assert [size for _, size in arena.regions] == [4 * MIB, 4 * MIB, 8 * MIB]


def test_only_what_was_written_is_resident_and_a_table_beside_it() -> None:
    arena = Arena()
    arena.allocate("a", 3 * MIB)
    arena.release("a")
    arena.allocate("b", MIB)
    assert arena.touched_bytes == 3 * MIB
    assert arena.table_bytes == 4 * MIB // 32


def test_the_smallest_free_chunk_that_fits_is_taken() -> None:
    arena = Arena(16 * MIB)
    for name, size in (("a", 4), ("gap1", 1), ("b", 2), ("gap2", 1)):
        arena.allocate(name, size * MIB)
    start = arena.used["b"][0]
    arena.release("a")
    arena.release("b")
    assert arena.allocate("c", 2 * MIB - 100) == start


@given(traces())
def test_blocks_never_overlap_and_free_neighbours_are_joined(trace: list[tuple[str, int]]) -> None:
    arena = Arena()
    resident = 0
    for name, size in trace:
        arena.allocate(name, size) if size else arena.release(name)
        assert arena.resident_bytes >= resident
        resident = arena.resident_bytes
        spans = sorted([*arena.used.values(), *((start, size) for size, start in arena.free)])
        ends = [start + size for start, size in spans]
        assert all(end <= start for end, (start, _) in zip(ends, spans[1:], strict=False))
        assert sum(size for _, size in spans) == sum(size for _, size in arena.regions)
    for name in list(arena.used):
        arena.release(name)
    assert sorted(arena.free) == sorted((size, start) for start, size in arena.regions)


@given(traces())
def test_a_pattern_gives_live_blocks_places_of_their_own(trace: list[tuple[str, int]]) -> None:
    offsets, peak = packed(trace)
    live: dict[str, int] = {}
    most = 0
    for name, size in trace:
        if size == 0:
            del live[name]
            continue
        start = offsets[name]
        assert all(start >= offsets[other] + live[other] or start + size <= offsets[other] for other in live)
        live[name] = size
        most = max(most, sum(live.values()))
        assert start + size <= peak
    assert peak >= most


def test_a_pattern_takes_the_smallest_gap_and_the_free_end_is_one() -> None:
    made = [("a", 256), ("b", 1024), ("c", 256), ("d", 512), ("b", 0), ("d", 0)]
    offsets, size = packed([*made, ("e", 512), ("f", 512), ("g", 1024)])
    assert (offsets["e"], offsets["f"]) == (1536, 256)
    assert (offsets["g"], size) == (2048, 3072)


def test_pages_are_counted_once() -> None:
    arena = Arena()
    arena.touch(0, 10)
    arena.touch(5, PAGE)
    arena.touch(3 * PAGE, 4 * PAGE)
    assert arena.touched_bytes == 2 * PAGE
    arena.touch(0, 4 * PAGE)
    assert arena.touched_bytes == 4 * PAGE


def test_a_chunk_of_less_than_twice_the_size_is_split_only_where_that_was_asked_for() -> None:
    for most_dead, regions in ((128 * MIB, 2), (LEAST_SPLIT_BYTES, 1)):
        arena = Arena(4 * MIB, most_dead)
        arena.allocate("a", 3 * MIB)
        arena.allocate("b", MIB)
        arena.release("a")
        arena.allocate("c", 2 * MIB)
        arena.allocate("d", MIB)
        assert len(arena.regions) == regions
