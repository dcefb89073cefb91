"""The honest comparison of models: fresh processes, interleaved rounds, end-to-end times without a profiler.

Several generations of processes are run, one process a model in each. In a generation all models are loaded and
warmed up; then rounds go A B A B, so that drift of the machine meets all of them alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.formats import open as open_format
from edgewright.graph.types import Shape
from edgewright.profiling.outputs import OutputDifference, compare_outputs, outputs_of
from edgewright.profiling.stats import Array, Ratio, ratio_of
from edgewright.runtimes.client import HarnessClient

_LOAD_TIMEOUT_S = 600.0
_MOST_ROUNDS, _FEWEST_ROUNDS = 10, 3
_LONGEST_ROUND_S = 0.1


@dataclass(frozen=True)
class BenchSetup:
    """How models are run: threads, core (None: any), shapes of dynamic inputs, processes a model, seconds for each.

    `budget_s` is for the timed rounds of one model, all its processes together; a slow model may take longer.
    `settings` are the runtime's memory settings for each model in turn (`default` where there are fewer), with
    the first region of the arena of each.
    """

    device: str = "local"
    runtime: str = "onnxruntime"
    threads: int = 1
    level: str = "all"
    cpu: int | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    generations: int = 5
    budget_s: float = 4.0
    seed: int = 0
    settings: tuple[tuple[str, int], ...] = ()

    def settings_of(self, index: int) -> dict[str, Any]:
        """The memory settings of a model, as the harness takes them."""
        name, region_bytes = self.settings[index] if index < len(self.settings) else ("default", 0)
        return {"settings": name, "arena_bytes": region_bytes}

    def arguments(self) -> dict[str, Any]:
        return {"threads": self.threads, "level": self.level, "shapes": dict(self.shapes), "seed": self.seed}


@dataclass(frozen=True)
class BenchResult:
    """One model's figures; `ratio` is its time over that of the first model, None for the first itself.

    `peak_bytes` is the growth of resident memory during inference over the level after loading, inputs counted, None
    where the device can't tell; `difference` is None where outputs were not compared.
    """

    model: str
    median_s: float
    p95_s: float
    samples: int
    load_s: float
    peak_bytes: int | None
    weights_bytes: int
    finite: bool
    settings: str = "default"
    ratio: Ratio | None = None
    difference: OutputDifference | None = None


@dataclass(frozen=True)
class BenchReport:
    """The models side by side, and the circumstances."""

    device: str
    runtime: str
    runtime_version: str
    processor: str
    threads: int
    pinned: bool
    generations: int
    rounds: int
    results: tuple[BenchResult, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong with outputs: not finite, or not those of the first model."""
        found = (f"{result.model}: outputs are not finite" for result in self.results if not result.finite)
        return (*found, *self.differences)

    @property
    def differences(self) -> tuple[str, ...]:
        """Which models do not give what the first one does; what is not finite in both alike is the same."""
        differing = [(r.model, r.difference) for r in self.results if r.difference and not r.difference.same]
        return tuple(
            f"{model}: outputs differ from those of {self.results[0].model} "
            f"({difference.reason or f'by {difference.max_relative:.1e} of the largest value'})"
            for model, difference in differing
        )


Start = Callable[[], HarnessClient]
OnProgress = Callable[[int, int], None]


def bench(
    start: Start,
    models: Sequence[Path],
    setup: BenchSetup,
    compare: bool = False,
    on_progress: OnProgress = lambda done, steps: None,
) -> BenchReport:
    """Times, memory and outputs of the models, in their order; `start` makes a client with a process of its own.

    Raises ModelError where one can't be read, RuntimeRefusedError or DeviceError, naming the model, where one can't be
    run.
    """
    weights = [_weights_bytes(model, setup.shapes) for model in models]
    steps = len(models) + setup.generations
    outputs, peaks = [], []
    for index, model in enumerate(models):
        on_progress(index, steps)
        with _naming(model), start() as client:
            outputs.append(outputs_of(client, model, setup.arguments()))
        with _naming(model), start() as client:
            peaks.append(_peak_bytes(client, model, setup, setup.settings_of(index)))
    timings: list[list[_Timing]] = [[] for _ in models]
    for generation in range(setup.generations):
        on_progress(len(models) + generation, steps)
        for timing, found in zip(timings, _generation(start, models, setup), strict=True):
            timing.append(found)
    on_progress(steps, steps)
    with start() as client:
        about = client.ask("about")
    medians = _round_medians(timings)
    results = [
        BenchResult(
            str(model),
            *_figures(timings[index]),
            peaks[index],
            weights[index],
            outputs[index].finite,
            setup.settings_of(index)["settings"],
            ratio_of(medians[index], medians[0], seed=setup.seed) if index else None,
            compare_outputs(outputs[0], outputs[index]) if index and compare else None,
        )
        for index, model in enumerate(models)
    ]
    return BenchReport(
        setup.device, setup.runtime, about["runtime_version"], about["processor"], setup.threads,
        setup.cpu is not None and setup.threads == 1, setup.generations, medians[0].shape[1], tuple(results),
    )  # fmt: skip


