"""Width edits on the graph: shapes, attributes that follow, scripts that do not fit, and laws on random networks."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.channel_networks import NETWORKS, Builder
from tests.width_networks import width_networks

from edgewright.errors import ModelError
from edgewright.formats.onnx.read import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.edits import RemoveOp, apply
from edgewright.graph.types import Graph, Op
from edgewright.graph.width_edits import SetWidth


def _edited(name: str, widths: dict[str, tuple[Sequence[int], int]]) -> Graph:
    graph = read(NETWORKS[name]())
    groups = {group.name: group for group in find_groups(graph)}
    return apply(graph, [SetWidth(groups[name], tuple(kept), added) for name, (kept, added) in widths.items()])


def _op(graph: Graph, name: str) -> Op:
    return next(op for op in graph.ops if op.name == name)


def _shapes(graph: Graph, *names: str) -> list[tuple[int, ...]]:
    return [graph.tensors[name].shape for name in names]


def test_depthwise_convolutions_have_as_many_groups_as_channels() -> None:
    graph = _edited("inverted_residual", {"expand": (range(12), 4), "stem": ((0, 2, 5), 0)})
    assert _op(graph, "deep").attributes["groups"] == 16
    assert _shapes(graph, "deep", "deep.w", "expand.w") == [(1, 16, 8, 8), (16, 1, 3, 3), (16, 3, 1, 1)]
    assert _shapes(graph, "sum", "project.w", "head.w") == [(1, 3, 8, 8), (3, 16, 1, 1), (4, 3, 1, 1)]


def test_one_channel_is_no_depthwise_convolution_any_more() -> None:
    graph = _edited("inverted_residual", {"expand": ((3,), 0)})
    assert (_op(graph, "deep").kind, _op(graph, "deep").attributes["groups"]) == ("conv", 1)


def test_two_groups_on_an_axis_act_together() -> None:
    graph = _edited("dense_block", {"stem": ((0, 1), 0), "grow0": (range(4), 3), "grow1": ((1,), 1)})
    assert _shapes(graph, "joined0", "joined1", "head.w") == [(1, 9, 6, 6), (1, 11, 6, 6), (3, 11, 1, 1)]


def test_hidden_units_go_through_all_gates() -> None:
    graph = _edited("conv_gru", {"g1": (range(5), 3)})
    assert _op(graph, "g1").attributes["hidden_size"] == 8
    assert _shapes(graph, "g1", "g1.w", "g1.r", "g1.b") == [(10, 2, 1, 8), (2, 24, 12), (2, 24, 8), (2, 48)]
    assert _shapes(graph, "both", "g2.w") == [(10, 1, 16), (1, 12, 16)]


def test_whole_heads_go() -> None:
    graph = _edited("transformer", {"qkv": ((0, 2), 0)})
    assert _shapes(graph, "qkv", "scores", "merged") == [(1, 5, 12), (1, 2, 5, 5), (1, 5, 4)]


def test_whole_groups_of_a_normalization_go() -> None:
    graph = _edited("group_normalized", {"first": ((1, 3), 1)})
    assert _op(graph, "norm1").attributes["groups"] == 3
    assert _shapes(graph, "norm1", "n1.scale") == [(1, 6, 4, 4), (6,)]


def test_cuts_and_padding_move_with_the_channels_before_them() -> None:
    graph = _edited("joined_and_cut", {"gated": ((0, 2, 3), 1), "wider[6:8]": ((0,), 2)})
    assert _op(graph, "halves").attributes["sizes"] == (4, 4)
    assert _op(graph, "wider").attributes["padding"][1] == (1, 3)
    assert (_op(graph, "part").attributes["starts"], _op(graph, "part").attributes["ends"]) == ((1,), (5,))
    assert _shapes(graph, "sum", "part") == [(1, 8, 4, 4), (1, 4, 4, 4)]


def test_groups_of_transposed_convolutions() -> None:
    graph = _edited("transposed", {"parts": (range(4), 1), "up": ((0,), 0)})
    assert (_op(graph, "parts").attributes["groups"], _op(graph, "deep").attributes["groups"]) == (2, 10)
    assert _shapes(graph, "p.w", "d.w") == [(2, 5, 2, 2), (10, 1, 2, 2)]


def _first(graph: Graph) -> ChannelGroup:
    return find_groups(graph)[0]


def _without_last(group: ChannelGroup) -> ChannelGroup:
    return replace(group, members=group.members[:-1])


@pytest.mark.parametrize(
    "script",
    [
        lambda group: [SetWidth(group, ())],
        lambda group: [SetWidth(group, (0, 0))],
        lambda group: [SetWidth(group, (group.width,))],
        lambda group: [SetWidth(group, (0,), -1)],
        lambda group: [SetWidth(group, (0,)), SetWidth(group, (0,))],
        lambda group: [SetWidth(group, (0,)), RemoveOp("stem")],
        lambda group: [SetWidth(_without_last(group), (0,))],
        lambda group: [SetWidth(replace(group, members=(Member("nowhere", 0),)), (0,))],
        lambda group: [SetWidth(replace(group, members=(Member("stem", 7),)), (0,))],
        lambda group: [SetWidth(replace(group, width=3, members=(Member("x", 1),)), (0,))],
    ],
)
def test_scripts_that_do_not_fit(script: Any) -> None:
    graph = read(NETWORKS["inverted_residual"]())
    with pytest.raises(ModelError, match="edit script"):
        apply(graph, script(_first(graph)))


def test_a_member_too_few_is_found_at_every_op() -> None:
    for function in NETWORKS.values():
        graph = read(function())
        for group in find_groups(graph):
            for member in group.members:
                rest = tuple(other for other in group.members if other != member)
                if (member.tensor, member.axis) not in {(other.tensor, other.axis) for other in rest}:
                    with pytest.raises(ModelError, match="edit script"):
                        apply(graph, [SetWidth(replace(group, members=rest), tuple(range(group.width)), 1)])


def _edits(groups: Sequence[ChannelGroup], seed: int) -> list[SetWidth]:
    draws = random.Random(seed)
    edits = []
    for group in groups:
        kept = draws.sample(range(group.width), draws.randint(1, group.width))
        if draws.random() < 0.8:
            edits.append(SetWidth(group, tuple(kept), draws.choice((0, 0, 1, 3))))
    return edits


@settings(max_examples=25)
@given(width_networks(), st.integers(0, 1000))
def test_laws(model: ModelProto, seed: int) -> None:
    graph = read(model)
    groups = find_groups(graph)
    assert apply(graph, [SetWidth(group, tuple(range(group.width))) for group in groups]) == graph
    edits = _edits(groups, seed)
    after = apply(graph, edits)
    # Removing and adding one after the other is the same as both at once, in groups that are found anew.
    removed = apply(graph, [SetWidth(edit.group, edit.kept) for edit in edits])
    anew = {group.name.split("[")[0]: group for group in find_groups(removed)}
    if min((len(edit.kept) for edit in edits), default=0) > 1 and len(anew) == len(groups):
        added = {edit.group.name.split("[")[0]: edit.added for edit in edits}
        script = [SetWidth(group, tuple(range(group.width)), added.get(name, 0)) for name, group in anew.items()]
        assert {name: tensor.shape for name, tensor in apply(removed, script).tensors.items()} == {
            name: tensor.shape for name, tensor in after.tensors.items()
        }


def test_an_edit_of_one_of_two_flattened_heads() -> None:
    """One group lies in two fully connected layers, by channels first and by channels last."""
    graph = _edited("flattened", {"stem": ((0, 2), 2)})
    assert _shapes(graph, "flat", "rows", "first.w", "other.w") == [(1, 72), (1, 72), (5, 72), (2, 72)]


def test_a_network_without_groups_takes_no_edits() -> None:
    net = Builder(x=(1, 3, 4, 4))
    graph = read(net.model(net.conv("only", "x", 2, 3)))
    assert find_groups(graph) == ()
    assert apply(graph, []) == graph
