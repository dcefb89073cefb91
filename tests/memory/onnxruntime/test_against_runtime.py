"""What is predicted against what ONNX Runtime on this machine does."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tests.networks import networks

from edgewright.formats import open as open_format
from edgewright.formats.onnx import read
from edgewright.memory.onnxruntime import predict_peak
from edgewright.memory.onnxruntime.predict import executed
from edgewright.runtimes import harness
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan

HARNESS = Path(harness.__file__).parent / "onnxruntime_harness.py"
KINDS = {
    "Conv": "conv", "FusedConv": "conv", "ReorderInput": "reorder", "ReorderOutput": "reorder", "Concat": "concat",
    "MaxPool": "max_pool", "AveragePool": "average_pool", "Relu": "relu", "Add": "add", "Transpose": "transpose",
}  # fmt: skip


def optimized(model: ModelProto, path: Path) -> ModelProto:
    """The model that the runtime executes."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def sketch(*nodes: onnx.NodeProto, weights: dict[str, tuple[int, ...]], size: int = 256) -> ModelProto:
    shape = [1, 16, size, size]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    outputs = [helper.make_empty_tensor_value_info("y")]
    constants = [numpy_helper.from_array(np.full(s, 0.01, np.float32), name) for name, s in weights.items()]
    graph = helper.make_graph(list(nodes), "g", [value], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def conv(name: str, given: str, made: str, weights: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", [given, weights], [made], name, pads=[1] * 4, **attributes)


def residual() -> ModelProto:
    return sketch(
        conv("c1", "x", "a", "w1"), helper.make_node("Relu", ["a"], ["b"], "r1"),
        conv("c2", "b", "c", "w2"), helper.make_node("Add", ["c", "b"], ["d"], "s"),
        helper.make_node("Sin", ["d"], ["e"], "sin"),
        conv("c3", "e", "f", "w3", strides=[2, 2]), helper.make_node("GlobalAveragePool", ["f"], ["y"], "p"),
        weights={"w1": (32, 16, 3, 3), "w2": (32, 32, 3, 3), "w3": (48, 32, 3, 3)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def block() -> int:
    """The channels of a block on this machine."""
    return int(asked({"job": "layout"})["block_channels"])


def asked(*jobs: dict[str, Any]) -> dict[str, Any]:
    """The answer of a harness of its own to the last of some jobs."""
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    answer = subprocess.run([sys.executable, str(HARNESS)], input=lines, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def counted(model: ModelProto) -> Counter[str]:
    return Counter(KINDS[node.op_type] for node in model.graph.node if node.op_type in KINDS)


def ours(model: ModelProto, block: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in executed(read(model), block).order():
        kind = {"depthwise_conv": "conv"}.get(node.kind, node.kind)
        name = kind if kind in KINDS.values() else node.variant
        found[name if node.variant not in {"depth_to_space", "space_to_depth"} else ""] += name in KINDS.values()
    return +found


def test_the_executed_network_is_that_of_the_runtime(block: int, tmp_path: Path) -> None:
    rewritten = optimized(residual(), tmp_path / "m.onnx")
    order = executed(read(residual()), block).order()
    assert len(order) == len(rewritten.graph.node)
    assert ours(residual(), block) == counted(rewritten)


def test_tiles_that_begin_with_a_pool_and_end_in_transposes_are_those_of_the_runtime(
    block: int, tmp_path: Path
) -> None:
    """Pools behind computed bounds stay plain, and the transposes of all tiles become one behind their concat."""
    model = sketch(
        helper.make_node("Relu", ["x"], ["a"], "r"),
        helper.make_node("MaxPool", ["a"], ["b"], "p", kernel_shape=[3, 3], pads=[1] * 4),
        conv("c", "b", "d", "w"), helper.make_node("Transpose", ["d"], ["e"], "t", perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["e"], ["y"], "f"),
        weights={"w": (32, 16, 3, 3)}, size=16,
    )  # fmt: skip
    onnx.save(model, tmp_path / "m.onnx")
    plan = TilingPlan((FusedGroup(("p", "c", "t"), (2, 1)),))
    file = open_format(tmp_path / "m.onnx")
    file.apply(tmp_path / "m.onnx", lower(file.read(tmp_path / "m.onnx"), plan), tmp_path / "tiled.onnx")
    tiled = onnx.load(tmp_path / "tiled.onnx")
    rewritten = counted(optimized(tiled, tmp_path / "o.onnx"))
    assert rewritten["transpose"] == 1
    assert ours(tiled, block) == rewritten


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=networks())
def test_random_networks_are_rewritten_as_the_runtime_does(model: ModelProto, block: int, tmp_path: Path) -> None:
    rewritten = optimized(model, tmp_path / "m.onnx")
    assert ours(model, block) == counted(rewritten)


def measured(model: Path, memory_settings: str, arena_bytes: int = 0) -> dict[str, Any]:
    found = asked({"job": "memory", "model": str(model), "settings": memory_settings, "arena_bytes": arena_bytes})
    assert "error" not in found, found
    if found["peak_bytes"] is None:
        pytest.skip(str(found["reason"]))
    return found


def chain_that_copies(size: int) -> ModelProto:
    """Ops that can't work in place: two feature maps live at once, the input beside them."""
    names = ["x", "a", "b", "c", "d", "e", "last"]
    ops = ["Sin", "Cos", "Sin", "Cos", "Sin", "Cos"]
    nodes = [helper.make_node(op, [given], [made]) for op, given, made in zip(ops, names, names[1:], strict=False)]
    return sketch(*nodes, helper.make_node("GlobalAveragePool", ["last"], ["y"]), weights={}, size=size)


def test_the_meter_finds_the_live_set_of_a_network_whose_tensors_are_known(tmp_path: Path) -> None:
    onnx.save(chain_that_copies(256), tmp_path / "m.onnx")
    found = measured(tmp_path / "m.onnx", "lean")
    size = 16 * 256 * 256 * 4
    assert found["inputs_bytes"] == size
    assert found["peak_bytes"] == pytest.approx(3 * size, rel=0.02)


def test_a_small_network_holds_what_is_predicted_in_every_lean_session(tmp_path: Path) -> None:
    model = chain_that_copies(32)
    onnx.save(model, tmp_path / "m.onnx")
    expected = predict_peak(read(model), "lean").peak_bytes
    for _ in range(3):
        assert measured(tmp_path / "m.onnx", "lean")["peak_bytes"] == pytest.approx(expected, abs=8 * 4096)


@pytest.mark.parametrize("memory_settings", ["default", "lean", "arena"])
def test_the_predicted_peak_is_the_measured_one(memory_settings: str, block: int, tmp_path: Path) -> None:
    onnx.save(residual(), tmp_path / "m.onnx")
    prediction = predict_peak(read(residual()), memory_settings, block=block)  # type: ignore[arg-type]
    found = measured(tmp_path / "m.onnx", memory_settings, prediction.arena_bytes)
    assert prediction.peak_bytes == pytest.approx(found["peak_bytes"], rel=0.05)


def test_a_second_measurement_in_the_same_process_is_refused(tmp_path: Path) -> None:
    onnx.save(residual(), tmp_path / "m.onnx")
    answer = asked(*[{"job": "memory", "model": str(tmp_path / "m.onnx")}] * 2)
    assert "process of its own" in answer["error"]


def test_the_block_of_the_layout_is_that_of_the_rewritten_weights(block: int, tmp_path: Path) -> None:
    model = sketch(conv("c", "x", "y", "w"), weights={"w": (3, 16, 3, 3)}, size=8)
    rewritten = optimized(model, tmp_path / "m.onnx")
    made = [tensor.dims[0] for tensor in rewritten.graph.initializer if len(tensor.dims) == 4]
    assert made == [-(-3 // block) * block]
