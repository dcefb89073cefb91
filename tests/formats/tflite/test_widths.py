"""What width edits write into a TFLite model, and what they leave as it was."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tests.formats.tflite.build import Sketch, conv_relu, packed, unpacked
from tests.formats.tflite.test_width_laws import assert_same, check

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite import constants, edited, read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.dead_channels import dead_channels
from edgewright.graph.width_edits import SetWidth

RANDOM = np.random.default_rng(0)
CONV = {"padding": schema.Padding.SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def weight(*shape: int, dtype: str = "int8") -> Any:
    if dtype == "float32":
        return RANDOM.standard_normal(shape).astype(np.float32)
    return RANDOM.integers(-127 if dtype == "int8" else 0, 128, shape).astype(dtype)


def conv(sketch: Sketch, given: int, filters: int, name: str) -> int:
    """A convolution of 3x3 in float."""
    *space, channels = sketch.shape(given)
    made = sketch.tensor(name, (*space, filters))
    operands = [sketch.constant(weight(*shape, dtype="float32")) for shape in ((filters, 3, 3, channels), (filters,))]
    sketch.op("CONV_2D", [given, *operands], [made], schema.Conv2DOptionsT(**CONV))
    return made


def integer_conv(sketch: Sketch, given: int, filters: int, name: str, dtype: str = "int8", **scales: Any) -> int:
    """A convolution of 1x1 on integers, with one scale for each channel, or one with a zero point."""
    *space, channels = sketch.shape(given)
    made = sketch.tensor(name, (*space, filters), dtype, 0.05, -7 if dtype == "int8" else 12)
    per_channel = np.linspace(0.01, 0.02, filters) if dtype == "int8" else 0.01
    stored = sketch.constant(weight(filters, 1, 1, channels, dtype=dtype), per_channel, 0, scales.get("zero", 0))
    bias = sketch.constant(RANDOM.integers(-99, 99, filters).astype(np.int32), np.asarray(per_channel) * 0.05)
    sketch.op("CONV_2D", [given, stored, bias], [made], schema.Conv2DOptionsT(**CONV), 3)
    return made


def wider(model: bytes, added: int = 3) -> bytes:
    """The model with new channels in every group, for which the law holds and outputs stay."""
    script = [SetWidth(group, tuple(range(group.width)), added) for group in find_groups(read(model))]
    assert script
    result = check(model, script)
    assert_same(model, result)
    return result


def tensors(model: bytes) -> dict[str, Any]:
    return {tensor.name.decode(): tensor for tensor in unpacked(model).subgraphs[0].tensors if tensor.name}


def test_new_channels_have_the_scale_of_the_one_before_them() -> None:
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 3), "int8", 0.05, 3)
    made = integer_conv(sketch, integer_conv(sketch, x, 5, "a"), 2, "y")
    model = sketch.finish([x], [made])
    first, bias = list(tensors(wider(model)).values())[2:4]
    old = list(tensors(model).values())[2]
    assert list(first.shape) == [8, 1, 1, 3]
    np.testing.assert_array_equal(first.quantization.scale[:5], old.quantization.scale)
    assert set(first.quantization.scale[5:]) == {old.quantization.scale[4]}
    assert len(bias.quantization.scale) == 8
    assert len(first.quantization.zeroPoint) == 8


def test_new_channels_hold_the_zero_point() -> None:
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 3), "uint8", 0.05, 100)
    a = integer_conv(sketch, x, 5, "a", "uint8", zero=117)
    model = sketch.finish([x], [integer_conv(sketch, a, 2, "y", "uint8", zero=30)])
    result = unpacked(wider(model))
    stored = [result.subgraphs[0].tensors[one.inputs[1]] for one in result.subgraphs[0].operators]
    values = [np.frombuffer(bytes(result.buffers[one.buffer].data), np.uint8).reshape(one.shape) for one in stored]
    assert (values[0][5:] == 117).all()
    assert (values[1][..., 5:] == 30).all()


def shared(is_both: bool) -> bytes:
    """Two convolutions of one size whose weights lie in one buffer; of the second, the output is the network's."""
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 4))
    a, b = conv(sketch, x, 4, "a"), sketch.tensor("b", (1, 4, 4, 4))
    first, bias = sketch.graph.operators[0].inputs[1:]
    copy = sketch.constant(np.zeros((4, 3, 3, 4), np.float32), name="copy")
    sketch.graph.tensors[copy].buffer = sketch.graph.tensors[first].buffer
    sketch.op("CONV_2D", [x, copy, bias if is_both else sketch.constant(weight(4, dtype="float32"))], [b],
              schema.Conv2DOptionsT(**CONV))  # fmt: skip
    ends = [conv(sketch, a, 2, "y"), conv(sketch, b, 2, "z") if is_both else b]
    return sketch.finish([x], ends)


