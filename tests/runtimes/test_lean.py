"""Lean sessions compute what default ones do."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.errors import ModelError, RuntimeRefusedError
from edgewright.runtimes.lean import lean_session


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights = np.random.default_rng(0).random((8, 3, 3, 3), dtype=np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 30, 30])
    graph = helper.make_graph(nodes, "g", [given], [made], [numpy_helper.from_array(weights, "w")])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(("settings", "arena_bytes"), [("lean", 0), ("arena", 1 << 20), ("arena", 0)])
def test_outputs_are_those_of_a_default_session(model: Path, settings: str, arena_bytes: int) -> None:
    x = np.random.default_rng(1).random((1, 3, 32, 32), dtype=np.float32)
    session = lean_session(model, settings, arena_bytes=arena_bytes)  # type: ignore[arg-type]
    expected = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    for _ in range(2):
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], expected[0])


def test_the_options_are_those_of_the_settings(model: Path) -> None:
    lean, arena = lean_session(model).get_session_options(), lean_session(model, "arena").get_session_options()
    assert (lean.enable_cpu_mem_arena, lean.enable_mem_reuse, lean.enable_mem_pattern) == (False, False, False)
    assert (arena.enable_cpu_mem_arena, arena.enable_mem_reuse, arena.enable_mem_pattern) == (True, False, False)


def test_a_missing_file_and_one_that_is_no_model_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        lean_session(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(RuntimeRefusedError, match=r"text\.onnx"):
        lean_session(tmp_path / "text.onnx")
