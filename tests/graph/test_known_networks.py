"""Channel groups of networks that everyone knows, as the onnx package brings them, with their published widths."""

from pathlib import Path

import onnx
import pytest

from edgewright.formats.onnx.read import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.types import Graph

_LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def _network(name: str) -> Graph:
    path = _LIGHT / f"light_{name}.onnx"
    if not path.exists():
        pytest.skip("this version of onnx does not bring the network")
    return read(path)


def _convolutions(graph: Graph, group: ChannelGroup) -> int:
    """How many convolutions make channels of the group."""
    weights = {op.operands[1] for op in graph.ops if op.kind in {"conv", "depthwise_conv"}}
    return sum(member.tensor in weights and member.axis == 0 for member in group.members)


def test_resnet_50() -> None:
    """The stem; two widths inside of each bottleneck; one for all blocks of a stage, tied by the residual sums."""
    graph = _network("resnet50")
    groups = find_groups(graph)
    stages = {256: (3, 64), 512: (4, 128), 1024: (6, 256), 2048: (3, 512)}
    expected = [(64, 1)]
    for width, (blocks, inner) in stages.items():
        expected += [(inner, 1)] * 2 * blocks + [(width, blocks + 1)]
    assert sorted((group.width, _convolutions(graph, group)) for group in groups) == sorted(expected)
    assert all(group.growable for group in groups)


def test_densenet_121() -> None:
    """Every layer has a width of its own, though its channels lie in all that is joined after it."""
    graph = _network("densenet121")
    groups = find_groups(graph)
    layers = (6, 12, 24, 16)
    widths = [64, *(width for count in layers for width in (128, 32) * count), 128, 256, 512]
    assert sorted(group.width for group in groups) == sorted(widths)
    assert all(_convolutions(graph, group) == 1 for group in groups)
    first = next(group for group in groups if group.width == 32)
    joined = [member for member in first.members if member.offset == 64]
    assert len(joined) > 5 and {member.block for member in joined} == {1}


def test_shufflenet() -> None:
    """Widths of 4 groups, shuffled: channels of the groups go together, and a stage has one width where they mix."""
    graph = _network("shufflenet")
    for group in find_groups(graph):
        first = group.members[0]
        assert (
            first.repeats % 4 == 0 and first.repeats * first.block * group.width == graph.tensors[first.tensor].shape[1]
        )


def test_inception() -> None:
    """The branches of a block lie one behind the other in what the next block reads."""
    graph = _network("inception_v1")
    groups = {group.name: group for group in find_groups(graph)}
    joined = next(op for op in graph.ops if op.kind == "concat")
    members = [member for group in groups.values() for member in group.members if member.tensor == joined.outputs[0]]
    assert [member.offset for member in sorted(members, key=lambda member: member.offset)] == [0, 64, 192, 224]


def test_alexnet() -> None:
    """Convolutions in two groups tie both halves; after the flattened map a channel has 36 columns."""
    graph = _network("bvlc_alexnet")
    groups = find_groups(graph)
    assert [(group.width, group.growable) for group in groups] == [
        (48, False), (128, False), (192, True), (192, True), (128, True), (4096, True), (4096, True)
    ]  # fmt: skip
    columns = [member for member in groups[4].members if member.block == 36]
    assert columns and all((member.repeats, member.period) == (2, 128 * 36) for member in columns)
