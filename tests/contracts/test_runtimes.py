"""What every runtime must do: build a model of any layers it measures, and tell what really ran."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import FakeClient, FakeRuntime

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Window
from edgewright.profiling.batch import Circumstances, Workplace, calibrated, run_network
from edgewright.profiling.channels_last import CHANNELS_LAST
from edgewright.profiling.draws import DRAWS, work
from edgewright.profiling.local import repertoire
from edgewright.runtimes import open as open_runtime
from edgewright.runtimes.client import HarnessClient
from edgewright.transports.local import LocalTransport

QUICK = Circumstances(limit_s=0.01, rounds=2, least=1)
LIGHT = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
DECOMPOSED = {"hard_swish", "to_blocked"}
"""Layers that a runtime runs as others, or not at all where its layout needs none."""


@pytest.fixture(scope="module", params=["onnxruntime", "litert", "fake"])
def subject(request: pytest.FixtureRequest) -> Iterator[Workplace]:
    if request.param == "fake":
        yield Workplace(FakeClient(), FakeRuntime(), QUICK)  # type: ignore[arg-type]
        return
    runtime = open_runtime(request.param)
    with HarnessClient(LocalTransport(), runtime.harness, sys.executable) as client:
        yield Workplace(client, runtime, QUICK)


def executed(subject: Workplace, layers: list[LayerSpec], folder: Path) -> list[LayerSpec]:
    model = folder / "layers"
    model.write_bytes(subject.runtime.build(layers))
    return [found.layer for found in run_network(subject, model).layers]


@pytest.mark.parametrize("family", sorted({*DRAWS, *CHANNELS_LAST.draws}))
def test_a_layer_of_every_family_runs_and_is_told_as_it_was_asked_for(
    subject: Workplace, family: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    draws = repertoire(subject.runtime.name).draws
    if family not in draws:
        pytest.skip("the runtime's models have no such layers")
    drawn = (draws[family](random) for _ in range(100))
    asked = [layer for layer in drawn if layer is not None and work(layer) < 3e7][:6]
    found = executed(subject, asked, tmp_path)
    missing = [layer for layer in asked if layer not in found and layer.variant not in DECOMPOSED]
    # A runtime may fold or undo a layer now and then (a transpose of one row); not most of them.
    assert len(missing) <= 2, missing


@pytest.mark.parametrize(
    "layer",
    [
        LayerSpec("conv", ((1, 28, 30, 30),), ((1, 40, 30, 30),), LIGHT),
        LayerSpec("conv", ((1, 28, 30, 30),), ((1, 40, 30, 30),), LIGHT, fused=("relu",)),
        LayerSpec("conv", ((1, 28, 30, 30),), ((1, 48, 30, 30),), LIGHT, fused=("add", "relu")),
        LayerSpec("conv", ((1, 5, 30, 30),), ((1, 47, 30, 30),), LIGHT, fused=("leaky_relu",)),
        LayerSpec("depthwise_conv", ((1, 28, 30, 30),), ((1, 28, 30, 30),), LIGHT, 28),
        LayerSpec("conv", ((1, 28, 30, 30),), ((1, 44, 30, 30),), LIGHT, dtype="int8", variant="qlinear"),
    ],
)
def test_odd_widths_are_told_as_they_are_and_not_as_the_layout_pads_them(
    subject: Workplace, layer: LayerSpec, tmp_path: Path
) -> None:
    if subject.runtime.name == "litert":
        layer = replace(layer, variant="", fused=layer.fused if layer.fused in ((), ("relu",)) else ())
    assert layer in executed(subject, [layer], tmp_path)


def test_samples_are_positive_and_one_for_each_round(subject: Workplace, tmp_path: Path) -> None:
    layer = LayerSpec("conv", ((1, 16, 20, 20),), ((1, 16, 20, 20),), LIGHT)
    model = tmp_path / "layers"
    model.write_bytes(subject.runtime.build([layer]))
    found = run_network(subject, model)
    assert all(sample > 0 for one in found.layers for sample in one.samples_s)
    assert len({len(one.samples_s) for one in found.layers}) == 1
    assert min(found.samples_s) > 0
    assert found.probe_s is not None and found.probe_s > 0


def test_measuring_costs_little_but_something(subject: Workplace) -> None:
    overheads = calibrated(subject).overheads
    assert 0 <= overheads.node_s < 1e-3
    assert 0 <= overheads.run_s < 1e-2


@pytest.mark.parametrize("name", ["onnxruntime", "litert"])
def test_what_is_no_model_is_refused_and_the_harness_goes_on(name: str, tmp_path: Path) -> None:
    runtime = open_runtime(name)
    broken = tmp_path / "broken"
    broken.write_bytes(b"not a model")
    with HarnessClient(LocalTransport(), runtime.harness, sys.executable) as client:
        with pytest.raises(RuntimeRefusedError):
            client.ask("layers", model=str(broken))
        assert client.ask("about")["runtime_version"]


def test_a_harness_that_dies_is_started_again(tmp_path: Path) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    if json.loads(line)['job'] == 'crash':\n"
        "        os._exit(3)\n"
        "    print(json.dumps({'pid': os.getpid()}), flush=True)\n"
    )
    with HarnessClient(LocalTransport(), dying, sys.executable) as client:
        first = client.ask("about")["pid"]
        with pytest.raises(DeviceError, match=r"crashed.*crash"):
            client.ask("crash")
        assert client.ask("about")["pid"] != first


def test_a_harness_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\ntime.sleep(60)\n")
    with (
        HarnessClient(LocalTransport(), hanging, sys.executable) as client,
        pytest.raises(DeviceError, match="no answer"),
    ):
        client.ask("about", timeout_s=0.5)
