"""The search against brute force, and what it promises."""

from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import networks
from tests.tiling.models import chain, residual

from edgewright.errors import BudgetError, UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph
from edgewright.memory.liveness import lower_bound
from edgewright.tiling.dynamic import estimates
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import Rates
from edgewright.tiling.search import PlanSearch, Pricing, frontier, least_memory, search
from edgewright.tiling.space import Space

SMALL = Space(strips=(2, 4), squares=(2,), thinnest=0)
LAYERS = ((1, 1), (3, 1), (3, 2), "pool")
RATES = Rates()
SLACK_BYTES = 1024
"""What the ops may hold by which slices wait; the search does not count it."""


def every_plan(graph: Graph, space: Space) -> Iterator[TilingPlan]:
    """All plans of a search space that fit the network, by enumeration of cut points and grids."""
    cuts = outline(graph, {}).cuts
    for inner in product((False, True), repeat=len(cuts) - 2):
        bounds = [cuts[0], *(cut for cut, chosen in zip(cuts[1:-1], inner, strict=True) if chosen), cuts[-1]]
        spans = [graph.ops[a:b] for a, b in pairwise(bounds)]
        choices: list[list[FusedGroup | None]] = []
        for ops in spans:
            names = tuple(op.name for op in ops)
            groups: list[FusedGroup | None] = [None] if len(ops) == 1 else []
            last = outline(graph, {}).features[ops[-1].outputs[0]]
            for halo in space.halos:
                groups += [FusedGroup(names, grid, halo) for grid in space.grids(last, halo)]
            choices.append(groups)
        for chosen in product(*choices):
            yield TilingPlan(tuple(group for group in chosen if group is not None))


def prices(graph: Graph, space: Space) -> list[tuple[int, float]]:
    found = []
    for plan in every_plan(graph, space):
        try:
            found.append(RATES.price(apply(graph, lower(graph, plan))))
        except UnsupportedModelError:
            continue
    return found


@pytest.mark.parametrize("length", (1, 2, 3))
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_optimal_over_its_space(length: int, data: st.DataObject) -> None:
    layers = [data.draw(st.sampled_from(LAYERS)) for _ in range(length)]
    check_optimal(read(chain(*layers, size=data.draw(st.sampled_from((17, 24))))), SMALL)


@pytest.mark.parametrize(("length", "halos"), [(4, Space().halos), (5, Space().halos), (6, ("recompute", "carry"))])
def test_optimal_over_a_small_space_on_longer_chains(length: int, halos: tuple[str, ...]) -> None:
    layers = (LAYERS[1], "pool", LAYERS[1], LAYERS[2], LAYERS[0], LAYERS[1])[:length]
    check_optimal(read(chain(*layers, size=32)), Space(strips=(3,), squares=(), thinnest=0, halos=halos))


def check_optimal(graph: Graph, space: Space) -> None:
    """At every budget that makes a difference the search knows a plan as fast as the fastest there is."""
    everything = prices(graph, space)
    found = estimates(outline(graph, RATES.times(graph)), RATES, space)
    budgets = sorted({peak for peak, _ in everything})
    for budget in budgets:
        best = min(time for peak, time in everything if peak <= budget)
        known = [one.time_s for one in found if one.peak_bytes <= budget + SLACK_BYTES]
        assert known
        assert min(known) <= best * 1.02
    middle = budgets[len(budgets) // 2]
    plan = search(graph, middle + SLACK_BYTES, space=space)
    assert plan.peak_bytes <= middle + SLACK_BYTES
    assert plan.predicted_s <= 1.02 * min(time for peak, time in everything if peak <= middle)
    with pytest.raises(BudgetError):
        search(graph, budgets[0] - SLACK_BYTES, space=space)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(networks(most_ops=8, opsets=(13,)), st.floats(0.3, 1.2))
def test_a_plan_is_what_it_says(model: ModelProto, share: float) -> None:
    """It stays inside the budget, its figures are those of the rewritten network, and it costs only where it must."""
    graph = read(model)
    peak, time = RATES.price(graph)
    try:
        plan = search(graph, int(share * peak), space=SMALL)
    except BudgetError:
        assert share < 1
        return
    assert (plan.peak_bytes, plan.predicted_s) == RATES.price(apply(graph, lower(graph, plan)))
    assert plan.peak_bytes <= share * peak
    assert not plan.groups or plan.peak_bytes < peak
    assert plan.groups or plan.predicted_s == time


def test_a_budget_that_is_met_already_needs_no_groups() -> None:
    graph = read(chain((3, 1), (3, 1)))
    assert search(graph, lower_bound(graph)).groups == ()


@pytest.mark.parametrize("alike", [0.0, 0.01, 0.3])
def test_of_plans_that_take_about_as_long_the_smallest_is_taken(alike: float) -> None:
    graph = read(chain((3, 1), (3, 1), (3, 1), size=48))
    plans = PlanSearch(graph, Pricing(rates=RATES), Space())
    budget = (plans.untiled.peak_bytes + plans.smallest().peak_bytes) // 2
    exact, found = plans.fastest(budget), plans.fastest(budget, alike)
    assert exact is not None and found is not None
    assert found.peak_bytes <= exact.peak_bytes
    assert found.predicted_s <= (1 + alike) * exact.predicted_s


def test_a_budget_that_can_not_be_met_names_the_op_and_the_least_one() -> None:
    graph = read(residual(size=32))
    with pytest.raises(BudgetError, match=r"op '(c0|r0|c1|sum|c2)' stands in the way.*\((\d+) bytes\)") as error:
        search(graph, 1000)
    least = int(str(error.value).split("(")[-1].split()[0])
    assert search(graph, least).peak_bytes == least == error.value.least_bytes


def test_what_can_not_be_tiled_stands_in_the_way() -> None:
    graph = read(residual(size=48, pooled=True))
    plan = search(graph, lower_bound(graph) - 1)
    assert all("pooled" not in group.op_names for group in plan.groups)


def test_the_frontier_falls_from_the_untiled_network() -> None:
    graph = read(chain((3, 1), (3, 1), "pool", (3, 1), size=40))
    plans = frontier(graph)
    assert plans[0].groups == ()
    assert len(plans) > 3
    for faster, smaller in pairwise(plans):
        assert faster.predicted_s <= smaller.predicted_s
        assert faster.peak_bytes > smaller.peak_bytes


def test_least_memory_keeps_to_the_slowdown() -> None:
    graph = read(chain((3, 1), (3, 1), "pool", (3, 1), size=120))
    untiled_peak, untiled_s = RATES.price(graph)
    plan = least_memory(graph, 1.5)
    assert plan.peak_bytes < untiled_peak
    assert plan.predicted_s <= 1.5 * untiled_s
    assert least_memory(graph, 1.0).predicted_s <= untiled_s


def test_any_price_can_be_used() -> None:
    """A runtime that needs a fifth more than lifetimes say gets plans that are smaller by that."""
    graph = read(chain((3, 1), (3, 1), "pool", (3, 1), size=64))
    budget = lower_bound(graph) * 2 // 3

    def hungry(network: Graph) -> tuple[int, float]:
        peak, time = RATES.price(network)
        return peak * 6 // 5, time

    plan = search(graph, budget, Pricing(price=hungry))
    assert plan.peak_bytes <= budget
    assert lower_bound(apply(graph, lower(graph, plan))) <= budget * 5 // 6 + 1
