"""Costs of many widths at once are what each of them costs by itself."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.width_networks import width_networks
from tests.widths.devices import SteppedDevice

from edgewright.compression.deepiot.costs import WeightCosts, operation_costs, time_costs
from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.cost import layer_cost
from edgewright.widths.executed import layers_at
from edgewright.widths.frontier import Frontiers
from edgewright.widths.layouts import Layouts
from edgewright.widths.places import Places
from edgewright.widths.price import Prices


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=width_networks(), seed=st.integers(0, 99), block=st.sampled_from([1, 8, 16]))
def test_batches_agree_with_single_networks(model: ModelProto, seed: int, block: int):
    graph = read(model)
    places = Places(graph, find_groups(graph))
    layouts = Layouts.of(places, block)
    random = np.random.default_rng(seed)
    rows = np.array([[random.integers(1, width + 1) for width in places.widths] for _ in range(6)]).reshape(6, -1)
    rows = np.concatenate([rows, rows[:2], [places.widths]]).astype(np.int64)
    if not rows.shape[1]:
        return
    plans = [tuple(row) for row in rows.tolist()]
    prices = Prices(SteppedDevice(), 0)
    seconds, operations = time_costs(layouts, prices), operation_costs(layouts)
    for _ in range(2):  # the second time all is known
        np.testing.assert_allclose(seconds(rows), [Frontiers(layouts, prices).seconds(plan) for plan in plans])
        np.testing.assert_allclose(
            operations(rows), [sum(layer_cost(layer).macs for layer in layers_at(layouts, plan)) for plan in plans]
        )
    assert WeightCosts(places)(rows).tolist() == [places.weights(plan) for plan in plans]
