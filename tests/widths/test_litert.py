"""What LiteRT executes at other widths is what it executes of the network that has them."""

from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tflite_networks import networks
from tests.widths.devices import SteppedDevice

pytest.importorskip("ai_edge_litert")

from edgewright.formats.tflite import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.edits import apply
from edgewright.graph.xnnpack import layer_of_part, parts_of
from edgewright.memory.litert import Delegate, predict_peak
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.executed import layers_at
from edgewright.widths.litert import Parts
from edgewright.widths.places import Places
from edgewright.widths.plan import plan_of
from edgewright.widths.targets import LitertTarget
from edgewright.widths.task import Task

DEVICE = cast(ExecutionTimeModel, SteppedDevice(8))


@pytest.mark.parametrize("style", ["float", "int8"])
@pytest.mark.parametrize("xnnpack", [True, False])
def test_layers_are_those_of_the_wider_network(style: str, xnnpack: bool) -> None:
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(networks(style, is_closed=True), st.data())
    def law(model: bytes, data: st.DataObject) -> None:
        graph = read(model)
        places = Places(graph, find_groups(graph))
        widths = tuple(group.width + data.draw(st.integers(0, 3)) for group in places.groups)
        after = apply(graph, plan_of(places, widths, {}).edits)
        expected = [layer_of_part(part, after) for part in parts_of(after, xnnpack)]
        assert list(layers_at(Parts.of(places, xnnpack), widths)) == expected

    law()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(is_closed=True))
def test_a_task_for_litert_plans_no_slower_network(model: bytes) -> None:
    graph = read(model)
    whole = Delegate(graph.inputs, graph.outputs)
    target = LitertTarget.of([(whole.inputs, whole.outputs)], True)
    task = Task.of(graph, find_groups(graph), DEVICE, target, 1.5, 2.0, {})
    found = task.fastest()
    assert task.fits(found)
    assert task.predicted_s(found) <= task.predicted_s(task.original)
    assert task.peak_bytes(task.original) == predict_peak(graph, [whole]).peak_bytes
