"""What edgewright does about memory, as functions; like `api`, of which this is the second half."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.api import File, OnProgress, Shapes, drawn
from edgewright.errors import EdgewrightError, MeasurementError, ModelError, StoreError, UnsupportedModelError

if TYPE_CHECKING:
    from edgewright.formats.base import Format
    from edgewright.graph.types import Graph
    from edgewright.memory.onnxruntime import Settings
    from edgewright.profiling.stats import Ratio
    from edgewright.report.memory_view import MemoryView
    from edgewright.report.tiling_view import FrontierView, ProofView, RacedView, TilingView
    from edgewright.tiling.fit_to_litert import LitertTarget
    from edgewright.tiling.fit_to_memory import Fitted, Fitting, Place, Target

PROOF_BUDGET_S = 2.0
_SLOW_S = 0.1
"""A network that takes longer is measured in fewer processes and rounds: there is less chance in each run."""


def memory(
    model: File, *, settings: "Settings" = "default", input_shapes: Shapes | None = None, threads: int = 1
) -> "MemoryView":
    """The peak memory of a network as predicted, who holds it, what lives at each op, and the lower bound.

    Nothing of the network is run. A TFLite file is predicted for LiteRT with XNNPACK, which loads it to tell what it
    takes over. Raises ModelError, MeasurementError.
    """
    from edgewright.formats import open as open_format
    from edgewright.memory.onnxruntime import predict_peak
    from edgewright.profiling.local import block_channels
    from edgewright.report.memory_view import memory_view

    path = Path(model)
    form = open_format(path)
    graph = _countable(form.read(path, input_shapes), path)
    if form.name == "tflite":
        return _litert_memory(path, graph, settings)
    peak = predict_peak(graph, settings, block=block_channels(), threads=threads, open_inputs=tuple(input_shapes or ()))
    return memory_view(str(path), graph, peak)


def _litert_memory(path: Path, graph: "Graph", settings: "Settings") -> "MemoryView":
    from edgewright.memory.litert import Delegate, predict_peak
    from edgewright.profiling.local import delegates
    from edgewright.report.memory_view import litert_view

    if settings != "default":
        raise MeasurementError(f"{path}: the settings `{settings}` are those of ONNX Runtime")
    taken = [Delegate(*sides) for sides in delegates(path)]
    return litert_view(str(path), graph, predict_peak(graph, taken))


def tile(
    model: File,
    out: File,
    *,
    memory: int | str | None = None,
    slowdown: float | None = None,
    settings: "Settings | None" = None,
    device: str | None = None,
    runtime: str | None = None,
    check: bool = True,
    input_shapes: Shapes | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "TilingView":
    """Write a network that needs less memory and gives the same outputs: the fastest one predicted to stay inside
    `memory` (bytes, or text such as "16MB"), or the one of least memory at `slowdown` times the time.

    An ONNX file is tiled for ONNX Runtime. The promise holds under memory settings of the runtime, which are noted in
    the file for `lean_session`; None takes `arena`, which cost no time, and `lean` where only they meet the budget. A
    TFLite file is tiled for LiteRT, which has no settings: its arena and XNNPACK's workspace stay inside the budget.
    `runtime` says which of both is meant, and is refused where it does not execute the file.
    `check` runs it beside the original before anything is written, and a `slowdown` is measured then: the result has
    the least memory of the plans that prove to be fast enough here. Else nothing is run, and predicted times decide.
    Raises BudgetError where the budget is no size or can't be met, ModelError, MeasurementError, StoreError; then
    nothing is written.
    """
    from edgewright.files import scratch_folder
    from edgewright.formats import open as open_format
    from edgewright.report.tiling_view import Request, tiling_view
    from edgewright.tiling.fit_to_memory import Fitting, Target, asked_for, fit, fit_anyhow
    from edgewright.tiling.uncollected import uncollected

    asked = asked_for(memory, slowdown)
    path, target_path = Path(model), Path(out)
    form = open_format(path)
    runs_on = _runtime_of(path, runtime)
    check_output(path, target_path)
    graph = _countable(form.read(path, input_shapes), path)
    on_progress("searching", 0.1)
    place: Place
    if runs_on == "litert":
        name, place = _litert_target(path, graph, settings, device)
    else:
        name, place = _target(settings or "arena", device, input_shapes)
    trials = _Trials(path, form, runs_on, input_shapes or {}, on_progress)
    measured = None
    with scratch_folder(target_path.parent) as folder, uncollected():
        if asked.slowdown is not None and check:
            found, measured = trials.fast_enough(Fitting(graph, place), asked.slowdown, folder)
        elif isinstance(place, Target) and settings is None:
            found = fit_anyhow(graph, asked, place, str(path))
        else:
            found = fit(graph, asked, place, str(path))
        proof = trials.proof(found, asked.bytes, folder / target_path.name) if found.edits and check else None
    form.apply(path, found.edits, target_path, input_shapes)
    if found.edits:
        _note(target_path, found)
    request = Request(str(path), str(target_path), found.after.settings, name, asked.bytes, asked.slowdown)
    return tiling_view(request, graph, found, proof, measured)


def frontier(
    model: File,
    *,
    settings: "Settings | None" = None,
    device: str | None = None,
    runtime: str | None = None,
    input_shapes: Shapes | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "FrontierView":
    """Tiling plans that none beats in both predicted memory and time, from the fastest to the smallest.

    `settings` (None: `arena`) and `runtime` are as in `tile`. Raises ModelError, MeasurementError, StoreError.
    """
    from edgewright.formats import open as open_format
    from edgewright.report.tiling_view import Request, frontier_view
    from edgewright.tiling.fit_to_memory import frontier_of
    from edgewright.tiling.rates import network_macs
    from edgewright.tiling.uncollected import uncollected

    path = Path(model)
    runs_on = _runtime_of(path, runtime)
    place: Place
    used: Settings = settings or ("default" if runs_on == "litert" else "arena")
    graph = _countable(open_format(path).read(path, input_shapes), path)
    on_progress("searching", 0.1)
    if runs_on == "litert":
        name, place = _litert_target(path, graph, settings, device)
    else:
        name, place = _target(used, device, input_shapes)
    with uncollected():
        plans = frontier_of(graph, place)
    return frontier_view(Request(str(path), "", used, name), graph, plans, network_macs(graph))


def _countable(graph: "Graph", path: Path) -> "Graph":
    """The network, where the size of all that it holds is known. Raises UnsupportedModelError."""
    from edgewright.memory.countable import check_countable

    check_countable(graph, str(path))
    return graph


def _runtime_of(path: Path, asked: str | None) -> str:
    """The runtime that executes the file. Raises UnsupportedModelError where another one was asked for."""
    from edgewright.runtimes import of_model

    found = of_model(path)
    if asked not in (None, found):
        raise UnsupportedModelError(f"{path}: it is executed by {found}, not by {asked}")
    return found


def draw_frontier(found: "FrontierView", path: File) -> None:
    """Draw a frontier to a .png, .svg or .pdf file. Raises EdgewrightError."""
    from edgewright.report.frontier_plot import draw_file

    drawn(lambda: draw_file(found, Path(path)), path)


def _target(settings: "Settings", device: str | None, shapes: Shapes | None) -> "tuple[str | None, Target]":
    """Where a network is to fit: this machine, with the named device's times, else those of the usual device if any."""
    from edgewright.profiling.local import block_channels
    from edgewright.store import open_store
    from edgewright.tiling.fit_to_memory import Target

    store = open_store()
    name = device if device is None else store.choose(device)
    if device is None and (names := [one for one in store.names() if store.model_path(one).exists()]):
        name = "local" if "local" in names else names[0] if len(names) == 1 else None
    learned = store.model(name) if name is not None else None
    return name, Target(settings, block_channels(), 1, learned, tuple(shapes or ()))


