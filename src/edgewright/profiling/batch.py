"""Measures a batch of layers on a device: one model, a branch for each, times of the nodes that really ran."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.graph.cost import layer_bytes
from edgewright.graph.types import LayerSpec, Shape
from edgewright.profile import WHOLE, Measurement
from edgewright.runtimes.base import ExecutedLayer, Runtime
from edgewright.runtimes.client import HarnessClient

STABLE_SPREAD = 0.1
_CALIBRATION_LIMIT_S = 0.1
_LEAST_S, _CLOCK_S = 1e-7, 5e-7
_PREPARED = 2
"""Models on their way to each place: one that runs, and one that is built or read meanwhile."""
_STREAMED_BYTES = 2**24
"""A layer that moves more than that waits for memory, and differs with what other cores do."""
_TINY = LayerSpec("unary", ((1, 64),), ((1, 64),), variant="abs")


@dataclass(frozen=True)
class Circumstances:
    """How models are run: threads, optimization level of the runtime, the core (None: any), seconds for all rounds.

    A round ends at the `precision` of its median, but not before `least` runs. `calm_s` is what the probe takes where
    nothing slows the machine down; 0: as it turns out. A round waits `patience_s` for that.
    """

    threads: int = 1
    level: str = "all"
    cpu: int | None = None
    limit_s: float = 0.004
    rounds: int = 5
    precision: float = 0.01
    least: int = 1
    calm_s: float = 0.0
    patience_s: float = 20.0


@dataclass(frozen=True)
class Overheads:
    """What measuring adds: seconds of a run that does nothing, and of the profiler for each node."""

    run_s: float = 0.0
    node_s: float = 0.0


@dataclass(frozen=True)
class Workplace:
    """A running harness on a core of its own, its runtime, how layers are run there, and what measuring adds."""

    client: HarnessClient
    runtime: Runtime
    how: Circumstances
    overheads: Overheads = Overheads()


@dataclass(frozen=True)
class NetworkRun:
    """The layers that the runtime executes for a model, end-to-end samples in seconds, and the probe beside them."""

    layers: tuple[ExecutedLayer, ...]
    samples_s: tuple[float, ...]
    probe_s: float | None


def run_network(place: Workplace, model: Path, shapes: Mapping[str, Shape] | None = None) -> NetworkRun:
    """A model file run as a whole, and what the runtime says of its layers."""
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        answer = _run_layers(place, model, optimized, shapes or {}, end_to_end=True)
        layers = _executed(place, model, optimized, answer, shapes or {})
    return NetworkRun(layers, tuple(answer["samples_s"]), answer.get("probe_s"))


def calibrated(place: Workplace) -> Workplace:
    """The place with its overheads, from models of one and of a hundred layers that do nearly nothing."""
    found = []
    for count in (1, 100):
        with _model_file(place.runtime, [_TINY] * count) as model:
            how = vars(place.how) | {"limit_s": _CALIBRATION_LIMIT_S}
            answer = place.client.ask("layers", model=place.client.put(model), **how)
            nodes_s = sum(median(node["samples_s"]) for node in answer["nodes"])
            found.append((median(answer["samples_s"]), nodes_s, len(answer["nodes"])))
    (one_s, _, few), (all_s, profiled_s, many) = found
    if few == many:  # no layer is told apart: a run costs what that of nearly nothing does
        return replace(place, overheads=Overheads(one_s, one_s))
    each_s = max((all_s - one_s) / (many - few), 0.0)
    run_s = max(one_s - few * each_s, 0.0)
    return replace(place, overheads=Overheads(run_s, max((profiled_s - (all_s - run_s)) / many, 0.0)))


def measure(
    places: Sequence[Workplace], layers: Sequence[LayerSpec], name: str, together: bool = False
) -> list[Measurement]:
    """Measurements of the layers, each in a model of its own, with the reorders and the like that came with it.

    Each runs on the next place that is free; meanwhile others are prepared. Those that stream from memory, which all
    places share, have the machine to themselves. A layer that the runtime refuses or crashes on is left out. Then, if
    wanted, the layers `together` in one model, between two runs of each of which all the others run, as in a network:
    one measurement, of all of them, where the runtime does not tell them apart; none where it refuses the model. Raises
    DeviceError where not even starting a harness works.
    """
    streams = {layer: layer_bytes(layer) > _STREAMED_BYTES for layer in layers}
    found = _measured(places, [[layer] for layer, waits in streams.items() if not waits], name)
    found += _measured(places[:1], [[layer] for layer, waits in streams.items() if waits], name)
    built = [layer for layer in streams if _can_be_built(places[0].runtime, layer)] if together else []
    return found + _measured(places[:1], [built], name, alone=False) if built else found


def _measured(
    places: Sequence[Workplace], models: Sequence[Sequence[LayerSpec]], name: str, alone: bool = True
) -> list[Measurement]:
    """Measurements of the layers of some models, in order."""
    free: SimpleQueue[Workplace] = SimpleQueue()
    for place in places:
        free.put(place)
    with ThreadPoolExecutor(_PREPARED * len(places)) as workers:
        try:
            runtime = places[0].runtime
            found = workers.map(lambda layers: _measure_if_it_runs(free, runtime, layers, name, alone), models)
            return [measurement for made in found for measurement in made]
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _can_be_built(runtime: Runtime, layer: LayerSpec) -> bool:
    try:
        runtime.build([layer])
    except RuntimeRefusedError:
        return False
    return True


def _measure_if_it_runs(
    free: SimpleQueue[Workplace], runtime: Runtime, layers: Sequence[LayerSpec], name: str, alone: bool
) -> list[Measurement]:
    """Measurements of the layers of one model; none where it can't be built, or the runtime refuses it or crashes."""
    try:
        with _model_file(runtime, layers) as model:
            place = free.get()
            try:
                ran = _ran(place, model)
            finally:
                free.put(place)
            return [] if ran is None else _read(place, model, *ran, layers, name, alone)
    except RuntimeRefusedError:
        return []


