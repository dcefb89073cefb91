"""Files that are broken or hostile: one clear line that names the file, and never a crash or unbounded memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.tflite.build import conv_relu, packed, unpacked
from tests.tflite_networks import networks

from edgewright.errors import ModelError
from edgewright.formats.tflite import edited, int8_io, read
from edgewright.graph.layers import layers_of


def _tried(data: bytes) -> None:
    """Reads a file, lays its layers out, and writes it: all of that works, or ends in an error of ours."""
    try:
        layers_of(read(data))
        edited(data, [])
        int8_io(data)
    except ModelError as error:
        assert "\n" not in str(error)


def _refused(path: Path, data: bytes, *words: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x00" * 100, b"\x18\x00\x00\x00TFL3", b"\xff" * 9])
def test_what_is_no_model(tmp_path: Path, data: bytes) -> None:
    _refused(tmp_path / "m.tflite", data, "not a TFLite model")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="directory"):
        read(tmp_path)


@pytest.mark.parametrize("share", [i / 40 for i in range(40)])
def test_a_file_that_is_cut_off(share: float) -> None:
    data = conv_relu()
    with pytest.raises(ModelError):
        read(data[: int(share * len(data))])


@settings(max_examples=120)
@given(
    st.sampled_from(("float", "int8")).flatmap(networks),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.3, 1.0),
)
def test_files_with_other_bytes(model: bytes, changes: list[tuple[float, int]], share: float) -> None:
    data = bytearray(model)
    for place, byte in changes:
        data[int(place * len(data))] = byte
    _tried(bytes(data if share > 0.9 else data[: int(share * len(data))]))


@settings(max_examples=120)
@given(st.data())
def test_files_with_flipped_bits(data: st.DataObject) -> None:
    """Most bytes of a small file are offsets, lengths and indices."""
    model = bytearray(conv_relu())
    for bit in data.draw(st.lists(st.integers(0, 8 * len(model) - 1), min_size=1, max_size=4)):
        model[bit // 8] ^= 1 << bit % 8
    _tried(bytes(model))


def _change(change: Callable[[Any], object]) -> bytes:
    model = unpacked(conv_relu())
    change(model)
    return packed(model)


def _graph(model: Any) -> Any:
    return model.subgraphs[0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda m: setattr(m, "version", 7), "version 7"),
        (lambda m: setattr(m, "subgraphs", []), "no subgraph"),
        (lambda m: setattr(m, "buffers", []), "no buffers"),
        (lambda m: setattr(_graph(m), "inputs", np.array([99], np.int32)), "index 99"),
        (lambda m: setattr(_graph(m), "outputs", np.array([-2], np.int32)), "index -2"),
        (lambda m: setattr(_graph(m), "inputs", np.array([], np.int32)), "'x' is read before it is made"),
        (lambda m: setattr(_graph(m), "outputs", np.array([_unmade(m)], np.int32)), "nothing makes"),
        (lambda m: setattr(_graph(m).operators[0], "opcodeIndex", 9), "index 9"),
        (lambda m: setattr(_graph(m).operators[0], "inputs", np.array([0, 77], np.int32)), "index 77"),
        (lambda m: setattr(_graph(m), "operators", _graph(m).operators[::-1]), "'a' is read before"),
        (lambda m: _graph(m).operators.append(_graph(m).operators[0]), "'a' is made twice"),
        (lambda m: setattr(_graph(m).tensors[0], "shape", np.array([1, -9, 8, 4], np.int32)), "negative"),
        (lambda m: setattr(_graph(m).tensors[0], "shape", np.ones(99, np.int32)), "too many"),
        (lambda m: setattr(_graph(m).tensors[3], "shape", np.array([5, 3, 3, 9], np.int32)), "holds 720 bytes"),
        (lambda m: setattr(_graph(m).tensors[3], "buffer", 12), "index 12"),
        (lambda m: setattr(m, "metadata", [schema.MetadataT("more", 55)]), "index 55"),
        (lambda m: setattr(m, "signatureDefs", [schema.SignatureDefT([], [], "s", 4)]), "index 4"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, change: Callable[[Any], object], word: str) -> None:
    _refused(tmp_path / "m.tflite", _change(change), word)


def _unmade(model: Any) -> int:
    _graph(model).tensors.append(schema.TensorT(shape=np.array([1], np.int32), name="lost"))
    return len(_graph(model).tensors) - 1


def test_options_that_are_newer_are_read_and_not_written() -> None:
    data = _change(lambda m: setattr(_graph(m).operators[1], "builtinOptionsType", 0))
    model = bytearray(data)
    assert read(bytes(model)).ops
    newer = _change(lambda m: setattr(_graph(m).operators[1], "builtinOptionsType", 250))
    assert [op.kind for op in read(newer).ops] == ["conv", "unary"]
    with pytest.raises(ModelError, match="newer"):
        edited(newer, [])


@pytest.mark.parametrize("field", ["padding", "strideH", "strideW", "dilationHFactor"])
def test_options_that_make_no_sense_make_the_op_unknown(field: str) -> None:
    data = _change(lambda m: setattr(_graph(m).operators[0].builtinOptions, field, 99 if field == "padding" else 0))
    assert read(data).ops[0].kind == "other"


def test_an_operator_without_its_options_is_unknown() -> None:
    def change(model: Any) -> None:
        _graph(model).operators[0].builtinOptions = None

    assert read(_change(change)).ops[0].variant == "conv_2d"


def test_tables_that_are_part_of_one_another() -> None:
    """Vectors whose entries are all the same large table: a bomb, of which little is unpacked."""
    import flatbuffers

    def vector(offsets: list[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("n" * 1000)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, name)
    tensors = vector([schema.TensorEnd(builder)] * 20_000)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graphs = vector([schema.SubGraphEnd(builder)] * 20_000)
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    data = bytes(builder.Output())
    tracemalloc.start()
    with pytest.raises(ModelError, match="broken"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 200 * len(data)
    tracemalloc.stop()