def _litert_target(
    path: Path, graph: "Graph", settings: "Settings | None", device: str | None
) -> "tuple[str | None, LitertTarget]":
    """LiteRT on this machine, with the named device's times, else those of the usual device if there is one."""
    from edgewright.formats import open as open_format
    from edgewright.memory.litert import Delegate
    from edgewright.profiling.local import delegates
    from edgewright.store import open_store, usual_name
    from edgewright.tiling.fit_to_litert import LitertTarget

    if settings not in (None, "default"):
        raise MeasurementError(f"{path}: the settings `{settings}` are those of ONNX Runtime")
    store = open_store()
    name = store.choose(device) if device is not None else usual_name("litert")
    learned = store.model(name) if device is not None or store.model_path(name).exists() else None
    if learned is not None and learned.runtime_version and learned.runtime != "litert":
        raise StoreError(f"device {name!r} was learned with {learned.runtime}, not with litert")
    taken = [Delegate(*sides) for sides in delegates(path)]
    return name if learned else None, LitertTarget(graph, taken, open_format(path).expresses, learned)


def _note(path: Path, found: "Fitted") -> None:
    """Tells `lean_session` the settings. Raises StoreError; the file is gone then."""
    from edgewright.runtimes.lean_note import LeanNote, add_note

    if found.after.settings == "default":
        return
    try:
        add_note(path, LeanNote(found.after.settings, found.after.arena_bytes))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror}") from error


