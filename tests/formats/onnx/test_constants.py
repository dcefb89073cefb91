"""Values of the constants of a file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.errors import ModelError
from edgewright.formats.onnx import constants

WEIGHTS = np.arange(16, dtype=np.float32).reshape(4, 4, 1, 1)


def write(path: Path, apart: bool) -> Path:
    stored = [
        numpy_helper.from_array(WEIGHTS, "weights"),
        numpy_helper.from_array(np.full((4, 4, 1, 1), 3, np.int8), "narrow"),
        numpy_helper.from_array(np.float32(0.5), "scale"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["narrow", "scale"], ["wide"], "wide"),
        helper.make_node("Conv", ["x", "weights"], ["a"], "first"),
        helper.make_node("Conv", ["a", "wide"], ["y"], "second"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 3, 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=apart, location="data", size_threshold=0)
    return path


@pytest.mark.parametrize("apart", [False, True])
def test_floats_are_told_and_quantized_weights_are_not(tmp_path: Path, apart: bool) -> None:
    found = constants(write(tmp_path / "m.onnx", apart))
    assert set(found) == {"weights"}
    np.testing.assert_array_equal(found["weights"], WEIGHTS)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        constants(tmp_path / "none.onnx")
