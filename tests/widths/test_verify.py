"""The verifier finds what is wrong with a network after a plan."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.tiling.models import chain
from tests.width_networks import width_networks

from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph
from edgewright.widths.places import Places
from edgewright.widths.plan import WidthPlan, plan_of
from edgewright.widths.verify import problems


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=width_networks(), data=st.data())
def test_what_edits_make_is_whole(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    places = Places(graph, find_groups(graph))
    dead = {group.name: range(group.width - 1) for group in places.groups}
    widths = tuple(data.draw(st.integers(max(1, group.width - 2), group.width + 3)) for group in places.groups)
    plan = plan_of(places, widths, dead)
    assert problems(graph, plan, apply(graph, plan.edits), 1000) == []
    assert plan.weights_growth == pytest.approx(places.weights(widths) / max(places.weights(places.widths), 1))


def wider() -> tuple[Graph, WidthPlan, Graph]:
    graph = read(chain((3, 1), (3, 1), channels=5))
    places = Places(graph, find_groups(graph))
    plan = plan_of(places, tuple(group.width + 3 for group in places.groups), {})
    return graph, plan, apply(graph, plan.edits)


def test_a_plan_that_was_not_carried_out_is_found() -> None:
    before, plan, _ = wider()
    assert any("not (" in text for text in problems(before, plan, before, 1000))


def test_too_heavy_a_network_is_found() -> None:
    before, plan, after = wider()
    assert problems(before, plan, after, 1.01)[0].startswith("its weights grow to ")


def test_other_ops_are_found() -> None:
    before, plan, after = wider()
    assert "its ops are not the same" in problems(before, plan, replace(after, ops=after.ops[1:]), 1000)


def test_a_lost_output_is_found() -> None:
    before, plan, after = wider()
    assert any("is no output any more" in text for text in problems(before, plan, replace(after, outputs=()), 1000))


@pytest.mark.parametrize(("kept", "added"), [((0, 0), 1), ((7,), 0), ((0,), -1), ((), 0)])
def test_channels_that_can_not_be_kept_are_found(kept: tuple[int, ...], added: int) -> None:
    before, plan, after = wider()
    broken = replace(plan, changes=(replace(plan.changes[0], kept=kept, added=added),))
    assert any(text.startswith("a group ") for text in problems(before, broken, after, 1000))
