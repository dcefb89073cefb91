"""What edgewright does, as functions: the commands are a thin skin over them.

Everything heavy is imported where it is used, so that importing this costs next to nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from edgewright.errors import DataError, EdgewrightError, ModelError, StoreError
from edgewright.profile import ALIKE, Profile
from edgewright.report.devices import DeviceSummary, Evaluation

if TYPE_CHECKING:
    from edgewright.energy import EnergyMeter
    from edgewright.graph.types import Graph, Shape
    from edgewright.profiling.bench import BenchReport
    from edgewright.report.view import Explanation, Subject
    from edgewright.store import DeviceStore
    from edgewright.timing import ExecutionTimeModel
    from edgewright.widths.executed import Target
    from edgewright.widths.gains import GroupGain

GENERAL_BUDGET_S, NETWORK_BUDGET_S = 420.0, 60.0

File = str | PathLike[str]
Shapes = Mapping[str, "Shape"]
OnProgress = Callable[[str, float], None]
"""Called with what is being done and how much of it is done, from 0 to 1."""


def profile(
    models: Sequence[File] = (),
    *,
    name: str | None = None,
    runtime: str | None = None,
    threads: int = 1,
    level: str = "all",
    budget_s: float | None = None,
    input_shapes: Shapes | None = None,
    fresh: bool = False,
    energy: str | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> DeviceSummary:
    """Measure layers on this machine and learn its execution-time model; kept in the device store under `name`.

    With `models`, their layers and the ones beside them; else layers of every kind. A campaign that was interrupted
    goes on where it stopped; `fresh` starts anew. Without `runtime` it is the one that executes files such as `models`
    (ONNX Runtime without any); without `name`, `local` with ONNX Runtime and `local-litert` with LiteRT. `level` is
    that of graph optimization; LiteRT has `all`, with XNNPACK, and `none`. With `energy`, a source of it (`rapl`,
    `hwmon`, `nvml`, or `any`), the energy of layers is measured and learned too, for as long again. Raises ModelError,
    MeasurementError, StoreError.
    """
    from edgewright.profiling.local import plan_for, workplaces
    from edgewright.profiling.session import Progress, campaign
    from edgewright.store import open_store, usual_name
    from edgewright.timing import fit as learn

    runtime = runtime or _runtime_of([Path(model) for model in models])
    name = usual_name(runtime) if name is None else name
    store = open_store()
    path = store.profile_path(name)
    shapes = _checked([Path(model) for model in models], input_shapes)
    budget_s = budget_s or (NETWORK_BUDGET_S if models else GENERAL_BUDGET_S)

    def report(progress: Progress) -> None:
        on_progress(f"measuring, {progress.measurements:,} so far", min(progress.spent_s / progress.budget_s, 1.0))

    on_progress("starting", 0.0)
    meter = _meter(energy)
    with workplaces(runtime, threads, level) as places:
        here = places[0]
        plan = plan_for(here, [Path(model) for model in models], shapes)
        about = here.client.ask("about")
        header = Profile(about["processor"], runtime, about["runtime_version"], threads, settings=here.how.level)
        if fresh:
            store.forget(name)
        measured = campaign(places, path, header, plan, budget_s, report)
        if meter is not None:
            from edgewright.profiling.energy import measure_energy

            measured = measure_energy(
                here, meter, measured, budget_s, lambda done, layers: on_progress(f"energy of {layers} layers", done)
            )
            store.write_profile(name, measured)
    on_progress("learning from what was measured", 1.0)
    earlier, learned_s = _learned_earlier(store, name)
    changed = {m.layer.family for m in measured.measurements if m.started_s > learned_s}
    store.write_model(name, learn(measured, earlier=earlier, changed=changed))
    _learn_energy(store, name, measured)
    return _summary(name)


def _learned_earlier(store: "DeviceStore", name: str) -> tuple["ExecutionTimeModel | None", float]:
    """What was learned of the device before, and when (seconds since the epoch); None where nothing was."""
    try:
        return store.model(name), store.model_path(name).stat().st_mtime
    except (StoreError, OSError):
        return None, 0.0


def devices() -> tuple[DeviceSummary, ...]:
    """What has been learned so far, device by device. Raises StoreError."""
    from edgewright.store import open_store

    return tuple(_summary(name) for name in open_store().names())


def fit(
    measurements: File, name: str, *, runtime: str = "", threads: int = 1, on_progress: OnProgress = lambda _, __: None
) -> DeviceSummary:
    """Learn an execution-time model from a CSV file of measurements made elsewhere; kept in the store under `name`.

    Raises DataError, which names line and column, and StoreError where `name` holds what was measured here.
    """
    from edgewright.store import open_store
    from edgewright.timing import fit as learn
    from edgewright.timing.measurements_csv import read_csv

    store, source = open_store(), Path(measurements)
    _refuse_to_replace(store, name)
    try:
        with source.open(encoding="utf-8", newline="") as lines:
            found = read_csv(lines, str(source), name, runtime, threads)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DataError(f"{source}: {reason}") from error
    on_progress("learning", 0.0)
    learned = learn(found)
    store.write_profile(name, found)
    store.write_model(name, learned)
    _learn_energy(store, name, found)
    return _summary(name)


def evaluate(
    name: str | None = None, *, baselines: bool = True, on_progress: OnProgress = lambda _, __: None
) -> Evaluation:
    """Held-out errors for each kind of layer by cross-validation, beside those of baselines. Raises StoreError."""
    from edgewright.store import open_store
    from edgewright.timing import evaluate as cross_validate

    store = open_store()
    name = store.choose(name)
    measured = store.profile(name)
    on_progress("cross-validating", 0.0)
    kinds = cross_validate(measured)
    if not baselines:
        return Evaluation(name, kinds, {})
    on_progress("training the baselines", 0.5)
    from edgewright.timing.baselines import evaluate_baselines

    try:
        return Evaluation(name, kinds, evaluate_baselines(measured))
    except EdgewrightError as error:
        return Evaluation(name, kinds, {}, (str(error),))


def explain(
    model: File,
    *,
    device: str | None = None,
    rules: bool = False,
    layer: str | None = None,
    input_shapes: Shapes | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "Explanation":
    """Where a network's time goes on a device, layer by layer, how well that was predicted, and what would be faster.

    The staircase in it is that of `layer`, by default of the one where most can be saved. Raises ModelError,
    MeasurementError, StoreError.
    """
    from edgewright.report.view import explanation

    learned, subject = _explained(model, device, input_shapes, on_progress)
    return explanation(subject, learned, rules, layer)


def draw_stairs(explained: "Explanation", path: File) -> None:
    """Draw the staircase of an explanation to a .png, .svg or .pdf file. Raises EdgewrightError."""
    from edgewright.timing.plot import draw_file

    stairs = explained.stairs
    if stairs is None:
        raise EdgewrightError(f"{explained.model}: no layer has a width that could change, so there is no staircase")
    drawn(lambda: draw_file(stairs, Path(path)), path)


def write_page(explained: "Explanation", path: File) -> None:
    """Write an explanation as one self-contained HTML page. Raises StoreError."""
    from edgewright.files import write_atomically
    from edgewright.report.html import page

    write_atomically(Path(path), page(explained))


def bench(
    models: Sequence[File],
    *,
    runtime: str | None = None,
    threads: int = 1,
    level: str = "all",
    compare: bool = False,
    budget_s: float | None = None,
    input_shapes: Shapes | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "BenchReport":
    """Compare models honestly: fresh processes, interleaved rounds, no profiler; memory and outputs beside the times.

    Without `runtime` it is the one that executes such files. Raises ModelError, MeasurementError.
    """
    from edgewright.profiling.bench import BenchSetup
    from edgewright.profiling.bench import bench as compare_models
    from edgewright.profiling.local import core, start

    chosen = runtime or _runtime_of([Path(model) for model in models])
    setup = BenchSetup(runtime=chosen, threads=threads, level=level, cpu=core(threads), shapes=input_shapes or {})
    return compare_models(
        lambda: start(chosen),
        [Path(model) for model in models],
        replace(setup, budget_s=budget_s) if budget_s else setup,
        compare,
        lambda done, steps: on_progress("measuring", done / steps),
    )


def _explained(
    model: File, device: str | None, input_shapes: Shapes | None, on_progress: OnProgress = lambda _, __: None
) -> "tuple[ExecutionTimeModel, Subject]":
    """What was learned of a device, and the network as it runs there: as the runtime says, else as the file says."""
    from edgewright.formats import open as open_format
    from edgewright.graph.layers import layers_of
    from edgewright.report.view import Part, Subject
    from edgewright.runtimes import of_model
    from edgewright.store import open_store, usual_name

    store, path = open_store(), Path(model)
    on_progress("reading the model", 0.0)
    graph = open_format(path).read(path, input_shapes)
    runtime = of_model(path)
    name = store.choose(device, usual_name(runtime))
    learned = store.model(name)
    if learned.runtime_version and learned.runtime != runtime:
        raise StoreError(
            f"device {name!r} was learned with {learned.runtime}, which does not execute {path}; "
            f"`edgewright profile --for {path}` learns this machine with {runtime}"
        )
    if learned.runtime_version:
        on_progress("running the model", 0.2)
        return learned, _run(store.profile(name), graph, path, name, learned, input_shapes or {})
    parts = tuple(Part(op, (op,), layer) for op, layer in layers_of(graph))
    note = f"{name} was learned from a table, so nothing was run: the layers are those of the file"
    return learned, Subject(str(path), name, parts, None, notes=(note,))


def _run(
    measured: Profile, graph: "Graph", path: Path, name: str, learned: "ExecutionTimeModel", shapes: Shapes
) -> "Subject":
    """The network run here: measured end to end, and shared out to its layers by the runtime's own profile."""
    from edgewright.profiling.local import network_run, workplace
    from edgewright.report.origins import origins
    from edgewright.report.view import Part, Subject, shared_out

    with workplace(learned.runtime, learned.threads, learned.settings or "all") as here:
        version = here.client.ask("about")["runtime_version"]
        calm_s = measured.calm_s
        run = network_run(here, path, shapes, calm_s)
    whole_s, overhead_s = median(run.samples_s), measured.run_overhead_s
    times_s: list[float | None] = [None] * len(run.layers)
    if all(layer.samples_s for layer in run.layers):
        times_s = [*shared_out([layer.time_s for layer in run.layers], max(whole_s - overhead_s, 0.0))]
    ops = origins(graph, [(layer.name, layer.output, layer.layer) for layer in run.layers])
    parts = tuple(
        Part(layer.name, of, layer.layer, time_s) for layer, of, time_s in zip(run.layers, ops, times_s, strict=True)
    )
    notes = []
    if None in times_s:
        notes.append(f"{learned.runtime} tells no times of layers: theirs are predicted")
    if version != learned.runtime_version:
        notes.append(f"learned with {learned.runtime} {learned.runtime_version}, but {version} is installed")
    slowness = (run.probe_s or 0.0) / calm_s if calm_s else 1.0
    if slowness > ALIKE:
        notes.append(
            f"something slowed this machine down: a probe took {slowness:.2f} times as long as when it was profiled"
        )
    return Subject(str(path), name, parts, whole_s, overhead_s, tuple(notes), _groups(graph, learned))


