"""The choice of widths: against brute force, its bounds, and the staircase."""

from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from tests.tiling.models import chain, residual
from tests.widths.devices import SteppedDevice

from edgewright.compression.choice import Knapsack, losses_of, ranking, share_of, values_of
from edgewright.compression.objective import STEERS, Objective
from edgewright.errors import BudgetError
from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.timing.model import ExecutionTimeModel


def objective(model: Any, steer: str = "time", block: int = 4) -> Objective:
    graph = read(model)
    device = cast(ExecutionTimeModel, SteppedDevice(block))
    return Objective.of(graph, find_groups(graph), device, block, steer)


def knapsack(aim: Objective, share: float, seed: int = 0, power: float = 3.0) -> Knapsack:
    random = np.random.default_rng(seed)
    values = values_of(losses_of([sorted(random.random(width) ** power) for width in aim.original]))
    return Knapsack(aim, values, share * aim.cost(aim.original), (1,) * len(aim.original))


def best_kept(sack: Knapsack) -> float:
    rows = list(product(*sack.options))
    costs = sack.objective.all_costs(rows)
    return max(sack.kept(row) for row, cost in zip(rows, costs, strict=True) if cost <= sack.limit)


NETWORKS = {
    "chain": lambda: chain((3, 1), (3, 1), (1, 1), channels=16),
    "strided": lambda: chain((3, 1), (3, 2), "pool", (3, 1), channels=12),
    "residual": lambda: residual(16),
}


@pytest.mark.parametrize("steer", STEERS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_options_keep_more_than_it(name: str, share: float, steer: str) -> None:
    sack = knapsack(objective(NETWORKS[name](), steer), share)
    found = sack.choose()
    best = share_of(best_kept(sack))
    assert found.cost <= sack.limit
    assert found.cost == pytest.approx(sack.objective.cost(found.widths))
    assert found.kept >= best - 1e-9
    assert found.bound >= found.kept - 1e-9
    assert found.bound >= best - 1e-9 or found.kept > best


@pytest.mark.parametrize("steer", STEERS)
def test_costs_of_many_plans_are_those_of_the_search(steer: str) -> None:
    aim = objective(residual(12), steer)
    for widths in product(*(options[:3] for options in aim.options((1,) * len(aim.original)))):
        own = aim.frontiers.seconds(widths) if steer != "parameters" else aim.places.weights(widths)
        assert aim.cost(widths) == pytest.approx(own)


def test_no_width_costs_as_much_as_a_wider_one() -> None:
    sack = knapsack(objective(chain((3, 1), (3, 1), (3, 1), channels=32), block=8), 0.4)
    found = sack.choose().widths
    for group, width in enumerate(found):
        if width < sack.objective.original[group]:
            wider = (*found[:group], width + 1, *found[group + 1 :])
            assert sack.objective.cost(wider) > sack.limit


def test_wider_where_wider_is_faster() -> None:
    sack = knapsack(objective(chain((3, 1), (3, 1), channels=31), block=8), 1.0)
    found = sack.choose()
    assert found.kept == pytest.approx(1.0)
    assert all(width >= 31 for width in found.widths)
    assert max(found.widths) == 32


def test_a_limit_below_the_narrowest_network_is_refused() -> None:
    sack = knapsack(objective(NETWORKS["chain"]()), 0.5)
    sack.limit = 0.9 * min(sack.objective.all_costs(list(product(*sack.options))))
    with pytest.raises(BudgetError, match="no widths cost"):
        sack.choose()


def test_what_else_is_bounded_fits() -> None:
    aim = objective(chain((3, 1), (3, 1), (1, 1), channels=32))
    sack = knapsack(aim, 0.8)
    most, least = aim.peak_bytes(sack.choose().widths), aim.peak_bytes((1,) * len(sack.options))
    assert least < most
    limit = (least + most) // 2
    sack.fits = lambda widths: aim.peak_bytes(widths) <= limit
    found = sack.choose()
    assert aim.peak_bytes(found.widths) <= limit
    assert found.cost <= sack.limit
    sack.fits = lambda _: False
    with pytest.raises(BudgetError, match="memory"):
        sack.choose()


def test_importance_as_shares_and_ranks() -> None:
    values = values_of(losses_of([[1.0, 3.0], [4.0], [0.0, 0.0]]))
    assert [own[-1] for own in values] == pytest.approx([1 / 3] * 3)
    assert share_of(values[0][1] + values[1][1] + values[2][1]) == pytest.approx(0.75 ** (1 / 3))
    assert share_of(1.0) == 1.0
    assert all(own[0] == pytest.approx(0.0) for own in values[:2])
    assert ranking({"a": [1.0, 3.0, 1.0]}) == {"a": [1, 0, 2]}
