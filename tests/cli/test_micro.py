"""`edgewright memory` and `tile` for TensorFlow Lite Micro."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run, write_network
from tests.micro_networks import vision

pytest.importorskip("tflite_micro")
MICRO = ("--runtime", "tflm")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "vision.tflite"
    path.write_bytes(vision(64, float_input=True, float_output=True))
    return path


def test_the_arena_of_both_builds(run: Run, model: Path) -> None:
    told = run("memory", model, *MICRO, "--json").json
    host, device = told["builds"]
    assert device["arena_bytes"] < host["arena_bytes"]
    assert device["head_bytes"] == host["head_bytes"] == told["lower_bound_bytes"]
    for build in (host, device):
        assert sum(size for _, size in build["tail"]) == build["tail_bytes"]
        assert build["arena_bytes"] >= build["head_bytes"] + build["tail_bytes"]
    out = run("memory", model, *MICRO).out
    for part in ("kTensorArenaSize", "32-bit microcontroller", "channels", "at the peak", "█"):
        assert part in out


def test_tiled_with_integers_and_source(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    told = run(
        "tile", model, "-o", out, *MICRO, "--slowdown", 1.3, "--io", "int8", "--emit-c", tmp_path / "c", "--json"
    ).json
    assert told["after"][0]["arena_bytes"] < 0.6 * told["before"][0]["arena_bytes"]
    assert told["proof"]["used_bytes"] <= told["after"][0]["arena_bytes"]
    assert (told["proof"]["runs"], told["proof"]["differing"]) == (100, 0)
    assert told["macs_ratio"] <= 1.3
    assert [end["is_input"] for end in told["ends"]] == [True, False]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "out_model_data.cc",
        "out_model_data.h",
        "out_ops.h",
    ]
    again = run("memory", out, *MICRO, "--json").json
    assert again["builds"] == told["after"]
    assert again["planned_tensors"] == told["planned_tensors"] > 0


def test_a_budget_is_a_promise_about_the_whole_arena(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    before = run("memory", model, *MICRO, "--json").json["builds"][0]["arena_bytes"]
    told = run("tile", model, "-o", out, *MICRO, "--memory", int(0.85 * before), "--json").json
    assert told["proof"]["used_bytes"] <= told["after"][0]["arena_bytes"] <= int(0.85 * before)
    assert "bit for bit" in run("tile", model, "-o", tmp_path / "b.tflite", *MICRO, "--memory", int(0.85 * before)).out
    assert "as it is" in run("tile", model, "-o", tmp_path / "c.tflite", *MICRO, "--memory", before, "--no-check").out
    assert (tmp_path / "c.tflite").read_bytes() == model.read_bytes()


def test_what_can_not_be_done_is_one_line_and_writes_nothing(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    onnx = write_network(tmp_path / "net.onnx")
    for arguments in (
        ("tile", model, "-o", out, *MICRO, "--memory", "1KB"),
        ("tile", onnx, "-o", out, *MICRO, "--memory", "1KB"),
        ("memory", onnx, *MICRO),
        ("memory", tmp_path / "missing.tflite", *MICRO),
    ):
        told = run(*arguments)
        assert (told.status, told.out, told.err.count("\n")) == (1, "", 1)
        assert not out.exists()
    assert run("tile", model, *MICRO, "--frontier").status == 2