def _groups(graph: "Graph", learned: "ExecutionTimeModel") -> "tuple[GroupGain, ...]":
    """The channel groups for which another width is faster, where it is known what runs at other widths."""
    from edgewright.widths.gains import group_gains

    return group_gains(graph, learned, width_target(learned.runtime, learned.settings or "all"))


def width_target(runtime: str, level: str, model: Path | None = None) -> "Target":
    """What a runtime executes at any widths; of LiteRT without the `model`, all the memory is taken to be its own."""
    from edgewright.profiling.local import block_channels, delegates
    from edgewright.widths.targets import LitertTarget, OnnxRuntimeTarget

    if runtime == "litert":
        is_delegated = level == "all"
        taken = delegates(model) if is_delegated and model is not None else []
        return LitertTarget.of(taken, is_delegated)
    return OnnxRuntimeTarget(block_channels())


def _checked(models: Sequence[Path], shapes: Shapes | None) -> Shapes:
    """The shapes, after every model has been read with them: what is wrong with a file is told before measuring."""
    from edgewright.formats import open as open_format

    for model in models:
        open_format(model).read(model, shapes)
    return shapes or {}


def _runtime_of(models: Sequence[Path]) -> str:
    """The runtime that executes files such as these. Raises ModelError where they are of several formats."""
    from edgewright.runtimes import of_model

    found = {of_model(model): model for model in models}
    if len(found) > 1:
        first, other = list(found.values())[:2]
        raise ModelError(f"{first} and {other} are executed by different runtimes; take them one after the other")
    return next(iter(found), "onnxruntime")


