"""The laws of width edits on ONNX, on random networks.

Reading after applying is editing after reading. New channels change no output, and what is left when channels go is
what comes out when they hold nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import feed, run
from tests.width_networks import width_networks

from edgewright.formats.onnx import edited, read
from edgewright.graph import edits
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.types import Graph
from edgewright.graph.width_edits import SetWidth

Draw = Callable[[st.SearchStrategy[Any]], Any]
LAW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
STYLES = ("float", "qdq", "qlinear")


@st.composite
def additions(draw: Draw, graph: Graph) -> list[SetWidth]:
    """New channels for some of the groups that may grow."""
    groups = [group for group in find_groups(graph) if group.growable]
    assume(groups)
    chosen = draw(st.lists(st.sampled_from(groups), min_size=1, max_size=4, unique_by=lambda group: group.name))
    return [SetWidth(group, tuple(range(group.width)), draw(st.integers(1, 4))) for group in chosen]


@st.composite
def changes(draw: Draw, graph: Graph, only: Callable[[ChannelGroup], bool] = lambda _: True) -> list[SetWidth]:
    """Some groups with channels gone, in another order, and new."""
    groups = [group for group in find_groups(graph) if only(group)]
    assume(groups)
    script = []
    for group in draw(st.lists(st.sampled_from(groups), min_size=1, max_size=4, unique_by=lambda group: group.name)):
        order = draw(st.permutations(range(group.width)))
        kept = tuple(order[: draw(st.integers(0, group.width))])
        added = draw(st.integers(0 if kept else 1, 2)) if group.growable or not kept else 0
        script.append(SetWidth(group, kept, added))
    return script


def check(model: ModelProto, script: Sequence[SetWidth]) -> ModelProto:
    """The model after the script, for which the law holds and which is whole."""
    before, graph = model.SerializeToString(), read(model)
    result = edited(model, script)
    assert read(result) == edits.apply(graph, script)
    assert model.SerializeToString() == before
    onnx.checker.check_model(result, full_check=True)
    assert result.opset_import == model.opset_import
    assert [v.name for v in result.graph.input] == [v.name for v in model.graph.input]
    assert result.graph.output == model.graph.output
    return result


def assert_same(
    style: str, wanted: Sequence[npt.NDArray[Any]], found: Sequence[npt.NDArray[Any]], optimized: bool
) -> None:
    for first, second in zip(wanted, found, strict=True):
        if style == "float":
            largest = max(float(np.abs(first).max()), 1e-6)
            np.testing.assert_allclose(second, first, rtol=0, atol=1e-5 * largest)
        else:
            np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize("style", STYLES)
def test_new_channels_change_no_output(style: str) -> None:
    @LAW
    @given(width_networks(style), st.data())
    def law(model: ModelProto, data: st.DataObject) -> None:
        result = check(model, data.draw(additions(read(model))))
        inputs = feed(model)
        assert_same(style, run(model, inputs), run(result, inputs), False)

    law()


@pytest.mark.parametrize("style", STYLES)
def test_any_change_is_that_of_the_graph(style: str) -> None:
    @LAW
    @given(width_networks(style), st.data())
    def law(model: ModelProto, data: st.DataObject) -> None:
        result = check(model, data.draw(changes(read(model))))
        run(result, feed(result))

    law()
