"""First regions of arenas: what one replay tells of other sizes is what their own would."""

from hypothesis import given
from hypothesis import strategies as st
from tests.memory.onnxruntime.test_arena import traces

from edgewright.memory.onnxruntime.arena import PAGE
from edgewright.memory.onnxruntime.planner import Event
from edgewright.memory.onnxruntime.regions import Regions, best_region
from edgewright.memory.onnxruntime.replay import Trace, arena_peak

SIZES = st.lists(
    st.integers(1, 6000).map(lambda pages: pages * PAGE) | st.integers(1, 1 << 25), min_size=1, max_size=12
)


def as_events(trace: list[tuple[str, int]]) -> list[Event]:
    return [Event(step, name, size, "tensor") for step, (name, size) in enumerate(trace)]


@given(traces(), SIZES, st.sampled_from((0, 1024, 5000)))
def test_sizes_that_share_a_replay_have_what_their_own_would_tell(
    trace: list[tuple[str, int]], sizes: list[int], kept: int
) -> None:
    regions = Regions(as_events(trace))
    for size in sizes:
        own = arena_peak(regions.trace, size, kept_bytes=kept)
        assert regions.resident_bytes(size, kept) == own.resident_bytes
    assert sum(map(len, regions.replayed.values())) <= len(set(sizes))


@given(traces(), SIZES, st.integers(0, 1 << 26))
def test_what_stops_early_is_over_the_limit_and_all_else_is_exact(
    trace: list[tuple[str, int]], sizes: list[int], most: int
) -> None:
    events = as_events(trace)
    regions = Regions(events)
    for size in sizes:
        whole, found = Regions(events).peak(size), regions.peak(size, most)
        assert found == whole if whole <= most else found > most


@given(traces())
def test_runs_after_one_that_leaves_the_arena_as_it_was_change_nothing(trace: list[tuple[str, int]]) -> None:
    made = Trace.of(as_events(trace))
    assert arena_peak(made, 1 << 30, runs=2).resident_bytes == arena_peak(made, 1 << 30, runs=1).resident_bytes


@given(st.lists(traces(), min_size=1, max_size=3))
def test_the_best_region_is_no_worse_than_an_endless_one(traced: list[list[tuple[str, int]]]) -> None:
    runs = [Regions(as_events(trace)) for trace in traced]
    best = best_region(runs, 6)
    written = max(run.resident_bytes(1 << 40) - (1 << 40) // 32 for run in runs)
    assert max(run.peak(best) for run in runs) <= 2 * written + best // 32 + 64 * PAGE
    assert best == best_region(runs, 6)