@dataclass
class _Trials:
    """Plans as files, run here."""

    path: Path
    form: "Format"
    runtime: str
    shapes: Shapes
    on_progress: OnProgress
    measured: int = 0

    def fast_enough(self, fitting: "Fitting", slowdown: float, folder: Path) -> "tuple[Fitted, RacedView | None]":
        """The smallest plan that proves to take at most `slowdown` times as long as the untiled network; that one
        itself where no plan does."""
        from edgewright.report.tiling_view import raced_view
        from edgewright.tiling.prove import prove

        proven = prove(
            fitting.hopeful(slowdown), slowdown, lambda plans, careful: self.race(fitting, plans, careful, folder)
        )
        return proven.plan or fitting.of(fitting.plans.untiled), raced_view(proven)

    def race(self, fitting: "Fitting", plans: "Sequence[Fitted]", careful: bool, folder: Path) -> "Sequence[Ratio]":
        """The times of plans in relation to the untiled network, all under the settings of the plans."""
        from edgewright.profiling.local import core, start
        from edgewright.profiling.race import RaceSetup, race

        self.on_progress(f"measuring, {self.measured} plans so far", 0.5)
        self.measured += len(plans)
        files = [folder / f"{number}{self.path.suffix}" for number in range(len(plans))]
        for plan, file in zip(plans, files, strict=True):
            self.form.apply(self.path, plan.edits, file, self.shapes)
        peaks = [fitting.before, *(plan.after for plan in plans)]
        is_slow = fitting.plans.pricing.times is not None and fitting.before_s > _SLOW_S
        processes, rounds = {(0, 0): (2, 8), (0, 1): (5, 16), (1, 0): (1, 6), (1, 1): (4, 8)}[is_slow, careful]
        settings = tuple((peak.settings, peak.arena_bytes) for peak in peaks)
        setup = RaceSetup(cpu=core(1), shapes=self.shapes, processes=processes, rounds=rounds, settings=settings)
        return race(lambda: start(self.runtime), [self.path, *files], setup).ratios

    def proof(self, found: "Fitted", budget_bytes: int | None, tiled: Path) -> "ProofView":
        """The tiled file, written to `tiled`, beside the original, by `bench`. Raises EdgewrightError where outputs
        differ."""
        from edgewright.profiling.bench import BenchSetup, bench
        from edgewright.profiling.local import core, start
        from edgewright.report.tiling_view import proof_view

        self.form.apply(self.path, found.edits, tiled, self.shapes)
        settings = found.after.settings
        regions = (found.before.arena_bytes, found.after.arena_bytes)
        each = [
            (("default", 0), (settings, region)) if settings != "default" else (("default", 0),) for region in regions
        ]
        setup = BenchSetup(
            runtime=self.runtime, cpu=core(1), shapes=self.shapes, budget_s=PROOF_BUDGET_S, settings=each[0] + each[1]
        )
        models = [self.path] * len(each[0]) + [tiled] * len(each[1])
        report = bench(
            lambda: start(self.runtime), models, setup, True,
            lambda done, steps: self.on_progress("proving", done / steps),
        )  # fmt: skip
        if report.differences:
            raise EdgewrightError(f"{self.path}: nothing was written, as the proof failed: {report.differences[0]}")
        return proof_view(report, budget_bytes)


def check_output(path: Path, out: Path) -> None:
    """Refuses early what can't be written at the end."""
    if out.is_dir():
        raise ModelError(f"{out}: is a folder")
    if out.exists() and out.samefile(path):
        raise ModelError(f"{out}: the output would overwrite the model that is read")
    if not out.parent.is_dir():
        raise ModelError(f"{out}: there is no folder {out.parent}")
