"""What an edit script leaves as it was in a TFLite model, and what it writes."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tests.formats.tflite.build import Sketch, conv_relu, packed, unpacked
from tests.formats.tflite.test_apply import check
from tests.tflite_networks import RESOLVERS, feed, run

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.formats.tflite import apply, edited, read
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice
from edgewright.graph.types import Graph

INF = float("inf")


def strips(graph: Graph, after: str = "") -> list[Edit]:
    """The convolution of `conv_relu` in two strips, padded by ops of their own."""
    conv = graph.ops[0]
    rest = conv.inputs[1:]
    return [
        RemoveOp("a"),
        Slice("x0", "x", "x0", (1,), (0,), (6,)),
        Pad("p0", "x0", "p0", ((0, 0), (1, 0), (1, 1), (0, 0))),
        CloneOp("a0", "a", ("p0", *rest), ("a0",), ((0, 0), (0, 0))),
        Slice("x1", "x", "x1", (1,), (4,), (9,), after),
        Pad("p1", "x1", "p1", ((0, 0), (0, 1), (1, 1), (0, 0))),
        CloneOp("a1", "a", ("p1", *rest), ("a1",), ((0, 0), (0, 0))),
        Concat("join", ("a0", "a1"), "a", 1),
    ]


def one_op(builtin: str, options: Any, given: tuple[int, ...], made: tuple[int, ...], *constants: Any) -> bytes:
    """A model of one float operator from `x` to `y`."""
    sketch = Sketch()
    x, y = sketch.tensor("x", given), sketch.tensor("y", made)
    inputs = [x, *(sketch.constant(np.asarray(value)) for value in constants)]
    sketch.op(builtin, inputs, [y], options)
    return sketch.finish([x], [y])


def test_weights_are_shared() -> None:
    model = conv_relu()
    result = unpacked(check(model, strips(read(model))))
    weights = [operator.inputs[1:] for operator in result.subgraphs[0].operators if len(operator.inputs) == 3]
    held = [tuple(one) for one in weights if result.subgraphs[0].tensors[one[0]].name == b"w"]
    assert len(held) == 2 == len([one for one in held if one == held[0]])
    assert sum(len(buffer.data) == 720 for buffer in result.buffers if buffer.data is not None) == 1


def test_weights_begin_at_multiples_of_16() -> None:
    """As the schema says; microcontrollers read them in place."""
    result = edited(conv_relu(), [])
    for buffer in unpacked(result).buffers:
        if buffer.data is not None:
            assert result.index(bytes(buffer.data)) % 16 == 0


def test_same_stays_where_it_gives_the_same() -> None:
    """Tiles over the full height keep their mode, and no pad op comes in."""
    model = conv_relu()
    conv = read(model).ops[0]
    result = unpacked(check(model, [RemoveOp("a"), CloneOp("c", "a", conv.inputs, ("a",), ((1, 1), (1, 1)))]))
    first, second = result.subgraphs[0].operators
    assert first.builtinOptions.padding == schema.Padding.SAME
    assert second.builtinOptions is None


def test_other_padding_is_refused() -> None:
    model = conv_relu()
    conv = read(model).ops[0]
    script = [RemoveOp("a"), CloneOp("q", "a", conv.inputs, ("a",), ((2, 0), (1, 1)))]
    with pytest.raises(UnsupportedModelError, match="SAME and VALID"):
        edited(model, script)


def test_a_slice_can_not_wait() -> None:
    model = conv_relu()
    with pytest.raises(UnsupportedModelError, match="file order"):
        edited(model, strips(read(model), after="a0"))


def test_a_script_that_does_not_fit() -> None:
    with pytest.raises(ModelError, match="no op 'none'"):
        edited(conv_relu(), [RemoveOp("none")])


@pytest.mark.parametrize("value", [0.0, 1.5, -INF])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int16"])
def test_pad_writes_the_real_value(value: float, dtype: str) -> None:
    scale, zero = (None, 0) if dtype == "float32" else (0.5, 3 if dtype == "int8" else 0)
    sketch = Sketch()
    x = sketch.tensor("x", (1, 4, 4, 2), dtype, scale, zero)
    y = sketch.tensor("y", (1, 2, 2, 2), dtype, scale, zero)
    options = schema.Pool2DOptionsT(padding=schema.Padding.VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    sketch.op("AVERAGE_POOL_2D", [x], [y], options, {"float32": 1, "int8": 2, "int16": 3}[dtype])
    model = sketch.finish([x], [y])
    script = [
        RemoveOp("y"),
        Slice("part", "x", "part", (1, 2), (0, 0), (3, 3)),
        Pad("padded", "part", "padded", ((0, 0), (0, 1), (0, 1), (0, 0)), value),
        CloneOp("clone", "y", ("padded",), ("y",)),
    ]
    result = edited(model, script)
    kernels = RESOLVERS["reference"]
    interpreter = Interpreter(
        model_content=result, experimental_preserve_all_tensors=True, experimental_op_resolver_type=kernels
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed(model)[0])
    interpreter.invoke()
    details = {entry["name"]: entry for entry in interpreter.get_tensor_details()}
    stored = interpreter.get_tensor(details["padded"]["index"])[0, 3, 3, 0]
    least = {"float32": -INF, "int8": -128, "int16": -32768}[dtype]
    assert stored == (least if value == -INF else value if scale is None else value / scale + zero)
    builtins = {code.builtinCode for code in unpacked(result).operatorCodes}
    is_zero = value == 0.0
    assert (schema.BuiltinOperator.PAD in builtins, schema.BuiltinOperator.PADV2 in builtins) == (is_zero, not is_zero)


def test_joining_other_scales_is_refused() -> None:
    sketch = Sketch()
    x, w = sketch.tensor("x", (1, 2, 2, 2), "int8", 0.5), sketch.tensor("w", (1, 2, 2, 2), "int8", 0.25)
    y, z = sketch.tensor("y", (1, 2, 2, 2), "int8", 0.5), sketch.tensor("z", (1, 2, 2, 2), "int8", 0.25)
    sketch.op("RELU", [x], [y], None, 2)
    sketch.op("RELU", [w], [z], None, 2)
    model = sketch.finish([x, w], [y, z])
    with pytest.raises(UnsupportedModelError, match="different scales"):
        edited(model, [Concat("both", ("y", "z"), "both", 3)])


def test_constants_of_an_op_that_moves_data() -> None:
    """Clones of slices, pads and resizes get sizes of their own, and leave their source's alone."""
    cut = one_op(
        "STRIDED_SLICE", schema.StridedSliceOptionsT(), (1, 8, 4, 3), (1, 8, 4, 2),
        np.array([0, 0, 0, 1], np.int32), np.array([1, 8, 4, 3], np.int32), np.ones(4, np.int32),
    )  # fmt: skip
    part = one_op(
        "SLICE", schema.SliceOptionsT(), (1, 8, 4, 3), (1, 8, 4, 2),
        np.array([0, 0, 0, 1], np.int32), np.array([1, 8, 4, 2], np.int32),
    )  # fmt: skip
    resize = one_op(
        "RESIZE_NEAREST_NEIGHBOR", schema.ResizeNearestNeighborOptionsT(), (1, 8, 4, 3), (1, 16, 8, 3),
        np.array([16, 8], np.int32),
    )  # fmt: skip
    for model in (cut, part, resize):
        script = [
            RemoveOp("y"),
            Slice("x0", "x", "x0", (1,), (0,), (3,)),
            CloneOp("y0", "y", ("x0",), ("y0",)),
            Slice("x1", "x", "x1", (1,), (3,), (8,)),
            CloneOp("y1", "y", ("x1",), ("y1",)),
            Concat("join", ("y0", "y1"), "y", 1),
        ]
        check(model, script)


