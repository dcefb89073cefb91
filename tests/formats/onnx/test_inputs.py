"""Shapes of inputs that the file leaves open."""

import pytest
from onnx import TensorProto, helper
from tests.formats.onnx.build import model, node, zeros

from edgewright.errors import ShapeError
from edgewright.formats.onnx import read


def _convolution(*dims: int | str | None) -> object:
    return model([node("Conv", "x w", "y")], {"x": dims}, "y", {"w": zeros(5, 3, 3, 3)})


@pytest.mark.parametrize("batch", ["N", None, 0, -1])
def test_an_open_batch_is_one(batch: int | str | None) -> None:
    assert read(_convolution(batch, 3, 9, 8)).tensors["y"].shape == (1, 5, 7, 6)


def test_other_open_dimensions_have_to_be_given() -> None:
    with pytest.raises(ShapeError, match=r"'x' is open \(Nx3xHx8\); give it as in --input x=1x3x224x8"):
        read(_convolution("N", 3, "H", 8))
    assert read(_convolution("N", 3, "H", 8), {"x": (2, 3, 9, 8)}).tensors["y"].shape == (2, 5, 7, 6)


def test_an_open_shape_has_to_be_given() -> None:
    proto = model([node("Relu", "x", "y")], {"x": None}, "y")
    with pytest.raises(ShapeError, match="any shape"):
        read(proto)
    assert read(proto, {"x": (4,)}).tensors["y"].shape == (4,)


def test_a_single_open_dimension_is_no_batch() -> None:
    with pytest.raises(ShapeError, match="'x'"):
        read(model([node("Relu", "x", "y")], {"x": ("N",)}, "y"))


def test_scalars_are_closed() -> None:
    assert read(model([node("Relu", "x", "y")], {"x": ()}, "y")).tensors["y"].shape == ()


@pytest.mark.parametrize("shape", [(1, 3, 9), (1, 4, 9, 8), (1, 3, 0, 8), (1, 3, -2, 8)])
def test_a_shape_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="'x'"):
        read(_convolution("N", 3, "H", 8), {"x": shape})


def test_an_input_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ShapeError, match="no input 'z'; the inputs are x"):
        read(_convolution(1, 3, 9, 8), {"z": (1,)})


def test_a_dimension_of_the_same_name_is_the_same() -> None:
    proto = model([node("Add", "x z", "y")], {"x": (1, "T"), "z": (1, "T")}, "y")
    assert read(proto, {"x": (1, 7)}).tensors["y"].shape == (1, 7)
    with pytest.raises(ShapeError, match="'T' is given as 7 and 8"):
        read(proto, {"x": (1, 7), "z": (1, 8)})


def test_sequence_inputs_need_no_shape() -> None:
    proto = model([node("SequenceAt", "s i", "a"), node("Relu", "x", "y")], {"x": (3,), "i": ()}, "y")
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    proto.graph.input.append(helper.make_value_info("s", helper.make_sequence_type_proto(kind)))
    assert read(proto).tensors["s"].size_bytes == 0
