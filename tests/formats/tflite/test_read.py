"""What a TFLite file is read as."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.tflite.build import Sketch, conv_relu
from tests.tflite_networks import RESOLVERS, STYLES, networks

from edgewright.errors import ShapeError
from edgewright.formats.tflite import read
from edgewright.graph.edits import RemoveOp, Slice, apply
from edgewright.graph.layers import layer_of, layers_of
from edgewright.graph.naming import named_after_outputs
from edgewright.graph.types import KINDS, Op

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STYLES).flatmap(networks))
def test_tensors_are_those_of_the_runtime(model: bytes) -> None:
    graph = read(model)
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=RESOLVERS["reference"])
    interpreter.allocate_tensors()
    details = {entry["name"]: entry for entry in interpreter.get_tensor_details()}
    for name, tensor in graph.tensors.items():
        assert tensor.shape == tuple(details[name]["shape"])
        if not tensor.is_constant:
            assert tensor.dtype == np.dtype(details[name]["dtype"]).name
    assert {op.kind for op in graph.ops} <= set(KINDS) - {"other"}
    assert 0 < len(layers_of(graph)) <= len(graph.ops)


def convolution(mode: int, stride: int = 1, dilation: int = 1, activation: int = 0) -> Op:
    """A 3x3 convolution of 4 channels at 9x8 to 6, in groups of two where `groups` says so."""
    sketch = Sketch()
    x = sketch.tensor("x", (1, 9, 8, 4))
    extent = 2 * dilation + 1
    made = [-(-size // stride) if mode == SAME else (size - extent) // stride + 1 for size in (9, 8)]
    y = sketch.tensor("y", (1, *made, 6))
    weight, bias = sketch.constant(np.ones((6, 3, 3, 4), np.float32)), sketch.constant(np.ones(6, np.float32))
    options = schema.Conv2DOptionsT(mode, stride, stride, activation, dilation, dilation)
    sketch.op("CONV_2D", [x, weight, bias], [y], options)
    (op,) = read(sketch.finish([x], [y])).ops
    return op


@pytest.mark.parametrize(
    ("mode", "stride", "dilation", "padding"),
    [
        (VALID, 1, 1, ((0, 0), (0, 0))),
        (SAME, 1, 1, ((1, 1), (1, 1))),
        (SAME, 2, 1, ((1, 1), (0, 1))),  # the odd row comes after
        (SAME, 1, 2, ((2, 2), (2, 2))),
        (SAME, 4, 1, ((1, 1), (0, 0))),
    ],
)
def test_padding_in_numbers(mode: int, stride: int, dilation: int, padding: Any) -> None:
    window = convolution(mode, stride, dilation).window
    assert window is not None
    assert (window.padding, window.stride, window.dilation) == (padding, (stride, stride), (dilation, dilation))


@pytest.mark.parametrize(("number", "name"), [(0, ()), (1, ("relu",)), (3, ("clip",)), (4, ("tanh",))])
def test_fused_activations(number: int, name: tuple[str, ...]) -> None:
    assert convolution(SAME, activation=number).attributes["fused"] == name


def test_axes_and_logical_layers() -> None:
    graph = read(conv_relu())
    assert graph.tensors["x"].axes == "NHWC"
    assert layer_of(graph.ops[0], graph).inputs == ((1, 4, 9, 8),)
    assert [op.name for op in graph.ops] == ["a", "y"]


def test_weights_by_integers_are_dynamic() -> None:
    """Their input is quantized as it comes, so that a tile of it would be quantized in another way."""
    sketch = Sketch()
    x, y = sketch.tensor("x", (1, 8, 8, 4)), sketch.tensor("y", (1, 8, 8, 2))
    weight = sketch.constant(np.ones((2, 1, 1, 4), np.int8), [0.1, 0.2])
    options = schema.Conv2DOptionsT(strideH=1, strideW=1)
    sketch.op("CONV_2D", [x, weight, sketch.constant(np.ones(2, np.float32))], [y], options)
    graph = read(sketch.finish([x], [y]))
    assert graph.ops[0].variant == "dynamic"
    from edgewright.graph.geometry import tileable

    assert not tileable(graph.ops[0], graph)


def test_weights_of_half_precision_are_constants() -> None:
    sketch = Sketch()
    x, w, y = sketch.tensor("x", (1, 4)), sketch.tensor("w", (3, 4)), sketch.tensor("y", (1, 3))
    sketch.op("DEQUANTIZE", [sketch.constant(np.ones((3, 4), np.float16))], [w])
    sketch.op("FULLY_CONNECTED", [x, w, -1], [y], schema.FullyConnectedOptionsT())
    graph = read(sketch.finish([x], [y]))
    assert [(op.kind, op.inputs) for op in graph.ops] == [("fully_connected", ("x", "w", ""))]
    assert (graph.tensors["w"].is_constant, graph.tensors["w"].dtype) == (True, "float16")


@pytest.mark.parametrize(("mode", "made", "padding", "extra"), [
    (SAME, (8, 8), ((0, 1), (0, 1)), (0, 0)),
    (VALID, (9, 9), ((0, 0), (0, 0)), (0, 0)),
    (VALID, (10, 9), ((0, 0), (0, 0)), (1, 0)),
])  # fmt: skip
def test_transposed_convolutions(mode: int, made: tuple[int, int], padding: Any, extra: Any) -> None:
    sketch = Sketch()
    x, y = sketch.tensor("x", (1, 4, 4, 2)), sketch.tensor("y", (1, *made, 3))
    weight = sketch.constant(np.ones((3, 3, 3, 2), np.float32), name="w")
    options = schema.TransposeConvOptionsT(padding=mode, strideH=2, strideW=2)
    sketch.op("TRANSPOSE_CONV", [sketch.integers(1, *made, 3), weight, x], [y], options)
    (op,) = read(sketch.finish([x], [y])).ops
    assert op.window is not None
    assert (op.inputs, op.window.padding, op.attributes["output_padding"]) == (("x", "w"), padding, extra)


def test_variables_and_other_subgraphs() -> None:
    """State is kept; what runs other subgraphs is marked, and can't be cloned or tiled."""
    sketch = Sketch()
    x, y = sketch.tensor("x", (1, 8)), sketch.tensor("y", (1, 8))
    state = sketch.tensor("state", (1, 8))
    sketch.graph.tensors[state].isVariable = True
    sketch.op("CALL_ONCE", [], [], schema.CallOnceOptionsT(initSubgraphIndex=1))
    sketch.op("ADD", [x, state], [y], schema.AddOptionsT())
    sketch.model.subgraphs.append(schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name="init"))
    model = sketch.finish([x], [y])
    graph = read(model)
    once, add = graph.ops
    assert (once.kind, once.variant, once.outputs, once.attributes) == (
        "other",
        "call_once",
        (),
        {"control_flow": True},
    )
    assert add.inputs == ("x", "state")
    assert graph.tensors["state"].is_variable
    script = [RemoveOp("y"), Slice("cut", "x", "y", (1,), (0,), (8,))]
    from edgewright.formats.tflite import edited

    assert read(edited(model, script)) == named_after_outputs(apply(graph, script))