def test_a_pad_with_padding_of_its_own() -> None:
    pads = np.array([[0, 0], [1, 2], [1, 1], [0, 0]], np.int32)
    model = one_op("PAD", schema.PadOptionsT(), (1, 8, 4, 3), (1, 11, 6, 3), pads)
    script = [
        RemoveOp("y"),
        Slice("x0", "x", "x0", (1,), (0,), (3,)),
        CloneOp("y0", "y", ("x0",), ("y0",), ((0, 0), (1, 0), (1, 1), (0, 0))),
        Slice("x1", "x", "x1", (1,), (3,), (8,)),
        CloneOp("y1", "y", ("x1",), ("y1",), ((0, 0), (0, 2), (1, 1), (0, 0))),
        Concat("join", ("y0", "y1"), "y", 1),
    ]
    check(model, script)


def test_a_slice_of_a_constant_is_a_constant() -> None:
    model = one_op("ADD", schema.AddOptionsT(), (1, 8, 4, 3), (1, 8, 4, 3), np.ones((1, 8, 4, 3), np.float32))
    (added,) = read(model).ops
    script = [
        RemoveOp("y"),
        Slice("x0", "x", "x0", (1,), (0,), (8,)),
        Slice("k", added.inputs[1], "k", (1,), (0,), (8,)),
        CloneOp("clone", "y", ("x0", "k"), ("y",)),
    ]
    result = check(model, script)
    assert [op.kind for op in read(result).ops] == ["slice", "binary"]


