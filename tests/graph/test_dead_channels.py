"""Channels that no output depends on: what is found, and that the network does without."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper
from tests.channel_networks import NETWORKS, Builder
from tests.networks import feed, run
from tests.width_networks import width_networks

from edgewright.formats.onnx.apply import edited
from edgewright.formats.onnx.read import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.dead_channels import dead_channels
from edgewright.graph.width_edits import SetWidth


def _constants(model: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _zeroed(model: ModelProto, places: Sequence[tuple[str, int, int]]) -> ModelProto:
    """The model with zeros at one index of an axis of each of these constants."""
    found = ModelProto()
    found.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in found.graph.initializer}
    for name, axis, index in places:
        value = numpy_helper.to_array(tensors[name]).copy()
        value[(slice(None),) * axis + (index,)] = 0
        tensors[name].CopyFrom(numpy_helper.from_array(value, name))
    return found


def _dead(model: ModelProto) -> dict[str, tuple[int, ...]]:
    graph = read(model)
    return dead_channels(graph, find_groups(graph), _constants(model))


def _check_removed(model: ModelProto) -> None:
    graph = read(model)
    groups = find_groups(graph)
    dead = dead_channels(graph, groups, _constants(model))
    edits = [
        SetWidth(group, tuple(channel for channel in range(group.width) if channel not in dead[group.name]))
        for group in groups
        if group.name in dead
    ]
    before, after = run(model, feed(model)), run(edited(model, edits), feed(model))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-5 * max(float(np.abs(old).max()), 1e-6))


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_dead_in_a_network_without_zeros(name: str) -> None:
    assert _dead(NETWORKS[name]()) == {}


def test_made_of_zeros() -> None:
    model = NETWORKS["inverted_residual"]()
    places = [("expand.w", 0, 4), ("expand.b", 0, 4)]
    assert _dead(_zeroed(model, places)) == {}  # the depthwise convolution adds its bias
    places += [("deep.b", 0, 4)]
    assert _dead(_zeroed(model, places)) == {"expand": (4,)}
    _check_removed(_zeroed(model, places))


def test_read_by_zeros() -> None:
    model = _zeroed(NETWORKS["inverted_residual"](), [("project.w", 1, 0), ("project.w", 1, 7)])
    assert _dead(model) == {"expand": (0, 7)}
    _check_removed(model)


def test_every_reader_counts() -> None:
    model = NETWORKS["inverted_residual"]()
    assert _dead(_zeroed(model, [("head.w", 1, 2)])) == {}
    assert _dead(_zeroed(model, [("head.w", 1, 2), ("expand.w", 1, 2)])) == {"stem": (2,)}


def test_what_only_dead_channels_read_dies_with_them() -> None:
    """The first layer's unit 1 is read by the second's unit 0 alone, which nothing reads."""
    net = Builder(x=(1, 3))
    y = net.op("Sigmoid", "a.s", net.dense("a", "x", 4, 3))
    y = net.op("Relu", "b.r", net.dense("b", y, 3, 4))
    model = net.model(net.dense("c", y, 2, 3))
    model = _zeroed(model, [("c.w", 1, 0)])
    assert _dead(model) == {"b": (0,)}
    value = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "b.w")).copy()
    value[1:, 1] = 0
    next(t for t in model.graph.initializer if t.name == "b.w").CopyFrom(numpy_helper.from_array(value, "b.w"))
    assert _dead(model) == {"a": (1,), "b": (0,)}
    _check_removed(model)


def test_a_sigmoid_of_zero_is_not_zero() -> None:
    model = NETWORKS["squeeze_and_excitation"]()
    assert _dead(_zeroed(model, [("excite.w", 0, 3), ("excite.b", 0, 3)])) == {}
    assert _dead(_zeroed(model, [("squeeze.w", 0, 1), ("squeeze.b", 0, 1)])) == {"squeeze": (1,)}


def test_hidden_units_that_nothing_reads() -> None:
    places = [("g2.r", 2, 3), ("head.w", 1, 3)]
    model = _zeroed(NETWORKS["conv_gru"](), places)
    assert _dead(model) == {"g2": (3,)}
    _check_removed(model)
    assert _dead(_zeroed(NETWORKS["conv_gru"](), places[1:])) == {}


def test_a_mean_over_channels_counts_the_dead() -> None:
    model = _zeroed(NETWORKS["mixing"](), [(name, 0, 1) for name in ("mean.w", "mean.b", "squares.w", "squares.b")])
    assert _dead(model) == {"squares": (1,)}
    _check_removed(model)


def test_at_least_one_channel_is_left() -> None:
    model = _zeroed(NETWORKS["inverted_residual"](), [("project.w", 1, channel) for channel in range(12)])
    assert _dead(model) == {"expand": tuple(range(1, 12))}
    _check_removed(model)


def test_constants_that_are_not_given_are_not_zero() -> None:
    model = _zeroed(NETWORKS["inverted_residual"](), [("project.w", 1, 0)])
    graph = read(model)
    given_alone = {"expand.w": _constants(model)["expand.w"]}
    assert dead_channels(graph, find_groups(graph), given_alone) == {}


@settings(max_examples=25)
@given(width_networks(), st.integers(0, 10_000))
def test_random_networks_do_without_dead_channels(model: ModelProto, seed: int) -> None:
    """Random rows and columns of the weights are zero, as a pruner leaves them."""
    random = np.random.default_rng(seed)
    groups = find_groups(read(model))
    stored = set(_constants(model))
    places = []
    for group in groups:
        for channel in np.flatnonzero(random.random(group.width) < 0.4).tolist():
            kept = random.choice([0, 1, 2])  # zero in all constants, in rows, or in columns
            for member in group.members:
                if member.tensor in stored and not member.fill and kept in {0, 1 + (member.axis > 0)}:
                    places += [(member.tensor, member.axis, index) for index in member.positions([channel])]
    _check_removed(_zeroed(model, places))
