"""Networks tiled for LiteRT: what XNNPACK takes over and the memory are as predicted, budgets are kept."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.micro_networks import vision
from tests.tflite_networks import feed, networks, run
from tests.tiling.draws import plans

from edgewright.errors import BudgetError
from edgewright.formats.tflite import edited, read
from edgewright.graph.edits import apply
from edgewright.graph.padding import same_or_valid
from edgewright.graph.types import Graph
from edgewright.memory.litert import MOST_JOINED, Delegate, Taken, predict_peak
from edgewright.profiling.local import start
from edgewright.tiling.fit_to_litert import LitertTarget
from edgewright.tiling.fit_to_memory import Wish, fit
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan

SLOW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def delegates_of(model: bytes) -> list[Delegate]:
    """What the runtime says that XNNPACK runs."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    names = {details["index"]: details["name"] for details in interpreter.get_tensor_details()}
    return [
        Delegate(*(tuple(names[index] for index in taken[side] if index in names) for side in ("inputs", "outputs")))
        for taken in interpreter._get_ops_details()
        if taken["op_name"] == "DELEGATE"
    ]


@pytest.mark.parametrize("style", ["float", "int8"])
def test_random_plans_run_as_predicted(style: str) -> None:
    @SLOW
    @given(networks(style), st.data())
    def holds(model: bytes, data: st.DataObject) -> None:
        graph = read(model)
        plan = data.draw(plans(graph, expresses=same_or_valid))
        assume(plan.groups)
        tiled = edited(model, lower(graph, plan, False, same_or_valid, MOST_JOINED))
        after, told = read(tiled), delegates_of(tiled)
        taken = Taken.of(graph, delegates_of(model))
        if not taken.refused:  # else what is not taken may lie between parts in ways that are not foreseen
            found = taken.delegates(after)
            assert sorted(sorted(one.outputs) for one in found) == sorted(sorted(one.outputs) for one in told)
            assert predict_peak(after, found).peak_bytes == predict_peak(after, told).peak_bytes
        inputs = feed(model)
        for before, now in zip(run(model, inputs, "xnnpack"), run(tiled, inputs, "xnnpack"), strict=True):
            if style == "int8":
                np.testing.assert_array_equal(now, before)
            else:
                np.testing.assert_allclose(now, before, rtol=1e-5, atol=1e-5 * float(np.abs(before).max(initial=1.0)))

    holds()


@pytest.fixture(scope="module")
def model() -> bytes:
    return vision(80)


@pytest.fixture(scope="module")
def target(model: bytes) -> LitertTarget:
    return LitertTarget(read(model), delegates_of(model), same_or_valid)


def test_many_tiles_are_joined_in_parts(model: bytes) -> None:
    graph = read(model)
    names = tuple(op.name for op in graph.ops)
    first = FusedGroup(names[1:3], (8, 1), "recompute")
    edits = lower(graph, TilingPlan((first,), names), False, same_or_valid, MOST_JOINED)
    joins = [len(op.inputs) for op in apply(graph, edits).ops if op.kind == "concat"]
    assert joins
    assert max(joins) <= MOST_JOINED
    assert sum(joins) == 8 + len(joins) - 1


def test_a_budget_is_kept_and_measured(model: bytes, target: LitertTarget, tmp_path: Path) -> None:
    before = target.peak(target.graph)
    found = fit(target.graph, Wish(int(0.8 * before.peak_bytes)), target)
    assert found.plan.groups
    assert found.after.peak_bytes <= 0.8 * before.peak_bytes
    path = tmp_path / "tiled.tflite"
    path.write_bytes(edited(model, found.edits))
    with start("litert") as client:
        told = client.ask("memory", model=str(path))
    if not told.get("workspace_bytes"):
        pytest.skip("the workspace can't be heard here")
    assert told["peak_bytes"] == pytest.approx(found.after.peak_bytes, rel=0.03)


def test_what_fits_stays_as_it_is(target: LitertTarget) -> None:
    found = fit(target.graph, Wish(target.peak(target.graph).peak_bytes), target)
    assert (found.plan.groups, found.edits) == ((), ())


def test_a_budget_that_can_not_be_met_says_what_can(target: LitertTarget) -> None:
    with pytest.raises(BudgetError, match="the least budget") as caught:
        fit(target.graph, Wish(1000), target, "net.tflite")
    least = int(str(caught.value).rsplit("(", 1)[1].split()[0])
    assert fit(target.graph, Wish(least), target).after.peak_bytes <= least


def test_what_no_runtime_takes_is_run_by_nobody(target: LitertTarget) -> None:
    graph = target.graph
    assert Taken.of(graph, ()).delegates(Graph(graph.ops, graph.tensors, graph.inputs, graph.outputs)) == ()