def test_what_nothing_reads_any_more_is_gone() -> None:
    model = conv_relu()
    script = [RemoveOp("a"), RemoveOp("y"), Slice("s", "x", "s", (3,), (0,), (1,)),
              Concat("join", ("s", "s", "s", "s", "s"), "y", 3)]  # fmt: skip
    result = unpacked(edited(model, script))
    names = {tensor.name for tensor in result.subgraphs[0].tensors}
    assert not names & {b"a", b"w", b"b"}
    assert not any(len(buffer.data) == 720 for buffer in result.buffers if buffer.data is not None)
    codes = {code.builtinCode for code in result.operatorCodes}
    assert codes == {schema.BuiltinOperator.SLICE, schema.BuiltinOperator.CONCATENATION}


def test_signatures_metadata_and_custom_options_stay() -> None:
    sketch = unpacked(conv_relu())
    graph = sketch.subgraphs[0]
    y = int(graph.outputs[0])
    graph.tensors.append(schema.TensorT(shape=np.array([1], np.int32), name="z"))
    sketch.operatorCodes.append(schema.OperatorCodeT(32, "Mine", 1, schema.BuiltinOperator.CUSTOM))
    mine = schema.OperatorT(
        opcodeIndex=2, inputs=np.array([y], np.int32), outputs=np.array([len(graph.tensors) - 1], np.int32),
        customOptions=np.frombuffer(b"anything", np.uint8),
    )  # fmt: skip
    graph.operators.append(mine)
    sketch.buffers.append(schema.BufferT(data=np.frombuffer(b"1.14.0", np.uint8)))
    sketch.buffers.append(schema.BufferT(data=np.frombuffer(b"plan", np.uint8)))
    count = len(sketch.buffers)
    sketch.metadata = [
        schema.MetadataT("min_runtime_version", count - 2), schema.MetadataT("OfflineMemoryAllocation", count - 1)
    ]  # fmt: skip
    maps = [schema.TensorMapT("input", int(graph.inputs[0]))], [schema.TensorMapT("output", y)]
    sketch.signatureDefs = [schema.SignatureDefT(*maps, "serving_default", 0)]
    model = packed(sketch)
    assert [op.kind for op in read(model).ops] == ["conv", "unary", "other"]
    assert read(model).ops[2].variant == "Mine"
    result = unpacked(edited(model, strips(read(model))))
    tensors = result.subgraphs[0].tensors
    (signature,) = result.signatureDefs
    assert [tensors[entry.tensorIndex].name for entry in (*signature.inputs, *signature.outputs)] == [b"x", b"y"]
    assert [bytes(result.buffers[entry.buffer].data) for entry in result.metadata] == [b"1.14.0"]
    assert bytes(result.subgraphs[0].operators[-1].customOptions) == b"anything"
    assert result.operatorCodes[result.subgraphs[0].operators[-1].opcodeIndex].customCode == b"Mine"


