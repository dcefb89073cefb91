"""Networks fitted to an arena: budgets are kept, work is bounded, and what can't be met is said."""

import pytest
from tests.micro_networks import vision

from edgewright.errors import BudgetError
from edgewright.formats.tflite import read
from edgewright.graph.edits import apply
from edgewright.graph.padding import same_or_valid
from edgewright.graph.types import Graph
from edgewright.memory.tflm import DEVICE, HOST, predict_arena
from edgewright.memory.tflm.price import arena_estimate
from edgewright.memory.tflm.verify import overwritten
from edgewright.tiling.fit_to_arena import ArenaFit, ArenaTarget, fit_arena
from edgewright.tiling.rates import network_macs

TARGET = ArenaTarget(HOST, same_or_valid, most_work=1.3)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read(vision(80))


@pytest.fixture(scope="module")
def least(graph: Graph) -> ArenaFit:
    return fit_arena(graph, None, TARGET)


def test_a_network_that_fits_stays_as_it_is(graph: Graph) -> None:
    before = predict_arena(graph)
    found = fit_arena(graph, before.arena_bytes, TARGET)
    assert (found.edits, found.offsets, found.after) == ((), {}, before)


def test_the_least_arena_is_far_below_and_costs_little_work(graph: Graph, least: ArenaFit) -> None:
    found = least
    assert found.after.arena_bytes < 0.85 * found.before.arena_bytes
    assert found.after.tail_bytes > found.before.tail_bytes
    assert apply(graph, found.edits) == found.graph
    assert network_macs(found.graph) <= 1.3 * network_macs(graph)
    assert overwritten(found.graph, found.offsets, found.after.head_bytes) == ()


def test_budgets_between_are_kept_with_no_more_work_than_needed(graph: Graph, least: ArenaFit) -> None:
    before = least.before.arena_bytes
    budget = (before + least.after.arena_bytes) // 2
    found = fit_arena(graph, budget, TARGET)
    assert found.after.arena_bytes <= budget
    assert found.time_ratio <= least.time_ratio


def test_a_budget_that_can_not_be_met_says_what_can(graph: Graph, least: ArenaFit) -> None:
    with pytest.raises(BudgetError, match="the least arena") as caught:
        fit_arena(graph, 4000, TARGET, "net.tflite")
    told = int(str(caught.value).rsplit("(", 1)[1].split()[0])
    assert told == least.after.arena_bytes
    assert "net.tflite" in str(caught.value)


def test_tensors_that_must_stay_apart_do(graph: Graph, least: ArenaFit) -> None:
    apart = fit_arena(graph, None, ArenaTarget(HOST, same_or_valid, share=False, most_work=1.3))
    assert apart.shared == ()
    assert least.after.arena_bytes <= apart.after.arena_bytes


def test_the_quick_price_is_never_above_the_careful_one(graph: Graph) -> None:
    for build in (HOST, DEVICE):
        quick = arena_estimate(graph, build, share=False)
        assert quick <= predict_arena(graph, build).used_bytes
        assert arena_estimate(graph, build, share=True) <= quick
