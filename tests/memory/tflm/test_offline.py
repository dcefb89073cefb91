"""Places for buffers: the runtime's own planner, better orders, and the exact search."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from edgewright.memory.tflm.offline import placed
from edgewright.memory.tflm.packing import Packing, lives_at_once
from edgewright.memory.tflm.planner import Request, greedy_offsets, head_bytes, lifetimes_bound
from edgewright.memory.tflm.sharing import Block, Part
from edgewright.memory.tflm.stacking import stacked


@st.composite
def requests(draw: st.DrawFn, most: int = 12) -> list[Request]:
    found = []
    for index in range(draw(st.integers(1, most))):
        first = draw(st.integers(0, 8))
        size = 16 * draw(st.integers(1, 12))
        found.append(Request(f"b{index}", size, first, first + draw(st.integers(0, 4))))
    return found


def block(one: Request) -> Block:
    return Block({one.name: 0}, (Part(one.name, 0, one.size_bytes, one.first, one.last),), one.size_bytes)


def overlaps(found: list[Request], offsets: tuple[int, ...]) -> bool:
    rows = list(zip(found, offsets, strict=True))
    return any(
        one.meets(other) and a < b + other.size_bytes and b < a + one.size_bytes
        for i, (one, a) in enumerate(rows)
        for other, b in rows[:i]
    )


@given(requests())
def test_plans_are_valid_and_no_worse_than_the_runtimes(found: list[Request]) -> None:
    greedy = greedy_offsets(found)
    better = placed([block(one) for one in found])
    assert not overlaps(found, greedy)
    assert not overlaps(found, better)
    assert lifetimes_bound(found) == lives_at_once([block(one) for one in found])
    assert lifetimes_bound(found) <= head_bytes(found, better) <= head_bytes(found, greedy)


@given(requests(most=5))
def test_the_exact_search_finds_the_least_head(found: list[Request]) -> None:
    packing = Packing([block(one) for one in found])
    best = min(packing.head(packing.first_fit(order)) for order in permutations(range(len(found))))
    exact = stacked(found, best, 100_000)
    assert exact is not None
    assert not overlaps(found, exact)
    assert head_bytes(found, exact) <= best
    assert stacked(found, best - 16, 100_000) is None


def test_offsets_that_are_given_are_kept_and_gaps_between_them_filled() -> None:
    found = [Request("a", 32, 0, 2, 0), Request("b", 32, 0, 2, 64), Request("c", 32, 1, 1), Request("d", 48, 1, 1)]
    assert greedy_offsets(found) == (0, 64, 32, 96)


def test_equal_buffers_go_from_the_last_to_the_first() -> None:
    found = [Request("a", 16, 0, 1), Request("b", 16, 0, 1), Request("c", 32, 1, 2)]
    assert greedy_offsets(found) == (48, 32, 0)


def test_a_case_that_greedy_by_size_gets_wrong() -> None:
    sizes = ((48, 0, 1), (16, 0, 0), (32, 1, 2), (32, 2, 3), (48, 3, 4))
    found = [Request(str(i), *row) for i, row in enumerate(sizes)]
    assert head_bytes(found, placed([block(one) for one in found])) == lifetimes_bound(found) == 80
