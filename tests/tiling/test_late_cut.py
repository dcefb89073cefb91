"""Tiles that keep their halo through skip connections: the same outputs, with fewer cuts."""

import pytest
from benchmarks.networks import Network
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import networks
from tests.tiling.draws import plans
from tests.tiling.test_lower import check

from edgewright.formats.onnx import read
from edgewright.graph.edits import apply
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan


def blocks(strides: tuple[int, ...], channels: int = 8, size: int = 40) -> ModelProto:
    """Bottlenecks with skip connections as in ResNet; those with a stride have a convolution beside them."""
    net = Network("blocks", 3, size, 0)
    x = net.conv("input", channels, 3)
    for stride in strides:
        y = net.conv(net.conv(net.conv(x, 4, 1), 4, 3, stride), channels, 1, act="")
        skip = x if stride == 1 else net.conv(x, channels, 1, stride, act="")
        x = net.op("Relu", [net.op("Add", [y, skip], channels)], channels)
        size = -(-size // stride)
    return net.model(x, [1, channels, size, size])


@pytest.mark.parametrize("grid", [(2, 1), (3, 1), (2, 2), (3, 3)])
@pytest.mark.parametrize("strides", [(1,), (1, 1), (1, 2, 1), (2, 1, 2), (1, 1, 1, 2)])
def test_networks_with_skip_connections(grid: tuple[int, int], strides: tuple[int, ...]) -> None:
    model = blocks(strides)
    graph = read(model)
    plan = TilingPlan((FusedGroup(tuple(op.name for op in graph.ops), grid),))
    check(model, graph, plan, 1e-5, cuts_late=True)


@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 1)])
def test_nothing_is_cut_between_the_first_op_and_the_last(strides: tuple[int, ...]) -> None:
    graph = read(blocks(strides))
    plan = TilingPlan((FusedGroup(tuple(op.name for op in graph.ops), (3, 1)),))
    early, late = (apply(graph, lower(graph, plan, cuts_late=late)) for late in (False, True))
    cuts = [sum(op.kind == "slice" and op.inputs[0] != "input" for op in one.ops) for one in (early, late)]
    assert cuts[1] <= 3 < cuts[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(networks(most_ops=12), st.data())
def test_random_networks(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    plan = data.draw(plans(graph, writes_out=True))
    assume(any(group.halo == "recompute" for group in plan.groups))
    check(model, graph, plan, 1e-5, cuts_late=True)
