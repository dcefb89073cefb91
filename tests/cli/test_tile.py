"""`edgewright tile`: a smaller network with the same outputs, or one clear line and nothing written."""

import errno
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from tests.cli.conftest import Outcome, Run
from tests.fakes import FakeClient
from tests.tiling.models import chain, residual

from edgewright.formats.onnx import read
from edgewright.runtimes.lean_note import LeanNote, read_note
from edgewright.tiling.fit_to_memory import Fitted, Fitting, Target, Wish

FAKE = pytest.mark.usefixtures("device")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    made = chain((3, 1), (3, 1), "pool", (3, 1), channels=16, size=128)
    for side in (1, 16, 64, 64):
        made.graph.output[0].type.tensor_type.shape.dim.add().dim_value = side
    onnx.save(made, path)
    return path


def refused(outcome: Outcome, folder: Path, *told: str) -> None:
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert outcome.err.startswith("edgewright: ")
    assert "unexpected" not in outcome.err
    for part in told:
        assert part in outcome.err
    assert not (folder / "out.onnx").exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def outputs(path: Path) -> list[Any]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    return list(session.run(None, {"x": values}))


@pytest.mark.parametrize("settings", ["lean", "default", "arena"])
@FAKE
def test_a_budget_is_met_and_outputs_stay(run: Run, model: Path, tmp_path: Path, settings: str) -> None:
    out = tmp_path / "out.onnx"
    told = run("tile", model, "-o", out, "--memory", "3MB", "--settings", settings, "--json").json
    assert told["peak_after_bytes"] <= 3_000_000 < told["peak_before_bytes"]
    again = run("memory", out, "--settings", settings, "--json").json["peak_bytes"]
    assert again == told["peak_after_bytes"]
    assert told["groups"][0]["grid"] != [1, 1]
    assert told["proof"]["outputs_equal"]
    onnx.checker.check_model(onnx.load(out), full_check=True)
    for a, b in zip(outputs(model), outputs(out), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_the_proof_is_made_by_the_runtime(run: Run, model: Path, tmp_path: Path) -> None:
    told = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB", "--json").json
    untiled, tiled = told["proof"]["rows"][1], told["proof"]["rows"][-1]
    assert (untiled["which"], untiled["settings"]) == ("untiled", "arena")
    assert (tiled["which"], tiled["settings"]) == ("tiled", "arena")
    assert told["proof"]["max_relative"] < 1e-5
    if tiled["peak_bytes"] is not None:
        assert tiled["peak_bytes"] < 0.8 * untiled["peak_bytes"]
        assert tiled["peak_bytes"] == pytest.approx(told["peak_after_bytes"], rel=0.1)


@FAKE
def test_the_least_memory_at_a_slowdown(run: Run, model: Path, tmp_path: Path) -> None:
    told = run("tile", model, "-o", tmp_path / "out.onnx", "--slowdown", "1.15", "--no-check", "--json").json
    assert told["time_ratio"] <= 1.15
    assert told["peak_after_bytes"] < told["peak_before_bytes"]
    assert told["proof"] is None
    wider = run("tile", model, "-o", tmp_path / "b.onnx", "--slowdown", "2", "--no-check", "--json").json
    assert wider["peak_after_bytes"] < told["peak_after_bytes"]


@FAKE
def test_what_a_person_reads(run: Run, model: Path, tmp_path: Path) -> None:
    out = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB").out
    for part in ("was tiled into", "c0", "recompute", "peak memory, arena settings", "extra operations", "outputs on"):
        assert part in out
    assert "lean_session(" in out


@FAKE
@pytest.mark.parametrize("met", ["arena", "lean"])
def test_the_file_says_which_settings_it_needs(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, met: str
) -> None:
    """`arena` where it meets the budget, `lean` where only that does; none where they were not chosen."""

    wished = Fitting.wished

    def wished_where_met(fitting: Fitting, wish: Wish) -> Fitted | None:
        return wished(fitting, wish) if fitting.target.settings in ("default", met) else None

    monkeypatch.setattr(Fitting, "wished", wished_where_met)
    out = tmp_path / "out.onnx"
    told = run("tile", model, "-o", out, "--memory", "2MB", "--no-check", "--json").json
    assert told["settings"] == met
    assert read_note(out) == LeanNote(met, told["arena_bytes"])
    assert (told["arena_bytes"] > 0) == (met == "arena")
    assert run("tile", model, "-o", out, "--memory", "3MB", "--no-check", "--settings", "default").status == 0
    assert read_note(out) is None


@FAKE
def test_a_model_that_is_inside_the_budget_is_copied(run: Run, model: Path, tmp_path: Path) -> None:
    told = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "1GB")
    assert told.status == 0
    assert "inside the budget as it is" in told.out
    assert onnx.load(tmp_path / "out.onnx") == onnx.load(model)


@FAKE
@pytest.mark.parametrize(
    ("size", "told"),
    [
        ("1kB", "the least budget that can be met is"), ("0", "more than zero"), ("0.2", "at least one byte"),
        ("lots", "not a size"), ("-5MB", "not a size"), ("", "not a size"),
    ],
)  # fmt: skip
def test_budgets_that_can_not_be_met(run: Run, model: Path, tmp_path: Path, size: str, told: str) -> None:
    refused(run("tile", model, "-o", tmp_path / "out.onnx", f"--memory={size}"), tmp_path, told)


