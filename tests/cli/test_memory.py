"""`edgewright memory`: the peak, its holders, the timeline; wrong input is told in one line."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tests.cli.conftest import Run
from tests.tiling.models import chain

pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    onnx.save(chain((3, 1), (3, 1), "pool", channels=16, size=128), path)
    return path


def test_the_peak_is_that_of_two_feature_maps_and_the_input(run: Run, model: Path) -> None:
    told = run("memory", model, "--settings", "lean", "--json").json
    size = 16 * 128 * 128 * 4
    assert told["lower_bound_bytes"] == 3 * size
    assert told["inputs_bytes"] == size
    assert told["weights_bytes"] == 2 * 16 * 16 * 9 * 4
    assert 3 * size <= told["peak_bytes"] < 3.3 * size
    assert sum(one["size_bytes"] for one in told["holders"]) == max(size for _, size in told["timeline_bytes"])
    assert {one["kind"] for one in told["holders"]} == {"input", "tensor"}


def test_the_default_settings_hold_more(run: Run, model: Path) -> None:
    lean, default = (run("memory", model, "--settings", s, "--json").json["peak_bytes"] for s in ("lean", "default"))
    assert lean < default


def test_tables_and_timeline(run: Run, model: Path) -> None:
    out = run("memory", model).out
    for part in ("predicted peak", "lower bound", "weights", "chain.onnx", "1x16x128x128 float32", "█", "c0"):
        assert part in out


def test_shapes_that_are_open_must_be_given(run: Run, model: Path, tmp_path: Path) -> None:
    opened = onnx.load(model)
    opened.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(opened, tmp_path / "open.onnx")
    told = run("memory", tmp_path / "open.onnx")
    assert told.status == 1
    assert "--input" in told.err
    assert run("memory", tmp_path / "open.onnx", "--input", "x=1x16x128x128").status == 0


def test_files_that_are_no_models(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(bytes(range(256)))
    for path in (tmp_path / "noise.onnx", tmp_path / "missing.onnx", tmp_path):
        told = run("memory", path)
        assert (told.status, told.out, told.err.count("\n")) == (1, "", 1)
        assert str(path) in told.err


def test_a_model_without_ops(run: Run, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph([], "empty", [value], [value])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "empty.onnx")
    assert run("memory", tmp_path / "empty.onnx").status in (0, 1)
    assert "unexpected" not in run("memory", tmp_path / "empty.onnx").err


def test_settings_that_are_not_known(run: Run, model: Path) -> None:
    assert run("memory", model, "--settings", "wild").status == 2
