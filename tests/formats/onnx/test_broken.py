"""Files that are broken or hostile: one clear line that names the file, and never a crash."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from tests.formats.onnx.build import ints, model, node, zeros
from tests.networks import networks

from edgewright.errors import ModelError
from edgewright.formats.onnx import read
from edgewright.graph.layers import layers_of

MAP = (1, 4, 9, 8)


def _convolution() -> ModelProto:
    return model([node("Conv", "x w", "y", name="conv1")], {"x": MAP}, "y", {"w": zeros(5, 4, 3, 3)})


def _refused(path: Path, data: bytes, *words: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: No such file"):
        read(tmp_path / "none.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="directory"):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x00" * 100, b"\x08\x07", b"\xff" * 9])
def test_what_is_no_model(tmp_path: Path, data: bytes) -> None:
    _refused(tmp_path / "m.onnx", data, "not an ONNX model")


def test_an_operator_set_that_is_too_old(tmp_path: Path) -> None:
    proto = _convolution()
    proto.opset_import[0].version = 6
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "operator set 6", "7")


def test_a_tensor_that_is_cut_off(tmp_path: Path) -> None:
    proto = _convolution()
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'w'")


def test_a_tensor_that_declares_more_than_there_is_memory(tmp_path: Path) -> None:
    proto = _convolution()
    proto.graph.initializer[0].dims[0] = 2**60
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'w'")


def test_a_tensor_with_a_negative_dimension(tmp_path: Path) -> None:
    proto = _convolution()
    proto.graph.initializer[0].dims[0] = -5
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'w'", "negative")


def test_an_element_type_that_does_not_exist(tmp_path: Path) -> None:
    proto = _convolution()
    proto.graph.initializer[0].data_type = 77
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "77")


def test_a_cycle(tmp_path: Path) -> None:
    proto = model([node("Add", "x b", "a"), node("Relu", "a", "b", name="back")], {"x": MAP}, "b")
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "cycle", "'a'")


def test_a_tensor_that_nothing_makes(tmp_path: Path) -> None:
    proto = model([node("Add", "x z", "a", name="sum")], {"x": MAP}, "a")
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'sum'", "'z'")


def test_an_output_that_nothing_makes(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "a")], {"x": MAP}, "b")
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'b'")


def test_a_tensor_that_is_made_twice(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "a"), node("Tanh", "x", "a", name="n")], {"x": MAP}, "a")
    _refused(tmp_path / "m.onnx", proto.SerializeToString(), "'a'", "twice")


def _field(number: int, payload: bytes) -> bytes:
    """A field of a protobuf message that is itself a message."""
    size, rest = b"", len(payload)
    while rest > 127:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + payload


def test_a_deeply_nested_model(tmp_path: Path) -> None:
    graph = b""
    for _ in range(5000):  # a graph in an attribute of a node of a graph
        graph = _field(1, _field(5, _field(6, graph)))
    opset = helper.make_opsetid("", 17).SerializeToString()
    _refused(tmp_path / "m.onnx", _field(7, graph) + _field(8, opset), "not an ONNX model")


@pytest.mark.parametrize(
    "hostile",
    [
        node("Split", "x", "a b c", axis=1, num_outputs=2),
        node("GatherND", "x i", "a", batch_dims=-5),
        node("LayerNormalization", "x w", "a", axis=2**62),
        node("EyeLike", "_", "a"),
        node("Transpose", "x", "a", perm=[0, 0, 1, 9]),
        node("Concat", "x x", "a", axis=9),
        node("Softmax", "x", "a", axis=99),
        node("Conv", "x", "a"),
        node("QLinearConv", "x", "a"),
        node("Gather", "x", "a"),
    ],
    ids=lambda hostile: hostile.op_type,
)
def test_a_node_that_is_not_what_its_op_should_be_is_not_understood(hostile: onnx.NodeProto) -> None:
    proto = model([hostile], {"x": MAP}, "a", {"i": ints(0), "w": zeros(4)}, opset=18)
    assert [op.kind for op in read(proto).ops] == ["other"]


def test_a_slice_of_nothing_backwards() -> None:
    nodes = [node("Slice", "x z z", "e"), node("Slice", "e z z z m", "a")]
    graph = read(model(nodes, {"x": MAP}, "a", {"z": ints(0), "m": ints(-1)}))
    assert graph.tensors["e"].shape == (0, 4, 9, 8)


def _external(tmp_path: Path, location: str, **fields: Any) -> bytes:
    proto = _convolution()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    return proto.SerializeToString()


def test_external_data_that_is_missing(tmp_path: Path) -> None:
    _refused(tmp_path / "m.onnx", _external(tmp_path, "weights.bin"), "weights.bin is missing")


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(5 * 4 * 9 * 4))
    path = tmp_path / "m.onnx"
    path.write_bytes(_external(tmp_path, "weights.bin"))
    assert read(path).tensors["w"].size_bytes == 720
    _refused(path, _external(tmp_path, "weights.bin", offset=4), "too short", "'w'")
    _refused(path, _external(tmp_path, "weights.bin", length=4), "too short", "'w'")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "", ".", "inside/../../weights.bin"])
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(720))
    _refused(folder / "m.onnx", _external(tmp_path, location), "outside the folder", "'w'")


def test_external_data_behind_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(720))
    (folder / "weights.bin").symlink_to(tmp_path / "weights.bin")
    _refused(folder / "m.onnx", _external(tmp_path, "weights.bin"), "outside the folder")


@pytest.mark.parametrize("fields", [{"offset": -1}, {"offset": "x"}, {"length": -4}])
def test_external_data_in_a_place_that_is_none(tmp_path: Path, fields: dict[str, Any]) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(720))
    _refused(tmp_path / "m.onnx", _external(tmp_path, "weights.bin", **fields), "'w'")


def test_small_external_constants_steer_shapes(tmp_path: Path) -> None:
    proto = model([node("Reshape", "x s", "y")], {"x": (6, 4)}, "y", {"s": ints(3, -1)})
    (tmp_path / "weights.bin").write_bytes(b"\xff" * 8 + ints(3, -1).tobytes())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "8"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    assert read(path).tensors["y"].shape == (3, 8)


def _read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        graph = read(path)
    except ModelError as error:
        assert "\n" not in str(error)
        return
    layers_of(graph)
    assert all(tensor.size_bytes >= 0 for tensor in graph.tensors.values())


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(st.sampled_from(["float", "qdq", "qlinear"]), st.data())
def test_truncated_files(tmp_path_factory: pytest.TempPathFactory, style: str, data: st.DataObject) -> None:
    whole = data.draw(networks(style=style, most_ops=3)).SerializeToString()
    _read_or_refuse(tmp_path_factory.mktemp("fuzz") / "m.onnx", whole[: data.draw(st.integers(0, len(whole) - 1))])


@FUZZ
@given(st.sampled_from(["float", "qdq", "qlinear"]), st.data())
def test_files_with_flipped_bits(tmp_path_factory: pytest.TempPathFactory, style: str, data: st.DataObject) -> None:
    flipped = bytearray(data.draw(networks(style=style, most_ops=3)).SerializeToString())
    for place in data.draw(st.lists(st.integers(0, 8 * len(flipped) - 1), min_size=1, max_size=6)):
        flipped[place // 8] ^= 1 << place % 8
    _read_or_refuse(tmp_path_factory.mktemp("fuzz") / "m.onnx", bytes(flipped))


_NUMBERS = st.sampled_from([0, 1, -1, 2, 7, -7, 2**31, -(2**31), 2**62, -(2**63), 2**63 - 1])


def _change_attribute(proto: ModelProto, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    attributes = [attribute for n in proto.graph.node for attribute in n.attribute]
    if not attributes:
        return
    attribute = draw(st.sampled_from(attributes))
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i = draw(_NUMBERS)
    elif attribute.type == onnx.AttributeProto.INTS:
        attribute.ints[:] = draw(st.lists(_NUMBERS, max_size=5))


def _change_operands(proto: ModelProto, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    names = [name for n in proto.graph.node for name in n.input]
    changed = draw(st.sampled_from(list(proto.graph.node)))
    changed.input[:] = draw(st.lists(st.sampled_from([*names, ""]), max_size=len(changed.input) + 1))


def _change_constant(proto: ModelProto, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    stored = [tensor for tensor in proto.graph.initializer if tensor.data_type == TensorProto.INT64]
    if stored:
        tensor = draw(st.sampled_from(stored))
        array = np.array(draw(st.lists(_NUMBERS, max_size=5)), np.int64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


@FUZZ
@given(st.sampled_from(["float", "qdq", "qlinear"]), st.data())
def test_files_with_strange_numbers_and_operands(
    tmp_path_factory: pytest.TempPathFactory, style: str, data: st.DataObject
) -> None:
    proto = data.draw(networks(style=style, most_ops=4))
    for change in data.draw(
        st.lists(st.sampled_from([_change_attribute, _change_operands, _change_constant]), min_size=1, max_size=3)
    ):
        change(proto, data.draw)
    _read_or_refuse(tmp_path_factory.mktemp("fuzz") / "m.onnx", proto.SerializeToString())