@FAKE
def test_an_unmet_budget_names_the_op_and_a_budget_that_is_met(run: Run, model: Path, tmp_path: Path) -> None:
    for settings in ("lean", "arena"):
        outcome = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "1kB", "--settings", settings)
        refused(outcome, tmp_path, str(model), "op '")
    outcome = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "1kB")
    least = outcome.err.split("(")[-1].split(" bytes")[0]
    assert run("tile", model, "-o", tmp_path / "out.onnx", "--memory", least, "--no-check").status == 0


@FAKE
@pytest.mark.parametrize("ratio", ["0.9", "nan", "inf"])
def test_slowdowns_that_are_none(run: Run, model: Path, tmp_path: Path, ratio: str) -> None:
    refused(run("tile", model, "-o", tmp_path / "out.onnx", "--slowdown", ratio), tmp_path, "at least 1")


@FAKE
@pytest.mark.parametrize(
    "arguments",
    [
        ("-o", "out.onnx"),
        ("--memory", "1MB"),
        ("--memory", "1MB", "--slowdown", "1.1", "-o", "out.onnx"),
        ("--frontier", "-o", "out.onnx"),
        ("--memory", "1MB", "-o", "out.onnx", "--plot", "a.png"),
        ("--slowdown", "fast", "-o", "out.onnx"),
    ],
)
def test_wrong_usage(run: Run, model: Path, arguments: tuple[str, ...]) -> None:
    outcome = run("tile", model, *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert "usage:" in outcome.err


@FAKE
def test_outputs_that_can_not_be_written(run: Run, model: Path, tmp_path: Path) -> None:
    before = model.read_bytes()
    refused(run("tile", model, "-o", model, "--memory", "2MB"), tmp_path, "overwrite")
    (tmp_path / "link.onnx").symlink_to(model)
    refused(run("tile", model, "-o", tmp_path / "link.onnx", "--memory", "2MB"), tmp_path, "overwrite")
    refused(run("tile", model, "-o", tmp_path, "--memory", "2MB"), tmp_path, "folder")
    refused(run("tile", model, "-o", tmp_path / "no" / "out.onnx", "--memory", "2MB"), tmp_path, "no folder")
    assert model.read_bytes() == before


@FAKE
@pytest.mark.parametrize("flags", [(), ("--no-check",)])
def test_a_full_disk(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    def full(_: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB", *flags), tmp_path, "No space left")


def test_a_proof_that_fails_leaves_nothing(run: Run, model: Path, tmp_path: Path, device: FakeClient) -> None:
    device.outputs = lambda path: np.full(3, 1.0 if path == model else 1.01, np.float32)
    refused(run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB"), tmp_path, "outputs differ")


@FAKE
def test_files_that_are_no_models(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(bytes(range(256)))
    for path in (tmp_path / "noise.onnx", tmp_path / "missing.onnx"):
        refused(run("tile", path, "-o", tmp_path / "out.onnx", "--memory", "1MB"), tmp_path, str(path))


@FAKE
def test_dynamic_shapes_must_be_given(run: Run, model: Path, tmp_path: Path) -> None:
    opened = onnx.load(model)
    opened.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(opened, tmp_path / "open.onnx")
    path, out = tmp_path / "open.onnx", tmp_path / "out.onnx"
    refused(run("tile", path, "-o", out, "--memory", "2MB"), tmp_path, "--input")
    assert run("tile", path, "-o", out, "--memory", "2MB", "--input", "x=1x16x128x128", "--no-check").status == 0
    assert [one.shape for one in outputs(out)] == [(1, 16, 64, 64)]


@FAKE
def test_control_flow_is_told(run: Run, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [helper.make_empty_tensor_value_info("b")]
    )
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    node = helper.make_node("If", ["flag"], ["y"], "choice", then_branch=branch, else_branch=branch)
    graph = helper.make_graph([node], "flow", [flag, value], [made])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "if.onnx")
    refused(run("tile", tmp_path / "if.onnx", "-o", tmp_path / "out.onnx", "--memory", "1B"), tmp_path, "if.onnx")


@FAKE
def test_a_device_that_is_not_there(run: Run, model: Path, tmp_path: Path) -> None:
    refused(run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB", "--device", "x"), tmp_path, "'x'")


@FAKE
def test_times_of_a_device_that_was_profiled(run: Run, model: Path, tmp_path: Path) -> None:
    run("profile", "--for", model, "--budget", "300ms")
    told = run("tile", model, "-o", tmp_path / "out.onnx", "--memory", "2MB", "--no-check", "--json").json
    assert told["device"] == "local"
    assert told["time_after_s"] >= told["time_before_s"] > 0
    assert "as learned on local" in run("tile", model, "--frontier").out


@FAKE
def test_the_frontier(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "residual.onnx"
    onnx.save(residual(channels=16, size=96, pooled=True), path)
    points = run("tile", path, "--frontier", "--json").json["points"]
    assert points[0]["time_ratio"] == 1.0
    assert len(points) > 1
    for faster, smaller in pairwise(points):
        assert faster["time_ratio"] < smaller["time_ratio"]
        assert faster["peak_bytes"] > smaller["peak_bytes"]
    told = run("tile", path, "--frontier", "--plot", tmp_path / "f.svg")
    assert "●" in told.out
    assert (tmp_path / "f.svg").read_text().lstrip().startswith("<?xml")
    for wrong in (tmp_path / "f.doc", tmp_path / "no" / "f.png"):
        refused(run("tile", path, "--frontier", "--plot", wrong), tmp_path, wrong.name)


def test_without_a_device_times_come_from_operations_and_bytes() -> None:
    small, large = (Target().seconds(read(chain((3, 1), (3, 1), size=size))) for size in (64, 128))
    assert 2 < large / small < 5