def test_buffers_outside_of_the_flatbuffer_stay_there() -> None:
    """The form of files above 2 GB: buffers lie behind the flatbuffer, by their place in the file."""
    model, plain = unpacked(conv_relu()), conv_relu()
    contents = {}
    for index, buffer in enumerate(model.buffers):
        if buffer.data is not None:
            contents[index] = bytes(buffer.data)
            buffer.data, buffer.offset, buffer.size = None, 1, len(contents[index])
    size = len(packed(model))
    place = size
    for index, content in contents.items():
        model.buffers[index].offset = place
        place += len(content)
    outside = packed(model) + b"".join(contents.values())
    assert read(outside) == read(plain)
    script = strips(read(outside))
    result = check(outside, script)
    after = unpacked(result)
    held = [result[buffer.offset : buffer.offset + buffer.size] for buffer in after.buffers if buffer.size]
    assert held == list(contents.values())
    assert all(buffer.offset % 16 == 0 for buffer in after.buffers)
    np.testing.assert_array_equal(run(result, feed(plain))[0], run(edited(plain, script), feed(plain))[0])


def test_a_buffer_that_lies_behind_the_end_is_refused() -> None:
    model = unpacked(conv_relu())
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 1 << 40, 720
    with pytest.raises(ModelError, match="outside"):
        read(packed(model))


def test_attached_files_stay_attached() -> None:
    """Label files of TFLite metadata are a zip archive at the end of the file."""
    model = unpacked(conv_relu())
    model.buffers.append(schema.BufferT(data=np.frombuffer(b"about", np.uint8)))
    model.metadata = [schema.MetadataT("TFLITE_METADATA", len(model.buffers) - 1)]
    file = io.BytesIO(packed(model))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    result = check(file.getvalue(), strips(read(file.getvalue())))
    with zipfile.ZipFile(io.BytesIO(result)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"


def test_names_that_are_shared_absent_or_taken() -> None:
    model = unpacked(conv_relu())
    tensors = model.subgraphs[0].tensors
    for tensor in tensors:
        tensor.name = None if tensor.name == b"a" else b"x"
    data = packed(model)
    graph = read(data)
    assert len(set(graph.tensors)) == 5
    relu = graph.ops[1]
    script = [
        RemoveOp(relu.name),
        CloneOp("clone", relu.name, relu.inputs, ("tensor-2",)),
        Slice("x-9", "tensor-2", graph.outputs[0], (1,), (0,), (9,)),
    ]
    check(data, script)


def test_a_new_tensor_takes_the_name_of_a_constant_that_is_no_tensor_of_the_graph() -> None:
    pads = np.array([[0, 0], [1, 2], [1, 1], [0, 0]], np.int32)
    model = one_op("PAD", schema.PadOptionsT(), (1, 8, 4, 3), (1, 11, 6, 3), pads)
    assert "c2" not in read(model).tensors
    check(model, [RemoveOp("y"), CloneOp("c2", "y", ("x",), ("c2",)), Slice("s", "c2", "y", (1,), (0,), (11,))])


def test_the_source_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(conv_relu())
    with pytest.raises(ModelError, match="overwrite"):
        apply(path, [], path)
    with pytest.raises(ModelError, match="no folder"):
        apply(path, [], tmp_path / "none" / "m.tflite")
    with pytest.raises(ModelError):
        apply(path, [], tmp_path)
    assert list(tmp_path.iterdir()) == [path]
