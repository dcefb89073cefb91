"""This machine as a place to measure: its harness, the core that is measured on, the layers of a network here."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from edgewright import runtimes, transports
from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Shape
from edgewright.profile import layer_to_dict
from edgewright.profiling.batch import Circumstances, NetworkRun, Workplace, run_network
from edgewright.profiling.cores import undisturbed
from edgewright.profiling.draws import Repertoire
from edgewright.profiling.plan import CHANNELS_FIRST, GeneralPlan, NetworkPlan, Plan
from edgewright.runtimes.client import HarnessClient

_NETWORK_LIMIT_S = 1.5
_PATIENCE_S = 0.02
"""What is measured while others slow the machine down is told by its probe: waiting longer wins nothing."""
_MOST_CORES = 4
"""More than that can't be kept busy: models are built, and answers read, in one process."""


@contextmanager
def workplace(runtime: str, threads: int, level: str = "all") -> Iterator[Workplace]:
    """This machine with a harness of its own, for as long as it is needed. Raises MeasurementError."""
    with start(runtime) as client:
        yield Workplace(client, runtimes.open(runtime), Circumstances(threads, level, core(threads)))


@contextmanager
def workplaces(runtime: str, threads: int, level: str = "all") -> Iterator[list[Workplace]]:
    """This machine with a harness on each core that can be measured on at the same time. Raises MeasurementError."""
    how = Circumstances(threads, level)
    with ExitStack() as open_until:
        places = [
            Workplace(open_until.enter_context(start(runtime)), runtimes.open(runtime), replace(how, cpu=cpu))
            for cpu in cores(threads)
        ]
        yield [replace(place, how=replace(place.how, patience_s=_PATIENCE_S)) for place in undisturbed(places)]


def start(runtime: str) -> HarnessClient:
    """A client whose harness runs in a process of its own."""
    return HarnessClient(transports.open("local"), runtimes.open(runtime).harness, sys.executable)


def core(threads: int) -> int | None:
    """The core to measure a single thread on: the last that this process may use; None where that can't be chosen."""
    return cores(threads)[0]


def cores(threads: int) -> list[int | None]:
    """The cores to measure single threads on, the last first; one is left for others where there are more than two."""
    if threads != 1 or not hasattr(os, "sched_getaffinity"):
        return [None]
    mine = sorted(os.sched_getaffinity(0), reverse=True)
    return [*mine[: min(max(len(mine) - 1, 2), _MOST_CORES)]]


def block_channels(runtime: str = "onnxruntime") -> int:
    """Channels of a block of the runtime's blocked layout here. Raises MeasurementError."""
    with start(runtime) as client:
        return int(client.ask("layout")["block_channels"])


def delegates(model: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Names of the tensors that each part of a TFLite model reads and makes which XNNPACK takes over.

    Raises RuntimeRefusedError or DeviceError, which name the file.
    """
    with start("litert") as client, _naming(model):
        found = client.ask("delegates", model=client.put(model))["delegates"]
    return [(tuple(one["inputs"]), tuple(one["outputs"])) for one in found]


def network_run(here: Workplace, model: Path, shapes: Mapping[str, Shape], calm_s: float = 0.0) -> NetworkRun:
    """A network run here, for long enough to tell its time, and that of its layers.

    Raises RuntimeRefusedError or DeviceError, which name the file.
    """
    how = replace(here.how, limit_s=_NETWORK_LIMIT_S, calm_s=calm_s, patience_s=Circumstances.patience_s)
    with _naming(model):
        return run_network(replace(here, how=how), model, shapes)


@contextmanager
def _naming(model: Path) -> Iterator[None]:
    """Failures within name the model."""
    try:
        yield
    except (RuntimeRefusedError, DeviceError) as error:
        raise type(error)(f"{model}: {error}") from error


def plan_for(here: Workplace, models: Sequence[Path], shapes: Mapping[str, Shape]) -> Plan:
    """The plan of a campaign: for the layers of some networks, or general where there are none."""
    drawn = repertoire(here.runtime.name)
    if not models:
        return GeneralPlan(repertoire=drawn)
    found = dict.fromkeys(layer.layer for model in models for layer in network_run(here, model, shapes).layers)
    return NetworkPlan(_plan_name(models, tuple(found)), tuple(found), repertoire=drawn)


def repertoire(runtime: str) -> Repertoire:
    """What is drawn for a runtime."""
    if runtime == "litert":
        from edgewright.profiling.channels_last import CHANNELS_LAST

        return CHANNELS_LAST
    return CHANNELS_FIRST


def _plan_name(models: Sequence[Path], layers: Sequence[LayerSpec]) -> str:
    """The networks by name, and what they consist of, so that the same networks go on with the same campaign."""
    digest = sha256(json.dumps([layer_to_dict(layer) for layer in layers]).encode()).hexdigest()[:8]
    return f"for {', '.join(model.stem for model in models)} {digest}"
