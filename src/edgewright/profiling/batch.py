"""Measures a batch of layers on a device: one model, a branch for each, times of the nodes that really ran."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Shape
from edgewright.profile import Measurement
from edgewright.runtimes.base import ExecutedLayer, Runtime
from edgewright.runtimes.client import HarnessClient

STABLE_SPREAD = 0.1
_LEAST_S, _CLOCK_S = 1e-7, 5e-7
_TINY = LayerSpec("unary", ((1, 64),), ((1, 64),), variant="abs")


@dataclass(frozen=True)
class Circumstances:
    """How models are run: threads, optimization level of the runtime, the core (None: any), seconds for all rounds.

    A round ends at the `precision` of its median, but not before `least` runs.
    """

    threads: int = 1
    level: str = "all"
    cpu: int | None = None
    limit_s: float = 0.024
    rounds: int = 3
    precision: float = 0.01
    least: int = 2


@dataclass(frozen=True)
class Overheads:
    """What measuring adds: seconds of a run that does nothing, and of the profiler for each node."""

    run_s: float = 0.0
    node_s: float = 0.0


def executed_layers(
    client: HarnessClient,
    runtime: Runtime,
    model: Path,
    how: Circumstances,
    shapes: Mapping[str, Shape] | None = None,
    end_to_end: bool = True,
) -> tuple[tuple[ExecutedLayer, ...], tuple[float, ...], int]:
    """The layers that the runtime executes for a model file, the end-to-end samples in seconds and the warm-up runs."""
    with tempfile.TemporaryDirectory() as folder:
        optimized = str(Path(folder) / "optimized.onnx")
        where: dict[str, Any] = {"model": client.put(model), "optimized": optimized, "shapes": dict(shapes or {})}
        answer = client.ask("layers", **where, end_to_end=end_to_end, **vars(how))
        layers = runtime.executed(model, client.get(optimized), answer["nodes"], shapes or {})
    return layers, tuple(answer["samples_s"]), answer["warmup_runs"]


def calibrate(client: HarnessClient, runtime: Runtime, how: Circumstances) -> Overheads:
    """The overheads of measuring here, from models of one and of a hundred layers that do nearly nothing."""
    found = []
    for count in (1, 100):
        with _model_file(runtime, [_TINY] * count) as model:
            answer = client.ask("layers", model=client.put(model), **vars(how))
            nodes_s = sum(median(node["samples_s"]) for node in answer["nodes"])
            found.append((median(answer["samples_s"]), nodes_s, len(answer["nodes"])))
    (one_s, _, few), (all_s, profiled_s, many) = found
    each_s = max((all_s - one_s) / (many - few), 0.0)
    run_s = max(one_s - few * each_s, 0.0)
    return Overheads(run_s, max((profiled_s - (all_s - run_s)) / many, 0.0))


def measure(
    client: HarnessClient,
    runtime: Runtime,
    layers: Sequence[LayerSpec],
    how: Circumstances,
    overheads: Overheads,
    name: str,
) -> list[Measurement]:
    """Measurements of the layers, each in a model of its own, with the reorders and the like that came with it.

    A layer that the runtime refuses or crashes on is left out. Raises DeviceError where not even starting the harness
    works.
    """
    found: list[Measurement] = []
    for layer in dict.fromkeys(layers):
        try:
            found += _measure_model(client, runtime, [layer], how, overheads, name)
        except (RuntimeRefusedError, DeviceError):
            client.ask("about")
    return found


def measure_together(
    client: HarnessClient,
    runtime: Runtime,
    layers: Sequence[LayerSpec],
    how: Circumstances,
    overheads: Overheads,
    name: str,
) -> list[Measurement]:
    """Measurements of the layers as branches of one model; none where the runtime refuses it.

    Between two runs of a layer all the others run, as in a network.
    """
    try:
        return _measure_model(client, runtime, list(dict.fromkeys(layers)), how, overheads, name)
    except (RuntimeRefusedError, DeviceError):
        client.ask("about")
        return []


def _measure_model(
    client: HarnessClient,
    runtime: Runtime,
    layers: Sequence[LayerSpec],
    how: Circumstances,
    overheads: Overheads,
    name: str,
) -> list[Measurement]:
    started_s = round(time.time(), 3)
    with _model_file(runtime, layers) as model:
        executed, _, warmup_runs = executed_layers(client, runtime, model, how, end_to_end=False)
    found = []
    for layer in executed:
        if layer.layer.kind == "reshape":  # what stands around the layers
            continue
        samples = tuple(round(max(s - overheads.node_s, _LEAST_S), 9) for s in layer.samples_s)
        made = Measurement(layer.layer, samples, warmup_runs, alone=len(layers) == 1, batch=name, started_s=started_s)
        half_width_s = made.spread * made.median_s
        found.append(replace(made, stable=half_width_s < STABLE_SPREAD * made.median_s + _CLOCK_S))
    return found


@contextmanager
def _model_file(runtime: Runtime, layers: Sequence[LayerSpec]) -> Iterator[Path]:
    """The model of a batch as a file, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.onnx"
        path.write_bytes(runtime.build(layers))
        yield path
