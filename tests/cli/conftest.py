"""The command line in this process, with a store of its own and a device that does not exist."""

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.fakes import FakeClient, FakeRuntime

from edgewright.cli.main import main
from edgewright.errors import MeasurementError


@dataclass
class Outcome:
    """What a command left: its exit status, and both its outputs."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    for name in ("EDGEWRIGHT_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object) -> Outcome:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run_command


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """A fake device in place of this machine, and a clock that goes on a tenth of a second a look."""
    client, ticks = FakeClient(), count()
    monkeypatch.setattr("edgewright.profiling.session.monotonic", lambda: next(ticks) / 10)

    def open_runtime(name: str = "onnxruntime") -> FakeRuntime:
        if name != "onnxruntime":
            raise MeasurementError(f"runtime {name!r} is not known")
        return FakeRuntime()

    monkeypatch.setattr("edgewright.runtimes.open", open_runtime)
    monkeypatch.setattr("edgewright.profiling.local.start", lambda _: copy(client))
    return client


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "net.onnx")


def write_network(path: Path, batch: object = 1, channels: int = 9) -> Path:
    """Two convolutions with an activation between them; 9 output channels are on a bad step of the fake device."""
    random = np.random.default_rng(0)
    first = numpy_helper.from_array(random.random((channels, 3, 3, 3), dtype=np.float32), "first")
    second = numpy_helper.from_array(random.random((16, channels, 1, 1), dtype=np.float32), "second")
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["a"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "activation"),
        helper.make_node("Conv", ["b", "second"], ["out"], "head"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 24, 24])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [image], [out], [first, second])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