@pytest.mark.parametrize("is_both", [True, False])
def test_a_buffer_is_shared_as_long_as_it_changes_alike(is_both: bool) -> None:
    result = unpacked(wider(shared(is_both)))
    first, second = (result.subgraphs[0].tensors[result.subgraphs[0].operators[i].inputs[1]] for i in (0, 1))
    assert (first.buffer == second.buffer) == is_both
    assert tuple(first.shape) == (7, 3, 3, 4)
    assert tuple(second.shape) == ((7, 3, 3, 4) if is_both else (4, 3, 3, 4))


def halves(version: int = 1) -> tuple[Sketch, int, list[int]]:
    """A map that is split, whose parts are read by convolutions."""
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 3))
    a = conv(sketch, x, 6, "a")
    parts = [sketch.tensor(name, (1, 4, 4, 3)) for name in ("p", "q")]
    return sketch, a, parts


def test_parts_that_grow_apart_are_split_by_sizes() -> None:
    sketch, a, parts = halves()
    sketch.op("SPLIT", [sketch.integers(3, shape=()), a], parts, schema.SplitOptionsT(numSplits=2))
    model = sketch.finish([0], [conv(sketch, part, 2, f"y{part}") for part in parts])
    first, second = [group for group in find_groups(read(model)) if group.growable]
    for scripts, builtin in (((first,), "SPLIT_V"), ((first, second), "SPLIT")):
        result = check(model, [SetWidth(group, (0, 1, 2), 2) for group in scripts])
        assert_same(model, result)
        codes = [code.builtinCode for code in unpacked(result).operatorCodes]
        assert getattr(schema.BuiltinOperator, builtin) in codes


@pytest.mark.parametrize("ends", [(0, 0, 0, 3), (1, 4, 4, 3), (99, -1, 0, -3)])
def test_slices_follow_their_channels(ends: tuple[int, ...]) -> None:
    """Ends may be beyond the last item, or be counted from it."""
    sketch, a, (p, q) = halves()
    lows, ones, rest = sketch.integers(0, 0, 0, 3), sketch.integers(1, 1, 1, 1), sketch.integers(-1, 4, -1, -1)
    mask = sum(1 << axis for axis, end in enumerate(ends[:3]) if end in (0, -1, 99))
    options = schema.StridedSliceOptionsT(beginMask=0b0111, endMask=mask)
    sketch.op("STRIDED_SLICE", [a, sketch.integers(0, 0, 0, 0), sketch.integers(*ends), ones], [p], options)
    sketch.op("SLICE", [a, lows, rest], [q], schema.SliceOptionsT())
    model = sketch.finish([0], [conv(sketch, part, 2, f"y{part}") for part in (p, q)])
    wider(model)


def test_signatures_keep_what_is_open() -> None:
    proto = unpacked(conv_relu())
    sketch = Sketch(proto, proto.subgraphs[0])
    made = conv(sketch, 2, 3, "z")
    for index in (0, 1, 2, made):
        tensor = proto.subgraphs[0].tensors[index]
        tensor.shapeSignature = np.array([-1, *tensor.shape[1:]], np.int32)
    proto.subgraphs[0].outputs = np.array([made], np.int32)
    found = tensors(wider(packed(proto)))
    assert tuple(found["a"].shapeSignature) == (-1, 9, 8, 8)
    assert tuple(found["z"].shapeSignature) == (-1, 9, 8, 3)


