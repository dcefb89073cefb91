"""`edgewright compress`: a folder with a network that loads and runs, or one clear line and nothing written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from tests.cli.conftest import Run  # noqa: E402
from tests.fakes import FakeClient  # noqa: E402

from edgewright import load_compressed  # noqa: E402
from edgewright.profile import Profile  # noqa: E402
from edgewright.store import open_store  # noqa: E402
from edgewright.timing.model import ExecutionTimeModel, Fallbacks, FamilyTree  # noqa: E402
from edgewright.timing.tree import Leaf  # noqa: E402

TASK = """
import torch
from torch import nn
from edgewright.compression.task import supervised

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).mean((2, 3)))

def task(evaluate=None):
    torch.manual_seed(0)
    x = torch.randn(32, 1, 6, 6)
    y = (x.mean((1, 2, 3)) > 0).long()
    accuracy = evaluate or (lambda model: float((model(x).argmax(1) == y).float().mean()))
    return supervised(Net(), x, y, accuracy, batch_size=8)

def nothing():
    return task(lambda model: float("nan"))
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    """A device that was learned from a table, so that nothing is measured here; the file of a task."""
    leaf = Leaf({"macs": 1e-9}, 1e-7, {}, 100, 0.01)
    kinds = ("conv", "fully_connected", "reduction", "global_pool", "reorder", "unary")
    families = {kind: FamilyTree(kind, leaf, None) for kind in kinds}
    store = open_store()
    store.write_profile("table", Profile("table", "", "", 1))
    store.write_model("table", ExecutionTimeModel("table", "", "", 1, "", families, Fallbacks(leaf, leaf)))
    (tmp_path / "mine.py").write_text(TASK)
    return f"{tmp_path / 'mine.py'}:task"


def test_a_narrower_network_is_written(run: Run, device: FakeClient, task: str, tmp_path: Path) -> None:
    out = tmp_path / "small"
    told = run("compress", task, "--device", "table", "--time", "0.6", "--steps", "8", "-o", out, "--json").json
    assert told["out"] == str(out)
    assert told["predicted_after_s"] <= 0.6 * told["predicted_before_s"]
    assert told["parameters_after"] < told["parameters_before"]
    assert [cut["group"] for cut in told["cuts"]] == ["first"]
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "model.pt", "report.json"]
    assert json.loads((out / "report.json").read_text())["accuracy_after"] == told["accuracy_after"]
    whole, x = _net(tmp_path), torch.randn(1, 1, 6, 6)
    small = load_compressed(whole, x, out / "model.pt").eval()
    assert small.first.out_channels == told["cuts"][0]["after"] < 16
    session = ort.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    given = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert np.allclose(given, small(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_people_read_a_table(run: Run, device: FakeClient, task: str, tmp_path: Path) -> None:
    asked = ("--device", "table", "--time", "0.6", "--steps", "8", "--rounds", "2")
    told = " ".join(run("compress", task, *asked, "-o", tmp_path / "small").out.split())  # paths may wrap a line
    for part in ("60 % of the time on table", "accuracy", "first", "16", "kept by the cut", "learned from a table"):
        assert part in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--time", "2"), "a share of the time is between 0 and 1"),
        (("--time", "soon"), "'soon' is not a time"),
        ((), "give a target"),
        (("--time", "0.5", "--energy", "0.5"), "give a target"),
        (("--energy", "0.5"), "has no energy"),
        (("--time", "0.3us"), "is below what this network takes at its narrowest"),
        (("--time", "4ms", "--steer", "operations"), "takes a share"),
    ],
)
def test_a_target_that_is_none(
    run: Run, device: FakeClient, task: str, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    left = run("compress", task, "--device", "table", "-o", tmp_path / "small", *arguments)
    assert left.status == 1
    assert why in left.err
    assert left.err.count("\n") == 1
    assert not list((tmp_path / "small").glob("*"))


def test_a_bad_task_is_told(run: Run, device: FakeClient, task: str, tmp_path: Path) -> None:
    for where, why in ((task.replace(":task", ":nothing"), "evaluate gives nan"), ("none.py:task", "no such file")):
        left = run("compress", where, "--device", "table", "--time", "0.5", "-o", tmp_path / "small")
        assert left.status == 1 and why in left.err


def _net(folder: Path) -> Any:
    from edgewright.compression.task import load_task

    return load_task(f"{folder / 'mine.py'}:task").module