def _ran(place: Workplace, model: Path) -> tuple[float, dict[str, Any]] | None:
    """When a model was run, and the harness's answer; None where the runtime refuses it or crashes.

    Raises DeviceError where the harness does not start again.
    """
    started_s = round(time.time(), 3)
    try:
        return started_s, _run_layers(place, model, model.with_name("optimized.onnx"), {}, end_to_end=False)
    except (RuntimeRefusedError, DeviceError):
        place.client.ask("about")
        return None


def _read(
    place: Workplace,
    model: Path,
    started_s: float,
    answer: Mapping[str, Any],
    layers: Sequence[LayerSpec],
    name: str,
    alone: bool,
) -> list[Measurement]:
    """Measurements of the layers of one model that was run."""
    executed = _executed(place, model, model.with_name("optimized.onnx"), answer, {})
    found = []
    if not all(layer.samples_s for layer in executed):
        if alone:  # one layer that the runtime runs as several
            return []
        executed = (ExecutedLayer("", "", WHOLE, tuple(answer["nodes"][0]["samples_s"])),)
    for layer in executed:
        if layer.layer.kind == "reshape":  # what stands around the layers
            continue
        samples = tuple(round(max(s - place.overheads.node_s, _LEAST_S), 9) for s in layer.samples_s)
        made = Measurement(
            layer.layer, samples, answer["warmup_runs"], alone=alone, batch=name, started_s=started_s,
            probe_s=answer.get("probe_s"),
        )  # fmt: skip
        half_width_s = made.spread * made.median_s
        found.append(replace(made, stable=half_width_s < STABLE_SPREAD * made.median_s + _CLOCK_S))
    return found


def _run_layers(
    place: Workplace, model: Path, optimized: Path, shapes: Mapping[str, Shape], end_to_end: bool
) -> dict[str, Any]:
    where: dict[str, Any] = {"model": place.client.put(model), "optimized": str(optimized), "shapes": dict(shapes)}
    return place.client.ask("layers", **where, end_to_end=end_to_end, **vars(place.how))


def _executed(
    place: Workplace, model: Path, optimized: Path, answer: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> tuple[ExecutedLayer, ...]:
    told = place.client.get(str(optimized)) if place.runtime.optimizes else model
    return place.runtime.executed(model, told, answer["nodes"], shapes)


@contextmanager
def _model_file(runtime: Runtime, layers: Sequence[LayerSpec]) -> Iterator[Path]:
    """The model of a batch as a file, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.onnx"
        path.write_bytes(runtime.build(layers))
        yield path