def test_what_is_open_stays_open_where_a_shape_is_given() -> None:
    model, shapes = conv_relu(is_open=True), {"x": (1, 9, 8, 4)}
    proto = unpacked(model)
    sketch = Sketch(proto, proto.subgraphs[0])
    z = conv(sketch, 2, 3, "z")
    proto.subgraphs[0].tensors[z].shapeSignature = np.array([1, -1, 8, 3], np.int32)
    proto.subgraphs[0].outputs = np.array([z], np.int32)
    model = packed(proto)
    graph = read(model, shapes)
    (group,) = find_groups(graph)
    result = edited(model, [SetWidth(group, (0, 1, 2, 3, 4), 2)], shapes)
    found = tensors(result)
    assert [list(found["a"].shape), list(found["a"].shapeSignature)] == [[1, 1, 8, 7], [1, -1, 8, 7]]
    assert list(found["x"].shapeSignature) == [1, -1, 8, 4]
    other = {"x": (1, 12, 8, 4)}
    assert read(result, other).tensors["a"].shape == (1, 12, 8, 7)


def test_metadata_stays() -> None:
    proto = unpacked(shared(True))
    proto.buffers.append(schema.BufferT(data=np.frombuffer(b"a note", np.uint8)))
    proto.metadata = [schema.MetadataT(name="note", buffer=len(proto.buffers) - 1)]
    proto.description = "what it is"
    result = unpacked(wider(packed(proto)))
    assert result.description == b"what it is"
    assert bytes(result.buffers[result.metadata[0].buffer].data) == b"a note"


def test_a_weight_that_is_computed_in_another_way_is_refused() -> None:
    sketch = Sketch()
    x, a, w = sketch.tensor("x", (1, 4, 4, 3)), sketch.tensor("a", (1, 4, 4, 5)), sketch.tensor("w", (5, 1, 1, 3))
    stored = sketch.constant(weight(3, 5, dtype="float32"))
    turned = sketch.tensor("turned", (5, 3))
    sketch.op("TRANSPOSE", [stored, sketch.integers(1, 0)], [turned], schema.TransposeOptionsT())
    sketch.op("RESHAPE", [turned, sketch.integers(5, 1, 1, 3)], [w], schema.ReshapeOptionsT())
    sketch.op("CONV_2D", [x, w, sketch.constant(weight(5, dtype="float32"))], [a], schema.Conv2DOptionsT(**CONV))
    model = sketch.finish([x], [conv(sketch, a, 2, "y")])
    (group,) = find_groups(read(model))
    with pytest.raises(UnsupportedModelError, match="the width of the constant 'w' can't be changed"):
        edited(model, [SetWidth(group, tuple(range(5)), 1)])


def test_dead_channels_of_integer_networks_are_found() -> None:
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 3), "uint8", 0.05, 100)
    a = integer_conv(sketch, x, 5, "a", "uint8", zero=117)
    proto_weight, bias = sketch.graph.operators[0].inputs[1:]
    for index, value in ((proto_weight, 117), (bias, 0)):
        buffer = sketch.model.buffers[sketch.graph.tensors[index].buffer]
        dtype = np.uint8 if index == proto_weight else np.int32
        items = np.frombuffer(bytes(buffer.data), dtype).reshape(sketch.shape(index)).copy()
        items[[1, 3]] = value
        buffer.data = np.frombuffer(items.tobytes(), np.uint8)
    model = sketch.finish([x], [integer_conv(sketch, a, 2, "y", "uint8", zero=30)])
    graph = read(model)
    (group,) = find_groups(graph)
    assert dead_channels(graph, [group], constants(model)) == {group.name: (1, 3)}
    assert_same(model, check(model, [SetWidth(group, (0, 2, 4))]))