@dataclass(frozen=True)
class _Timing:
    """What one process measured: samples by round, and the time that loading took."""

    rounds: tuple[tuple[float, ...], ...]
    load_s: float


def _generation(start: Start, models: Sequence[Path], setup: BenchSetup) -> list[_Timing]:
    """A fresh process a model, all loaded and warm, then timed in turns."""
    with ExitStack() as stack:
        clients = [stack.enter_context(start()) for _ in models]
        loaded = []
        for index, (model, client) in enumerate(zip(models, clients, strict=True)):
            with _naming(model):
                how = {"cpu": setup.cpu, **setup.settings_of(index), **setup.arguments()}
                loaded.append(client.ask("load", _LOAD_TIMEOUT_S, model=client.put(model), **how))
        slowest_s = max(answer["run_s"] for answer in loaded)
        count, round_s = _rounds(setup, slowest_s)
        samples: list[list[tuple[float, ...]]] = [[] for _ in models]
        for _ in range(count):
            for model, client, found in zip(models, clients, samples, strict=True):
                with _naming(model):
                    found.append(tuple(client.ask("round", _LOAD_TIMEOUT_S, limit_s=round_s)["samples_s"]))
    return [_Timing(tuple(found), answer["load_s"]) for found, answer in zip(samples, loaded, strict=True)]


def _rounds(setup: BenchSetup, run_s: float) -> tuple[int, float]:
    """How many rounds a process has, and the seconds of each; a round has a run that isn't counted."""
    share_s = setup.budget_s / setup.generations
    count = round(min(max(share_s / (2 * max(run_s, 1e-9)), _FEWEST_ROUNDS), _MOST_ROUNDS))
    return count, min(max(share_s / count - run_s, 0.0), _LONGEST_ROUND_S)


def _round_medians(timings: Sequence[Sequence[_Timing]]) -> list[Array]:
    """The median of each round, as (processes, rounds); generations are cut to the rounds that all of them have."""
    fewest = min(len(timing.rounds) for model in timings for timing in model)
    return [
        np.array([[np.median(samples) for samples in timing.rounds[:fewest]] for timing in model]) for model in timings
    ]


def _figures(timings: Sequence[_Timing]) -> tuple[float, float, int, float]:
    """The median of the rounds' medians, the 95th percentile and the number of all samples, the median of loading."""
    medians = [np.median(samples) for timing in timings for samples in timing.rounds]
    samples = [sample for timing in timings for part in timing.rounds for sample in part]
    load_s = np.median([timing.load_s for timing in timings])
    return float(np.median(medians)), float(np.percentile(samples, 95)), len(samples), float(load_s)


def _peak_bytes(client: HarnessClient, model: Path, setup: BenchSetup, settings: Mapping[str, Any]) -> int | None:
    answer = client.ask("memory", _LOAD_TIMEOUT_S, model=client.put(model), **settings, **setup.arguments())
    found = answer.get("peak_bytes")
    return None if found is None else int(found)


def _weights_bytes(model: Path, shapes: Mapping[str, Shape]) -> int:
    """Bytes of the constants of the network."""
    tensors = open_format(model).read(model, shapes).tensors.values()
    return sum(tensor.size_bytes for tensor in tensors if tensor.is_constant)


@contextmanager
def _naming(model: Path) -> Iterator[None]:
    """Failures within name the model."""
    try:
        yield
    except (RuntimeRefusedError, DeviceError) as error:
        raise type(error)(f"{model}: {error}") from error
