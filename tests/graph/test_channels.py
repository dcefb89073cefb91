"""Channel groups of small networks of known architectures, pinned; new channels change no output."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from tests.channel_networks import NETWORKS, Builder
from tests.graph.pinned_groups import PINNED
from tests.networks import feed, run

from edgewright.formats.onnx.apply import edited
from edgewright.formats.onnx.read import read
from edgewright.graph.channel_groups import find_groups, why_fixed
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.width_edits import SetWidth


def _place(member: Member) -> str:
    parts = [f"{member.tensor}:{member.axis}"]
    parts += [f"+{member.offset}"] if member.offset else []
    parts += [f"*{member.block}"] if member.block > 1 else []
    parts += [f"@{member.repeats}/{member.period}"] if member.repeats > 1 else []
    return "".join(parts + ([f"={member.fill:g}"] if member.fill else []))


def _text(groups: Sequence[ChannelGroup]) -> dict[str, list[str]]:
    names = [f"{group.name} {group.width}{'' if group.growable else ' no growth'}" for group in groups]
    return {name: [_place(member) for member in group.members] for name, group in zip(names, groups, strict=True)}


def _pinned() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    network = group = ""
    for line in PINNED.splitlines():
        depth = len(line) - len(line.lstrip())
        if depth == 0 and line:
            network = line
            found[network] = {}
        elif depth == 4:
            group = line.strip()
            found[network][group] = []
        elif line:
            found[network][group] += line.split()
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_are_pinned(name: str) -> None:
    assert _text(find_groups(read(NETWORKS[name]()))) == _pinned()[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_new_channels_change_no_output(name: str) -> None:
    model = NETWORKS[name]()
    before = run(model, feed(model))
    assert all(np.isfinite(output).all() and np.ptp(output) > 0 for output in before)
    groups = [group for group in find_groups(read(model)) if group.growable]
    for seed in range(3):
        draws = random.Random(seed)
        edits = [SetWidth(group, tuple(range(group.width)), draws.randint(0, 3)) for group in groups]
        after = run(edited(model, edits), feed(model))
        for old, new in zip(before, after, strict=True):
            np.testing.assert_allclose(new, old, rtol=0, atol=1e-5 * float(np.abs(old).max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_no_place_is_in_two_groups(name: str) -> None:
    graph = read(NETWORKS[name]())
    places = [
        (member.tensor, member.axis, position)
        for group in find_groups(graph)
        for member in group.members
        for position in member.positions(range(group.width))
    ]
    assert len(set(places)) == len(places)
    assert all(position < graph.tensors[name].shape[axis] for name, axis, position in places)


def test_it_is_said_why_an_axis_is_fixed() -> None:
    net = Builder(x=(1, 3, 4, 4))
    y = net.op("CumSum", "odd", net.conv("a", "x", 4, 3), net.integers("axis", 1))
    y = net.conv("b", "x", 6, 3)
    y = net.op("Concat", "joined", y, "x", axis=1)
    graph = read(net.model(net.op("Sigmoid", "end", y), "odd"))
    reasons = why_fixed(graph)
    assert reasons["x", 1] == "it is an input of the network"
    assert reasons["end", 1] == "it is an output of the network"
    assert reasons["a", 1] == "cum_sum op 'odd' takes it as it is"
    assert reasons["b", 1] == "it is an output of the network"
    assert find_groups(graph) == ()


def test_channels_in_no_even_order_are_fixed() -> None:
    net = Builder(x=(1, 2, 2, 2))
    a = net.conv("a", "x", 4, 2)
    y = net.op("Concat", "joined", net.op("Slice", "part", a, *(net.integers(f"{i}", i) for i in (0, 3, 1))), a, axis=1)
    y = net.op("Transpose", "turned", net.reshape("parts", net.conv("b", y, 8, 7), 1, 2, 4, 4), perm=[0, 2, 1, 3])
    y = net.op("Add", "sum", net.reshape("whole", y, 1, 8, 2, 2), "b")
    graph = read(net.model(net.conv("head", y, 1, 8)))
    assert why_fixed(graph)["sum", 1] == "its channels go together in no even order"
    # Of the four channels of a the first three lie twice in the concatenation, the last one once.
    assert [(group.name, group.width) for group in find_groups(graph)] == [("a[0:3]", 3), ("a[3:4]", 1)]


def test_an_output_of_which_nothing_is_known_fixes_all() -> None:
    """The indices of a pool count through the channels."""
    net = Builder(x=(1, 3, 4, 4))
    y = net.op("MaxPool", "pool places", net.conv("a", "x", 4, 3), kernel_shape=[2, 2])
    y = net.op("MaxUnpool", "back", y, "places", kernel_shape=[2, 2])
    assert find_groups(read(net.model(net.conv("head", y, 2, 4)))) == ()


@pytest.mark.parametrize(("exponent", "growable"), [(3.0, True), (0.5, True), (-0.5, False)])
def test_powers_of_new_channels(exponent: float, growable: bool) -> None:
    net = Builder(x=(2, 3))
    y = net.op("Relu", "r", net.dense("a", "x", 4, 3))
    y = net.op("Pow", "power", y, net.constant("exponent", np.float32(exponent)))
    (group,) = find_groups(read(net.model(net.dense("head", y, 2, 4))))
    assert group.growable == growable
