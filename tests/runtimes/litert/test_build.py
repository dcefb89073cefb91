"""Models of one layer, and what is read back from them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Window
from edgewright.profiling.channels_last import CHANNELS_LAST, FAMILY_WEIGHTS
from edgewright.profiling.draws import fits, work
from edgewright.runtimes import open as open_runtime
from edgewright.runtimes.client import HarnessClient
from edgewright.runtimes.litert.build import build
from edgewright.runtimes.litert.executed import executed
from edgewright.transports.local import LocalTransport

SAME = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
CONV = LayerSpec("conv", ((1, 8, 12, 12),), ((1, 16, 12, 12),), SAME)


@pytest.fixture(scope="module")
def client() -> Iterator[HarnessClient]:
    with HarnessClient(LocalTransport(), open_runtime("litert").harness, sys.executable) as found:
        yield found


def read_back(layers: list[LayerSpec], folder: Path) -> list[LayerSpec]:
    path = folder / "layers.tflite"
    path.write_bytes(build(layers))
    nodes = [{"name": str(index), "level": "all", "samples_s": [1e-6]} for index in range(len(layers))]
    return [found.layer for found in executed(path, nodes, {})]


def test_every_family_that_is_drawn_can_be_built() -> None:
    assert set(FAMILY_WEIGHTS) == set(CHANNELS_LAST.draws)


@pytest.mark.parametrize("family", sorted(FAMILY_WEIGHTS))
def test_what_is_drawn_is_read_back(family: str, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    drawn = (CHANNELS_LAST.draws[family](random) for _ in range(200))
    asked = [layer for layer in drawn if layer is not None and fits(layer) and work(layer) < 1e7][:10]
    found = read_back(asked, tmp_path)
    assert len(found) == len(asked) >= 3
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
def test_layers_are_timed_alone_and_together(client: HarnessClient, level: str, tmp_path: Path) -> None:
    layers = [CONV, replace(CONV, dtype="int8"), LayerSpec("unary", ((1, 64),), ((1, 64),), variant="relu")]
    for some in ([CONV], layers):
        path = tmp_path / "layers.tflite"
        path.write_bytes(build(some))
        answer = client.ask("layers", model=str(path), end_to_end=False, level=level, limit_s=0.01, rounds=2)
        assert len(answer["nodes"]) == len(some)
        assert all(sample > 0 for node in answer["nodes"] for sample in node["samples_s"])


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
