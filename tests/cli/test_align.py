"""`edgewright align`: a faster network with the same outputs, or nothing written."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tests.cli.conftest import Run
from tests.fakes import FakeClient
from tests.tiling.models import chain

from edgewright.graph.cost import layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.timing.model import ExecutionTimeModel, Fallbacks, FamilyTree
from edgewright.timing.splits import MultipleOf
from edgewright.timing.tree import Branch, Leaf


def vectors(layer: LayerSpec) -> float:
    """A device that is twice as slow where channels are no multiple of four."""
    odd = sum(shape[1] % 4 != 0 for shape in (layer.input, layer.output) if len(shape) > 1)
    return 1e-6 + 1e-9 * float(layer_cost(layer).macs) * (1 + odd)


def plain(layer: LayerSpec) -> float:
    """A device without steps."""
    return 1e-6 + 1e-9 * float(layer_cost(layer).macs)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "odd.onnx"
    onnx.save(chain((3, 1), (3, 1), (3, 1), channels=11, size=24), path)
    return path


@pytest.fixture(autouse=True)
def learned(monkeypatch: pytest.MonkeyPatch) -> ExecutionTimeModel:
    """What is learned of the device, whatever was measured: convolutions of whole vectors are twice as fast."""
    fast, slow = (Leaf({"macs": rate_s}, 1e-6, {}, 100, 0.01) for rate_s in (1e-9, 2e-9))
    tree = FamilyTree("conv", Branch(MultipleOf("out_channels", 4), fast, slow, 200, 0.01), None)
    model = ExecutionTimeModel("fake", "onnxruntime", "0", 1, "all", {"conv": tree}, Fallbacks(slow, slow))
    monkeypatch.setattr("edgewright.timing.fit", lambda *_, **__: model)
    monkeypatch.setattr("edgewright.api_align.LEARNING_S", 0.5)
    return model


def outputs(path: Path) -> Any:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    return session.run(None, {given.name: np.random.default_rng(0).random(given.shape, dtype=np.float32)})


def test_layers_are_widened_and_outputs_stay(run: Run, device: FakeClient, model: Path, tmp_path: Path) -> None:
    device.seconds = vectors
    out = tmp_path / "out.onnx"
    told = run("align", model, "-o", out, "--max-growth", "1.5", "--json").json
    assert told["out"] == str(out)
    assert told["device"] == "local"
    assert {change["after"] for change in told["changes"]} == {12}
    assert all(change["before"] == 11 and change["added"] == 1 for change in told["changes"])
    assert told["proof"]["outputs_equal"]
    assert told["proof"]["high"] < 1
    assert 1 < told["weights_growth"] <= 1.5
    for before, after in zip(outputs(model), outputs(out), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_person_reads_what_it_brings(run: Run, device: FakeClient, model: Path, tmp_path: Path) -> None:
    device.seconds = vectors
    told = run("align", model, "-o", tmp_path / "out.onnx", "--max-growth", "1.5").out
    for part in ("was aligned into", "channel group", "fastest predicted", "proof", "outputs are"):
        assert part in told


def test_nothing_is_written_where_nothing_is_faster(run: Run, device: FakeClient, model: Path, tmp_path: Path) -> None:
    device.seconds = plain
    outcome = run("align", model, "-o", tmp_path / "out.onnx")
    assert outcome.status == 0
    assert "nothing was written" in outcome.out
    assert not (tmp_path / "out.onnx").exists()


def test_a_bound_that_leaves_no_room_keeps_the_weights(
    run: Run, device: FakeClient, model: Path, tmp_path: Path
) -> None:
    device.seconds = vectors
    told = run("align", model, "-o", tmp_path / "out.onnx", "--max-growth", "1", "--json").json
    assert (told["out"], told["changes"], told["weights_growth"]) == (None, [], 1.0)


def test_different_outputs_are_never_written(run: Run, device: FakeClient, model: Path, tmp_path: Path) -> None:
    device.seconds = vectors
    device.outputs = lambda path: np.full(6, float(path != model), np.float32)
    outcome = run("align", model, "-o", tmp_path / "out.onnx", "--max-growth", "1.5")
    assert outcome.status == 1
    assert "the proof failed" in outcome.err
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("growth", ["0.9", "much", "nan"])
def test_a_growth_that_is_none(run: Run, model: Path, tmp_path: Path, growth: str) -> None:
    assert run("align", model, "-o", tmp_path / "out.onnx", "--max-growth", growth).status == 2


def test_the_model_is_not_overwritten(run: Run, device: FakeClient, model: Path) -> None:
    before = model.read_bytes()
    outcome = run("align", model, "-o", model)
    assert outcome.status == 1
    assert "overwrite" in outcome.err
    assert model.read_bytes() == before


def test_an_unknown_device(run: Run, model: Path, tmp_path: Path) -> None:
    outcome = run("align", model, "-o", tmp_path / "out.onnx", "--device", "phone")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