def test_steering_inputs_that_are_computed_make_an_op_unknown() -> None:
    sketch = Sketch()
    x, pads, y = sketch.tensor("x", (4, 4)), sketch.tensor("pads", (2, 2), "int32"), sketch.tensor("y", (6, 6))
    sketch.op("PAD", [x, pads], [y], schema.PadOptionsT())
    (op,) = read(sketch.finish([x, pads], [y])).ops
    assert (op.kind, op.variant, op.inputs) == ("other", "pad", ("x", "pads"))


def test_a_constant_of_no_items() -> None:
    sketch = Sketch()
    x, y = sketch.tensor("x", (2, 4)), sketch.tensor("y", (2, 4))
    empty = sketch.tensor("empty", (0, 4))
    sketch.op("CONCATENATION", [x, empty], [y], schema.ConcatenationOptionsT(axis=0))
    graph = read(sketch.finish([x], [y]))
    assert graph.tensors["empty"].is_constant


def test_open_shapes_are_followed() -> None:
    graph = read(conv_relu(is_open=True), {"x": (1, 12, 8, 4)})
    assert graph.tensors["y"].shape == (1, 12, 8, 5)
    assert graph == read(conv_relu(12))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [({}, "--input x="), ({"x": (1, 12, 9, 4)}, r"1x\?x8x4, 1x12x9x4"), ({"x": (1, 12)}, "1x12"), ({"z": ()}, "'z'")],
)
def test_shapes_that_do_not_fit(shapes: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        read(conv_relu(is_open=True), shapes)


def test_a_shape_that_can_not_be_followed_is_named() -> None:
    sketch = Sketch()
    x, y = sketch.tensor("x", (1, 4)), sketch.tensor("y", (1, 4))
    sketch.graph.tensors[x].shapeSignature = np.array([-1, 4], np.int32)
    sketch.op("CUMSUM", [x, sketch.integers(0)], [y])
    model = sketch.finish([x], [y])
    assert read(model).tensors["y"].shape == (1, 4)
    with pytest.raises(ShapeError, match=r"'y' \(cumsum\)"):
        read(model, {"x": (3, 4)})


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(1, 3), st.integers(0, 4))
def test_open_shapes_are_followed_as_the_runtime_does(model: bytes, batch: int, more: int) -> None:
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=RESOLVERS["reference"])
    shapes = {}
    for entry in interpreter.get_input_details():
        _, height, width, channels = map(int, entry["shape"])
        shapes[entry["name"]] = (batch, height + more, width, channels)
        interpreter.resize_tensor_input(entry["index"], shapes[entry["name"]])
    try:
        interpreter.allocate_tensors()
        found = read(_opened(model), shapes)
    except (RuntimeError, ShapeError):
        return
    for entry in interpreter.get_tensor_details():
        if entry["name"] in found.tensors:
            assert found.tensors[entry["name"]].shape == tuple(entry["shape"])


def _opened(model: bytes) -> bytes:
    from tests.formats.tflite.build import packed, unpacked

    opened = unpacked(model)
    for index in opened.subgraphs[0].inputs:
        tensor = opened.subgraphs[0].tensors[index]
        tensor.shapeSignature = np.array([-1, -1, *tensor.shape[2:]], np.int32)
    return packed(opened)


def test_no_file_is_named_in_the_error_of_bytes() -> None:
    with pytest.raises(ShapeError, match=r"^model:"):
        read(conv_relu(is_open=True))
