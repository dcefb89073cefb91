"""TFLite files on the command line, on LiteRT itself."""

from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run, write_network
from tests.formats.tflite.build import packed, unpacked

from edgewright.formats.tflite import read
from edgewright.graph.types import LayerSpec, Window
from edgewright.runtimes.litert.build import build

SAME = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
LAYERS = [
    LayerSpec("conv", ((1, 3, 16, 16),), ((1, 9, 16, 16),), SAME, fused=("relu",)),
    LayerSpec("depthwise_conv", ((1, 9, 16, 16),), ((1, 9, 16, 16),), SAME, 9),
    LayerSpec("conv", ((1, 9, 16, 16),), ((1, 16, 16, 16),), SAME),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(build(LAYERS))
    return path


def test_profile_then_explain(run: Run, model: Path) -> None:
    assert run("profile", "--for", model, "--budget", "1s", "--json").json["name"] == "local-litert"
    found = run("explain", model, "--json").json
    assert found["runtime"] == "litert"
    assert [layer["kind"] for layer in found["layers"]] == ["conv", "depthwise_conv", "conv"]
    assert all(layer["measured_s"] is None for layer in found["layers"])
    assert found["measured_s"] > 0
    assert any("predicted" in note for note in found["notes"])
    told = run("explain", model)
    assert "tells no times of layers" in told.out
    assert "miss" not in told.out


def test_a_device_of_the_other_runtime_is_refused(run: Run, model: Path, network: Path) -> None:
    assert run("profile", "--for", network, "--budget", "1s").status == 0
    told = run("explain", model)
    assert told.status == 1
    assert f"profile --for {model}" in told.err


def test_bench_chooses_the_runtime(run: Run, model: Path) -> None:
    found = run("bench", model, "--budget", "50ms", "--json").json
    assert found["runtime"] == "litert"
    assert found["results"][0]["finite"]


def test_models_of_two_formats_are_refused(run: Run, model: Path, tmp_path: Path) -> None:
    told = run("bench", model, write_network(tmp_path / "other.onnx"))
    assert told.status == 1
    assert "different runtimes" in told.err


def test_memory_is_that_of_arena_and_workspace(run: Run, model: Path) -> None:
    found = run("memory", model, "--json").json
    inner, ends = 2 * 9 * 16 * 16 * 4, (3 + 16) * 16 * 16 * 4
    assert found["runtime"] == "litert"
    assert found["peak_bytes"] == inner + ends + 96
    assert run("memory", model).status == 0
    assert run("memory", model, "--settings", "lean").status == 1


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A network that is widest in its middle."""
    layers = [
        LayerSpec("conv", ((1, 3, 24, 24),), ((1, 32, 24, 24),), SAME, fused=("relu",)),
        LayerSpec("depthwise_conv", ((1, 32, 24, 24),), ((1, 32, 24, 24),), SAME, 32),
        LayerSpec("conv", ((1, 32, 24, 24),), ((1, 4, 24, 24),), SAME),
    ]
    path = tmp_path / "wide.tflite"
    path.write_bytes(build(layers))
    return path


def test_tile_keeps_to_a_budget(run: Run, wide: Path, tmp_path: Path) -> None:
    before = run("memory", wide, "--json").json["peak_bytes"]
    out = tmp_path / "out.tflite"
    found = run("tile", wide, "-o", out, "--memory", int(0.6 * before), "--json").json
    assert found["peak_before_bytes"] == before
    assert found["peak_after_bytes"] <= 0.6 * before
    assert found["proof"]["outputs_equal"]
    assert run("memory", out, "--json").json["peak_bytes"] == found["peak_after_bytes"]


def test_tile_says_what_can_be_met(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    told = run("tile", model, "-o", out, "--memory", "1KB")
    assert told.status == 1
    assert "the least budget that can be met" in told.err
    assert not out.exists()


def test_the_frontier_begins_with_the_network_as_it_is(run: Run, wide: Path) -> None:
    found = run("tile", wide, "--frontier", "--json").json
    assert found["points"][0]["memory_ratio"] == 1
    assert found["points"][-1]["memory_ratio"] < 0.9


@pytest.mark.parametrize("arguments", [("--settings", "lean"), ("--runtime", "onnxruntime")])
def test_what_is_not_litert_is_refused(run: Run, model: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told = run("tile", model, "-o", tmp_path / "out.tflite", "--memory", "50KB", *arguments)
    assert told.status == 1
    assert str(model) in told.err


@pytest.fixture
def half_dead(tmp_path: Path) -> Path:
    """Three convolutions, the first two of which make channels that are zero for the most part."""
    wide = [LayerSpec("conv", ((1, given, 24, 24),), ((1, made, 24, 24),), SAME) for given, made in ((3, 96), (96, 96))]
    model = unpacked(build([*wide, LayerSpec("conv", ((1, 96, 24, 24),), ((1, 4, 24, 24),), SAME)]))
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators[:2]:
        for index in operator.inputs[1:]:
            buffer = model.buffers[tensors[index].buffer]
            items = np.frombuffer(bytes(buffer.data), np.float32).reshape(tensors[index].shape).copy()
            items[20:] = 0
            buffer.data = np.frombuffer(items.tobytes(), np.uint8)
    path = tmp_path / "dead.tflite"
    path.write_bytes(packed(model))
    return path


def test_dead_channels_are_taken_out(
    run: Run, half_dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was measured yet that is done first; a fifth of the channels is far faster on any machine."""
    monkeypatch.setattr("edgewright.api_align.LEARNING_S", 0.5)
    monkeypatch.setattr("edgewright.api_align._PROOF_S", 0.2)
    out = tmp_path / "out.tflite"
    told = run("align", half_dead, "-o", out, "--budget", "500ms", "--json").json
    assert told["out"] == str(out)
    assert told["device"] == "local-litert"
    assert told["proof"]["outputs_equal"]
    assert told["weights_growth"] < 0.5
    assert [op.kind for op in read(out).ops] == [op.kind for op in read(half_dead).ops]
