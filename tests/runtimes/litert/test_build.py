"""Models of one layer, and what is read back from them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.errors import RuntimeRefusedError
from edgewright.formats.tflite import read
from edgewright.graph.types import LayerSpec, Window
from edgewright.profiling.channels_last import CHANNELS_LAST, FAMILY_WEIGHTS, network
from edgewright.profiling.draws import fits, work
from edgewright.runtimes import open as open_runtime
from edgewright.runtimes.client import HarnessClient
from edgewright.runtimes.litert.build import build
from edgewright.runtimes.litert.executed import executed
from edgewright.transports.local import LocalTransport

SAME = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
CONV = LayerSpec("conv", ((1, 8, 12, 12),), ((1, 16, 12, 12),), SAME)
AFTER = LayerSpec("depthwise_conv", ((1, 16, 12, 12),), ((1, 16, 12, 12),), SAME, 16)


@pytest.fixture(scope="module")
def client() -> Iterator[HarnessClient]:
    with HarnessClient(LocalTransport(), open_runtime("litert").harness, sys.executable) as found:
        yield found


def read_back(layers: list[LayerSpec], folder: Path) -> list[LayerSpec]:
    path = folder / "layers.tflite"
    path.write_bytes(build(layers))
    return [found.layer for found in executed(path, [{"level": "all", "samples_s": [1e-6]}], {})]


def test_every_family_that_is_drawn_can_be_built() -> None:
    assert set(FAMILY_WEIGHTS) == set(CHANNELS_LAST.draws)


@pytest.mark.parametrize("family", sorted(FAMILY_WEIGHTS))
def test_what_is_drawn_is_read_back(family: str, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    drawn = (CHANNELS_LAST.draws[family](random) for _ in range(200))
    asked = [layer for layer in drawn if layer is not None and fits(layer) and work(layer) < 1e7][:10]
    found = [read_back([layer], tmp_path)[0] for layer in asked]
    assert len(asked) >= 3
    # Axes of one item have no place in a canonical layer, so that now and then it is told with fewer.
    assert sum(a != b for a, b in zip(asked, found, strict=True)) <= 2


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((2, 2), (2, 2)), ((0, 1), (1, 0))])
def test_padding_that_has_no_mode_is_a_pad_that_xnnpack_fuses(
    padding: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    window = Window((3, 3), (2, 2), (1, 1), padding)
    made = tuple((12 + sum(pair) - 3) // 2 + 1 for pair in padding)
    layer = LayerSpec("conv", ((1, 8, 12, 12),), ((1, 16, *made),), window, fused=("relu",))
    for dtype in ("float32", "int8"):
        assert read_back([replace(layer, dtype=dtype)], tmp_path) == [replace(layer, dtype=dtype)]


@pytest.mark.parametrize(
    "layer",
    [
        replace(CONV, fused=("leaky_relu",)),
        replace(CONV, dtype="int16"),
        LayerSpec("gru", ((4, 1, 8),), ((4, 1, 1, 8),)),
        LayerSpec("softmax", ((4, 8),), ((4, 8),), variant="softmax-outer"),
        LayerSpec("conv", ((1, 8, 12),), ((1, 8, 12),), Window((3,), (1,), (1,), ((1, 1),))),
    ],
)
def test_what_tflite_does_not_have_is_refused(layer: LayerSpec) -> None:
    with pytest.raises(RuntimeRefusedError, match=layer.kind):
        build([layer])


@pytest.mark.parametrize("level", ["all", "none"])
def test_one_layer_has_samples_and_several_have_none(client: HarnessClient, level: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.tflite"
    for layers in ([CONV], [CONV, AFTER]):
        path.write_bytes(build(layers))
        answer = client.ask("layers", model=str(path), end_to_end=False, level=level, limit_s=0.01, rounds=2)
        assert all(sample > 0 for sample in answer["nodes"][0]["samples_s"])
        found = executed(path, answer["nodes"], {})
        assert [layer.layer for layer in found] == layers
        assert [bool(layer.samples_s) for layer in found] == [len(layers) == 1] * len(layers)


def test_layers_follow_one_another_where_they_fit() -> None:
    graph = read(build([CONV, AFTER, CONV]))
    assert [len(op.inputs) for op in graph.ops] == [3, 3, 3]
    assert graph.ops[1].inputs[0] == graph.ops[0].outputs[0]
    assert graph.ops[2].inputs[0] in graph.inputs
    assert graph.outputs == (graph.ops[1].outputs[0], graph.ops[2].outputs[0])


@pytest.mark.parametrize("seed", range(5))
def test_drawn_networks_are_chains(seed: int) -> None:
    layers = network(np.random.default_rng(seed))
    assert layers
    graph = read(build(layers))
    sums = sum(layer.kind == "binary" for layer in layers)
    assert len(graph.inputs) == 1 + sums
    assert len(graph.outputs) == 1


def test_xnnpack_takes_over_what_it_can(client: HarnessClient, tmp_path: Path) -> None:
    path = tmp_path / "layers.tflite"
    path.write_bytes(build([CONV]))
    (taken,) = client.ask("delegates", model=str(path))["delegates"]
    assert len(taken["outputs"]) == 1
    assert client.ask("delegates", model=str(path), level="none")["delegates"] == []


def test_an_unknown_level_is_refused(client: HarnessClient, tmp_path: Path) -> None:
    path = tmp_path / "layers.tflite"
    path.write_bytes(build([CONV]))
    with pytest.raises(RuntimeRefusedError, match="levels"):
        client.ask("layers", model=str(path), level="basic")
