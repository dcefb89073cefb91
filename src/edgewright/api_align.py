"""What edgewright does about widths, as a function; like `api`, of which this is a part."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from edgewright.api import File, OnProgress, Shapes, profile, width_target
from edgewright.api_memory import check_output
from edgewright.errors import BudgetError, EdgewrightError, StoreError, UnsupportedModelError

if TYPE_CHECKING:
    from edgewright.formats.base import Format
    from edgewright.graph.channels import ChannelGroup
    from edgewright.graph.types import LayerSpec
    from edgewright.profiling.batch import Workplace
    from edgewright.profiling.bench import BenchReport
    from edgewright.profiling.stats import Ratio
    from edgewright.report.align_view import AlignView
    from edgewright.runtimes.client import HarnessClient
    from edgewright.store import DeviceStore
    from edgewright.timing import ExecutionTimeModel
    from edgewright.widths.places import Widths
    from edgewright.widths.prove import Proven
    from edgewright.widths.task import Task

BUDGET_S = 60.0
MAX_GROWTH, MAX_MEMORY_GROWTH = 1.25, 2.0
"""A layout in blocks of 16 channels takes up to twice the memory of a plain one."""
LEARNING_S = 45.0
_PROOF_S = 2.0
_OPEN_BYTES = 2**31
"""Variants of so many bytes of weights are open at the same time."""
_LAYERS_SHARE = 0.3
"""The share of the budget after which no more layers are measured by themselves."""
_PROOF_SHARE = 0.25
"""The share of the budget that is left for the proof at the end."""


def align(
    model: File,
    out: File,
    *,
    device: str | None = None,
    max_growth: float = MAX_GROWTH,
    max_memory_growth: float = MAX_MEMORY_GROWTH,
    budget_s: float = BUDGET_S,
    input_shapes: Shapes | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "AlignView":
    """Write a network whose layers have widths that run faster on this machine, and that gives the same outputs.

    Channels are added that are zero, and dead ones removed; weights grow to `max_growth` times what they were at the
    most, and peak memory, as predicted, to `max_memory_growth` times. What the execution-time model of `device`
    proposes is measured here for about `budget_s` seconds, and nothing is written unless the result proves to be
    faster. Where no device was profiled yet, the layers of this network are measured first. Raises ModelError,
    MeasurementError, StoreError, BudgetError.
    """
    from edgewright.files import scratch_folder
    from edgewright.formats import open as open_format
    from edgewright.report.alignment import Outcome, align_view
    from edgewright.runtimes import of_model
    from edgewright.widths.task import CORRECTED

    if not (max_growth >= 1 and max_memory_growth >= 1):
        raise BudgetError("weights and memory can't be let grow to less than they are: give ratios of 1 or more")
    path, target = Path(model), Path(out)
    form = open_format(path)
    check_output(path, target)
    name, learned = _learned(path, form, device, input_shapes, on_progress)
    on_progress("searching", 0.02)
    task = _task(path, form, learned, (max_growth, max_memory_growth), input_shapes)
    if not task.places.groups:
        return align_view(Outcome(str(path), None, name, task))
    with scratch_folder(target.parent) as folder:
        runs = _Runs(of_model(path), learned.threads, _level(learned), input_shapes or {})
        trials = _Trials(path, form, task, runs, folder, budget_s, on_progress)
        plans = task.plans()
        corrected = trials.corrected(list(plans.values()))
        plans[CORRECTED] = corrected.fastest(tuple(plans.values()))
        proven = trials.prove(list(plans.values()), corrected)
        report = trials.proof(proven.widths) if proven.widths != task.original else None
        is_faster = report is not None and (ratio := report.results[1].ratio) is not None and ratio.high < 1
        if is_faster:
            form.apply(path, task.plan(proven.widths).edits, target, input_shapes)
    return align_view(Outcome(str(path), str(target) if is_faster else None, name, task, plans, proven, report))


@dataclass(frozen=True)
class _Runs:
    """How plans are run here."""

    runtime: str
    threads: int
    level: str
    shapes: Shapes

    @property
    def circumstances(self) -> dict[str, Any]:
        from edgewright.profiling.local import core

        return {"threads": self.threads, "level": self.level, "cpu": core(self.threads), "shapes": self.shapes}

    def start(self) -> "HarnessClient":
        from edgewright.profiling.local import start

        return start(self.runtime)


@dataclass
class _Trials:
    """Plans as files, and how long they take here."""

    path: Path
    form: "Format"
    task: "Task"
    runs: _Runs
    folder: Path
    budget_s: float
    on_progress: OnProgress
    _files: dict["Widths", Path] = field(default_factory=dict)
    _made: int = 0
    _started_s: float = field(default_factory=time.monotonic)

    def corrected(self, plans: Sequence["Widths"]) -> "Task":
        """The task with the times of layers that were measured in this network, or alone where none are told in it."""
        from edgewright.profiling.local import workplace
        from edgewright.runtimes import open as open_runtime

        with workplace(self.runs.runtime, self.runs.threads, self.runs.level) as here:
            if open_runtime(self.runs.runtime).tells_layers:
                return self.task.after_measuring(self._profiled(here, plans))
            return self._measured_alone(here, plans)

    def _profiled(self, here: "Workplace", plans: Sequence["Widths"]) -> dict["LayerSpec", float]:
        """Seconds of each layer that runs in any of some plans, as the runtime's own profile shares them out."""
        from edgewright.profiling.local import network_run
        from edgewright.report.view import shared_out

        found: dict[LayerSpec, list[float]] = {}
        for done, plan in enumerate(plans):
            self.on_progress("measuring layers", 0.2 * done / len(plans))
            if self.task.fits(plan):
                run = network_run(here, self.file(plan), self.runs.shapes)
                times_s = shared_out([layer.time_s for layer in run.layers], median(run.samples_s))
                for layer, time_s in zip(run.layers, times_s, strict=True):
                    found.setdefault(layer.layer, []).append(time_s)
        return {layer: median(times_s) for layer, times_s in found.items()}

    def _measured_alone(self, here: "Workplace", plans: Sequence["Widths"]) -> "Task":
        """The layers of the plans are measured, those of the plan that is fastest then, and so on until it stays."""
        from edgewright.profiling.batch import calibrated, measure

        here, task = calibrated(here), self.task
        known: dict[LayerSpec, float] = {}
        wanted = [task.original, *(plan for plan in plans if task.fits(plan))]
        while True:
            new = [layer for plan in wanted for layer in task.layers(plan) if layer not in known]
            for layer in dict.fromkeys(new):
                if self.spent_share() > _LAYERS_SHARE:
                    return task
                self.on_progress("measuring layers", self.spent_share())
                alone = [one.time_s for one in measure([here], [layer], "align")]
                known[layer] = (alone[0] + task.in_network([layer])[0]) if alone else task.frontiers.prices.of([layer])
            if not new:
                return task
            task = self.task.after_measuring(known)
            wanted = [task.fastest(wanted)]

    def prove(self, plans: Sequence["Widths"], corrected: "Task") -> "Proven":
        from edgewright.widths.prove import prove

        task = self.task
        return prove(task.original, plans, corrected.alternatives, self.race, task.fits, self.has_time, self.slots())

    def slots(self) -> int:
        """How many variants can be open at once."""
        from edgewright.widths.prove import SLOTS

        tensors = self.task.places.graph.tensors.values()
        weights_bytes = sum(tensor.size_bytes for tensor in tensors if tensor.is_constant)
        return min(max(_OPEN_BYTES // max(weights_bytes, 1) - 1, 1), SLOTS)

    def has_time(self) -> bool:
        return self.spent_share() < 1 - _PROOF_SHARE

    def spent_share(self) -> float:
        return (time.monotonic() - self._started_s) / max(self.budget_s, 1e-9)

    def race(self, plans: Sequence["Widths"]) -> Sequence["Ratio"]:
        """The times of plans in relation to the first of them."""
        from edgewright.profiling.race import RaceSetup, race

        self.on_progress(f"measuring, {self._made} plans so far", min(self.spent_share(), 1.0))
        setup = RaceSetup(**self.runs.circumstances)
        ratios = race(self.runs.start, [self.file(plan) for plan in plans], setup).ratios
        for made in [self._files.pop(plan) for plan in plans[1:] if plan in self._files]:
            made.unlink()
        return ratios

    def proof(self, plan: "Widths") -> "BenchReport":
        """The plan beside the model as it is. Raises EdgewrightError where outputs differ."""
        from edgewright.profiling.bench import BenchSetup, bench

        setup = BenchSetup(runtime=self.runs.runtime, budget_s=_PROOF_S, **self.runs.circumstances)
        report = bench(
            self.runs.start, [self.path, self.file(plan)], setup, True,
            lambda done, steps: self.on_progress("proving", 1 - _PROOF_SHARE * (1 - done / steps)),
        )  # fmt: skip
        if report.differences:
            raise EdgewrightError(f"{self.path}: nothing was written, as the proof failed: {report.differences[0]}")
        return report

    def file(self, plan: "Widths") -> Path:
        """The model at the widths of a plan."""
        if plan == self.task.original:
            return self.path
        if plan not in self._files:
            self._made += 1
            made = self.folder / f"{self._made}{self.path.suffix}"
            edits = self.task.plan(plan).edits
            self.form.apply(self.path, edits, made, self.runs.shapes)
            self._check(plan, made)
            self._files[plan] = made
        return self._files[plan]

    def _check(self, plan: "Widths", made: Path) -> None:
        from edgewright.widths.verify import problems

        found = problems(
            self.task.places.graph, self.task.plan(plan), self.form.read(made, self.runs.shapes), self.task.max_growth
        )
        if found:
            raise EdgewrightError(f"{self.path}: the widened network is not whole: {found[0]}; please report it")


def _learned(
    path: Path, form: "Format", device: str | None, shapes: Shapes | None, on_progress: OnProgress
) -> "tuple[str, ExecutionTimeModel]":
    """The device and what was learned of it; where none was profiled yet, the layers of this network are measured."""
    from edgewright.runtimes import of_model

    form.read(path, shapes)
    return learned_device(path, of_model(path), device, f", which does not execute {path}", shapes, on_progress)


def learned_device(
    path: Path, runtime: str, device: str | None, refusal: str, shapes: Shapes | None, on_progress: OnProgress
) -> "tuple[str, ExecutionTimeModel]":
    """The device that is meant and what was learned of it with a runtime; where nothing was yet, the layers of the
    network in `path` are measured first. Raises StoreError, which ends in `refusal` for a device of another runtime."""
    from edgewright.store import open_store, usual_name

    store, usual = open_store(), usual_name(runtime)
    if device is None and not any(_speaks_of(store, name, runtime) for name in store.names()):
        profile([path], name=usual, budget_s=LEARNING_S, input_shapes=shapes, on_progress=on_progress)
    name = store.choose(device, usual)
    learned = store.model(name)
    if learned.runtime_version and learned.runtime != runtime:
        raise StoreError(f"device {name!r} was learned with {learned.runtime}{refusal}")
    return name, learned


def _speaks_of(store: "DeviceStore", name: str, runtime: str) -> bool:
    """Whether a device was learned with a runtime, or from a table."""
    if not store.model_path(name).exists():
        return False
    learned = store.model(name)
    return not learned.runtime_version or learned.runtime == runtime


def _level(learned: "ExecutionTimeModel") -> str:
    """The optimization level of the runtime that was measured."""
    return (learned.settings or "all") if learned.runtime_version else "all"


def _task(
    path: Path, form: "Format", learned: "ExecutionTimeModel", growth: tuple[float, float], shapes: Shapes | None
) -> "Task":
    from edgewright.formats.base import HoldsConstants
    from edgewright.graph.channel_groups import find_groups
    from edgewright.graph.dead_channels import dead_channels
    from edgewright.runtimes import of_model
    from edgewright.widths.task import Task

    graph = form.read(path, shapes)
    groups = _that_can_change(path, form, find_groups(graph), shapes)
    constants = form.constants(path, shapes) if isinstance(form, HoldsConstants) else {}
    dead = dead_channels(graph, groups, constants) if constants else {}
    target = width_target(of_model(path), _level(learned), path)
    return Task.of(graph, groups, learned, target, *growth, dead)


def _that_can_change(
    path: Path, form: "Format", groups: "Sequence[ChannelGroup]", shapes: Shapes | None
) -> "tuple[ChannelGroup, ...]":
    """The groups whose widths the format can change in this file; half by half, where it can't change all at once."""
    from tempfile import TemporaryDirectory

    from edgewright.graph.width_edits import SetWidth

    script = [SetWidth(group, tuple(range(group.width)), 1) for group in groups]
    try:
        with TemporaryDirectory() as folder:
            form.apply(path, script, Path(folder) / f"wider{path.suffix}", shapes)
    except UnsupportedModelError:
        middle = len(groups) // 2
        halves = (groups[:middle], groups[middle:]) if middle else ()
        return tuple(group for half in halves for group in _that_can_change(path, form, half, shapes))
    return tuple(groups)
