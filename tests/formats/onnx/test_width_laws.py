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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper
from tests.networks import feed, run
from tests.width_networks import width_networks
from tests.width_scripts import additions, changes, removals

from edgewright.formats.onnx import edited, read
from edgewright.graph import edits
from edgewright.graph.width_edits import SetWidth

Draw = Callable[[st.SearchStrategy[Any]], Any]
LAW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
STYLES = ("float", "qdq", "qlinear")


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


def assert_same(style: str, wanted: Sequence[npt.NDArray[Any]], found: Sequence[npt.NDArray[Any]]) -> None:
    """Equal to float rounding, or bit for bit where the network is an integer one."""
    for first, second in zip(wanted, found, strict=True):
        if style == "float":
            largest = max(float(np.abs(first).max()), 1e-6)
            np.testing.assert_allclose(second, first, rtol=0, atol=1e-5 * largest)
        else:
            np.testing.assert_array_equal(second, first)


class Silenced:
    """A model in which channels hold nothing: the zero of every constant that they lie in, written by hand."""

    def __init__(self, model: ModelProto) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.makers = {node.output[0]: node for node in self.model.graph.node}
        self.stored = {tensor.name: tensor for tensor in self.model.graph.initializer}

    def silence(self, script: Sequence[SetWidth]) -> ModelProto:
        graph = read(self.model)
        for edit in script:
            gone = sorted(set(range(edit.group.width)) - set(edit.kept))
            for member in edit.group.members:
                if graph.tensors[member.tensor].is_constant:
                    self.write(member.tensor, member.axis, member.positions(gone), member.fill)
        return self.model

    def write(self, name: str, axis: int, places: Sequence[int], value: float) -> None:
        """Put a value at these places of a constant, or what stands for zero where it is quantized."""
        maker = self.makers.get(name)
        if maker is not None and maker.op_type == "Transpose":
            self.write(maker.input[0], onnx.helper.get_node_attr_value(maker, "perm")[axis], places, value)
            return
        if maker is not None and maker.op_type == "DequantizeLinear":
            name, value = maker.input[0], self.zero(maker.input[2]) if len(maker.input) > 2 else 0
        for node in self.model.graph.node:
            if node.op_type == "QLinearConv" and name in node.input[4:6]:
                return
            if node.op_type == "QLinearConv" and name == node.input[3]:
                value = self.zero(node.input[5])
        tensor = self.stored[name] if name in self.stored else self.makers[name].attribute[0].t
        items = numpy_helper.to_array(tensor).copy()
        items[(slice(None),) * axis + (list(places),)] = value
        tensor.CopyFrom(numpy_helper.from_array(items, tensor.name))

    def zero(self, name: str) -> int:
        return int(numpy_helper.to_array(self.stored[name]).reshape(-1)[0])


@pytest.mark.parametrize("style", STYLES)
def test_new_channels_change_no_output(style: str) -> None:
    @LAW
    @given(width_networks(style), st.data())
    def law(model: ModelProto, data: st.DataObject) -> None:
        result = check(model, data.draw(additions(read(model))))
        inputs = feed(model)
        assert_same(style, run(model, inputs), run(result, inputs))

    law()


@pytest.mark.parametrize("style", STYLES)
def test_channels_that_go_are_as_if_they_held_nothing(style: str) -> None:
    @LAW
    @given(width_networks(style), st.data())
    def law(model: ModelProto, data: st.DataObject) -> None:
        script = data.draw(removals(read(model)))
        inputs = feed(model)
        assert_same(style, run(Silenced(model).silence(script), inputs), run(check(model, script), inputs))

    law()


@pytest.mark.parametrize("style", STYLES)
def test_any_change_is_that_of_the_graph(style: str) -> None:
    @LAW
    @given(width_networks(style), st.data())
    def law(model: ModelProto, data: st.DataObject) -> None:
        if data.draw(st.booleans(), "shapes are declared"):
            model = onnx.shape_inference.infer_shapes(model)
        result = check(model, data.draw(changes(read(model))))
        run(result, feed(result))

    law()
