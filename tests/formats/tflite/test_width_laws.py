"""The laws of width edits on TFLite, on random networks.

Reading after applying is editing after reading. New channels change no output, and what is left when channels go is
what comes out when they hold nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.tflite.build import packed, unpacked
from tests.tflite_networks import STYLES, feed, networks, run
from tests.width_scripts import additions, changes, removals

from edgewright.formats.tflite import edited, read
from edgewright.graph.edits import apply
from edgewright.graph.width_edits import SetWidth

Draw = Callable[[st.SearchStrategy[Any]], Any]
LAW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
KERNELS = ("reference", "xnnpack")


def check(model: bytes, script: Sequence[SetWidth]) -> bytes:
    """The model after the script, for which the law holds and which has the same ends."""
    graph = read(model)
    result = edited(model, script)
    assert read(result) == apply(graph, script)
    assert (read(result).inputs, read(result).outputs) == (graph.inputs, graph.outputs)
    return result


def assert_same(before: bytes, after: bytes, kernels: Sequence[str] = KERNELS) -> None:
    """Outputs equal to float rounding, or bit for bit where the network is an integer one."""
    inputs = feed(before)
    for one in kernels:
        for first, second in zip(run(before, inputs, one), run(after, inputs, one), strict=True):
            if first.dtype == np.float32:
                largest = max(float(np.abs(first).max(initial=0)), 1e-6)
                np.testing.assert_allclose(second, first, rtol=0, atol=1e-5 * largest)
            else:
                np.testing.assert_array_equal(second, first)


def silenced(model: bytes, script: Sequence[SetWidth]) -> bytes:
    """The model with the zero of every constant written where the channels that go lie, by hand."""
    graph, proto = read(model), unpacked(model)
    by_name = {tensor.name.decode(): tensor for tensor in proto.subgraphs[0].tensors}
    makers = {one.outputs[0]: one for one in proto.subgraphs[0].operators if len(one.inputs) == 1}
    for edit in script:
        gone = sorted(set(range(edit.group.width)) - set(edit.kept))
        for member in edit.group.members:
            tensor = by_name[member.tensor]
            if not graph.tensors[member.tensor].is_constant:
                continue
            place = proto.subgraphs[0].tensors.index(tensor)
            if place in makers:
                tensor = proto.subgraphs[0].tensors[makers[place].inputs[0]]
            assert not any(tensor.quantization.zeroPoint) if tensor.quantization is not None else True
            items = np.frombuffer(bytes(proto.buffers[tensor.buffer].data), np.uint8)
            shape = graph.tensors[member.tensor].shape
            parts = items.reshape(*shape, -1).copy()
            parts[(slice(None),) * member.axis + (list(member.positions(gone)),)] = 0
            proto.buffers[tensor.buffer].data = parts.reshape(-1)
    return packed(proto)


@pytest.mark.parametrize("style", STYLES)
def test_new_channels_change_no_output(style: str) -> None:
    @LAW
    @given(networks(style, is_closed=True), st.data())
    def law(model: bytes, data: st.DataObject) -> None:
        assert_same(model, check(model, data.draw(additions(read(model)))))

    law()


@pytest.mark.parametrize("style", STYLES)
def test_channels_that_go_are_as_if_they_held_nothing(style: str) -> None:
    @LAW
    @given(networks(style, is_closed=True), st.data())
    def law(model: bytes, data: st.DataObject) -> None:
        script = data.draw(removals(read(model)))
        assert_same(silenced(model, script), check(model, script))

    law()


@pytest.mark.parametrize("style", STYLES)
def test_any_change_is_that_of_the_graph(style: str) -> None:
    @LAW
    @given(networks(style, is_closed=True), st.data())
    def law(model: bytes, data: st.DataObject) -> None:
        result = check(model, data.draw(changes(read(model))))
        run(result, feed(result))

    law()
