"""Op by op, the same layers are executed as the rewriting of the whole network says."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import networks
from tests.tiling.models import chain, residual
from tests.width_networks import width_networks

from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.edits import apply
from edgewright.graph.types import Graph, LayerSpec, Tensor, Window
from edgewright.memory.onnxruntime.network import Network
from edgewright.memory.onnxruntime.predict import executed
from edgewright.widths.layouts import Layouts, Lies, node_layer
from edgewright.widths.places import Places, Widths
from edgewright.widths.plan import plan_of

BLOCKED = ":blocked"
ONE = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
"""The window of a product by channel."""


def whole(graph: Graph, block: int) -> Counter[LayerSpec]:
    """The layers after the whole network was rewritten; blocked tensors count with their true channels."""
    network, producers = executed(graph, block), graph.producers()
    tensors = {name: logical(network, name) for name in network.tensors}
    found: Counter[LayerSpec] = Counter()
    for node in network.order():
        if node.kind == "reorder" and node.variant in {"to_blocked", "from_blocked"}:
            shape, maker = tensors[node.inputs[0]].shape, producers.get(node.outputs[0])
            last = "-last" if maker is not None and maker.kind == "transpose" else ""
            found[LayerSpec("reorder", (shape,), (shape,), variant=node.variant + last)] += 1
            continue
        layer = node_layer(node, network, tensors)
        layer = replace(layer, window=layer.window or ONE) if layer.kind == "depthwise_conv" else layer
        found[replace(layer, fused=("add", *layer.fused)) if node.addend else layer] += 1
    return found


def logical(network: Network, name: str) -> Tensor:
    return network.tensors[name.removesuffix(BLOCKED)]


def stepwise(layouts: Layouts, widths: Widths) -> Counter[LayerSpec]:
    lies = {name: Lies() for name in layouts.network.inputs}
    found: Counter[LayerSpec] = Counter()
    for index, node in enumerate(layouts.nodes):
        taken = layouts.take(index, dict(enumerate(widths)), {name: lies[name] for name in node.inputs})
        found.update(taken.layers)
        lies |= dict(taken.lies)
    assert not any(one.pending for one in lies.values())
    return found


def same(model: ModelProto, pick: np.random.Generator, block: int) -> None:
    graph = read(model)
    groups = find_groups(graph)
    places = Places(graph, groups)
    layouts = Layouts.of(places, block)
    assert stepwise(layouts, places.widths) == whole(graph, block)
    widths = tuple(group.width + int(pick.choice([0, 1, -group.width % 4, -group.width % 16])) for group in groups)
    after = apply(graph, plan_of(places, widths, {}).edits)
    assert stepwise(layouts, widths) == whole(after, block)
    assert {name: places.shape(name, widths) for name in after.tensors} == {
        name: tensor.shape for name, tensor in after.tensors.items()
    }


SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(model=width_networks(), seed=st.integers(0, 99), block=st.sampled_from([1, 8, 16]))
def test_networks_whose_widths_change(model: ModelProto, seed: int, block: int) -> None:
    same(model, np.random.default_rng(seed), block)


@SETTINGS
@given(model=networks(), block=st.sampled_from([1, 8, 16]))
def test_networks_of_all_kinds(model: ModelProto, block: int) -> None:
    same(model, np.random.default_rng(0), block)


@pytest.mark.parametrize("channels", [4, 12, 15, 16, 20, 33])
@pytest.mark.parametrize("make", [lambda c: chain((3, 1), (3, 2), "pool", (1, 1), channels=c), residual])
def test_known_networks(make: object, channels: int) -> None:
    assert callable(make)
    same(make(channels), np.random.default_rng(channels), 16)