def _refuse_to_replace(store: "DeviceStore", name: str) -> None:
    """What was measured here took minutes, and is not replaced by a table."""
    if store.profile_path(name).exists() and store.profile(name).runtime_version:
        raise StoreError(f"device {name!r} holds what was measured on this machine; choose another --name")


def _meter(source: str | None) -> "EnergyMeter | None":
    """The meter of a source, or of any; refused before anything is measured where there is none."""
    if source is None:
        return None
    from edgewright.energy import EnergyMeter

    return EnergyMeter.open(None if source == "any" else source)


def _learn_energy(store: "DeviceStore", name: str, measured: Profile) -> None:
    """The model of the device's energy, where the profile holds any."""
    from edgewright.timing.energy import fit_energy, holds_energy

    if holds_energy(measured):
        store.write_energy_model(name, fit_energy(measured))


def _summary(name: str) -> DeviceSummary:
    from edgewright.profiling.drift import repeats
    from edgewright.store import open_store

    store = open_store()
    measured = store.profile(name)
    learned = store.model(name) if store.model_path(name).exists() else None
    calm = measured.comparable.measurements
    found = repeats(calm)
    return DeviceSummary(
        name, measured.device, measured.runtime, measured.runtime_version, measured.threads,
        len({m.layer for m in measured.measurements}), len(measured.measurements),
        len({m.layer for m in calm} - {m.layer for m in calm if m.stable}),
        len(measured.measurements) - len(calm),
        found.noise_percent if found else None, found.drift_percent if found else None,
        len(learned.families) if learned else 0, learned.held_out() if learned else {},
    )  # fmt: skip


def drawn(draw: Callable[[], None], path: File) -> None:
    """Draws to a file, with what goes wrong in clear words."""
    try:
        draw()
    except ImportError as error:
        raise EdgewrightError("plots need matplotlib: pip install 'edgewright[plot]'") from error
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error
