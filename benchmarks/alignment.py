"""Alignment: how much faster networks with odd widths become, against rounding all widths up to a constant.

    python -m benchmarks.alignment --results FILE [--networks NAMES] [--models FOLDER] [--runtime onnxruntime]
                                   [--device NAME] [--budget SECONDS] [--quick] [--small]

Every network is aligned, and then runs beside itself as it was and as it is with all widths up to multiples of 4, 8 and
16 (as often as all of it takes, in turns, in fresh processes). Results are added to the file, a line each, and the
tables of all that is in it are printed; with `--networks=` nothing is run, and what is in it already is not run again.
With `--runtime litert` the networks are TFLite files. With --models the files of that folder that the runtime executes
are networks too. --small takes networks as small as boards and microcontrollers run them.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import onnx
from benchmarks.width_networks import networks, tflite_networks
from scipy.stats import spearmanr

import edgewright as ew
from edgewright.api import width_target
from edgewright.errors import ShapeError
from edgewright.formats import open as open_format
from edgewright.graph.channel_groups import find_groups
from edgewright.profiling.bench import BenchReport, BenchSetup
from edgewright.profiling.bench import bench as compare_models
from edgewright.profiling.local import core, start
from edgewright.profiling.race import RaceSetup, race
from edgewright.report.align_view import AlignView
from edgewright.store import open_store, usual_name
from edgewright.widths.candidates import ROUNDINGS, rounded
from edgewright.widths.places import Places, Widths
from edgewright.widths.plan import plan_of
from edgewright.widths.task import Task

OPEN_SIDES = 192
"""Sides of inputs that a file leaves open."""
REAL = "real"
MOST, TOGETHER = 48, 16
"""So many single changes of a network are measured, so many in one process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--networks")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--device")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="fewer processes side by side, and fewer single changes")
    parser.add_argument("--small", action="store_true", help="small networks instead")
    options = parser.parse_args()
    done = {found["network"] for found in results(options.results)}
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, path in chosen(options, Path(folder), done):
            found = measured(name, kind, path, Path(folder), options)
            with options.results.open("a") as file:
                file.write(json.dumps(found) + "\n")
    print(tables(results(options.results)))


def results(path: Path) -> list[dict[str, Any]]:
    """What is in a file of results, the last of each network."""
    lines = path.read_text().splitlines() if path.exists() else ()
    return list({found["network"]: found for found in map(json.loads, lines)}.values())


def chosen(options: argparse.Namespace, folder: Path, done: Set[str]) -> Iterator[tuple[str, str, Path]]:
    """Networks by name, their kind and their file."""
    wanted = None if options.networks is None else options.networks.split(",")
    suffix = ".tflite" if options.runtime == "litert" else ".onnx"
    makers = tflite_networks(options.small) if options.runtime == "litert" else networks(options.small)
    for name, make in makers.items():
        if name not in done and (wanted is None or name in wanted):
            path, model = folder / f"{name}{suffix}", make()
            path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
            yield name, name.rpartition("_")[0], path
    for path in sorted(options.models.rglob(f"*{suffix}")) if options.models else ():
        name = path.parent.name if path.stem == "model" else path.stem
        if name not in done and (wanted is None or name in wanted):
            yield name, REAL, path


def measured(name: str, kind: str, path: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One network aligned, and all of its rivals side by side."""
    shapes = open_shapes(path)
    aligned = folder / f"{name}_aligned{path.suffix}"
    aligned.unlink(missing_ok=True)
    view = ew.align(path, aligned, device=options.device, budget_s=options.budget, input_shapes=shapes)
    files = {"aligned": aligned} if view.out else {}
    files |= constants(path, folder, shapes)
    report = side_by_side([path, *files.values()], shapes, options)
    ratios = dict(zip(files, report.results[1:], strict=True))
    return {
        "network": name, "kind": kind, "before_s": report.results[0].median_s, "failures": report.failures,
        "ratios": {key: [r.ratio.value, r.ratio.low, r.ratio.high] for key, r in ratios.items() if r.ratio},
        "growth": view.weights_growth, "groups": view.groups,
        "max_relative": view.proof.max_relative if view.proof else 0.0,
        "trials": [[trial.predicted, trial.measured, trial.changed] for trial in view.trials],
        "single": single_changes(path, folder, shapes, options), "rivals": rivals(view),
        "processor": report.processor, "version": report.runtime_version,
    }  # fmt: skip


def single_changes(
    path: Path, folder: Path, shapes: Mapping[str, tuple[int, ...]], options: argparse.Namespace
) -> list[list[float]]:
    """Time with one group at another width over time as it was, predicted and measured: the widths of each group that
    are predicted to be fastest and slowest."""
    store = open_store()
    form, learned = open_format(path), store.model(store.choose(options.device, usual_name(options.runtime)))
    graph = form.read(path, shapes)
    target = width_target(options.runtime, learned.settings or "all")
    task = Task.of(graph, find_groups(graph), learned, target, 100.0, 100.0, {})
    plans = list(dict.fromkeys(plan for group in range(len(task.original)) for plan in extremes(task, group)))
    plans = plans[: TOGETHER if options.quick else MOST]
    files = []
    for index, plan in enumerate(plans):
        files.append(folder / f"{path.stem}_single_{index}{path.suffix}")
        form.apply(path, task.plan(plan).edits, files[-1], shapes)
    setup = RaceSetup(cpu=core(1), shapes=shapes)
    ratios = [
        ratio.value
        for first in range(0, len(files), TOGETHER)
        for ratio in race(lambda: start(options.runtime), [path, *files[first : first + TOGETHER]], setup).ratios
    ]
    before_s = task.predicted_s(task.original)
    return [[task.predicted_s(plan) / before_s, ratio] for plan, ratio in zip(plans, ratios, strict=True)]


def extremes(task: Task, group: int) -> list[Widths]:
    """A group at its widths of least and of most predicted time."""
    before = task.original
    plans = [(*before[:group], width, *before[group + 1 :]) for width in task.options[group] if width != before[group]]
    ranked = sorted(plans, key=task.predicted_s)
    return [*ranked[:1], *ranked[-1:]]


def rivals(view: AlignView) -> dict[str, list[float | None]]:
    return {rival.name: [rival.predicted, rival.measured] for rival in view.rivals}


def open_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes for what a file leaves open: one image of that side, or one second of sound."""
    form = open_format(path)
    try:
        form.read(path)
    except ShapeError:
        inputs = onnx.load(path, load_external_data=False).graph.input
        return {value.name: tuple(sides(value)) for value in inputs}
    return {}


def sides(value: onnx.ValueInfoProto) -> Iterator[int]:
    dims = value.type.tensor_type.shape.dim
    for axis, dim in enumerate(dims):
        free = OPEN_SIDES if len(dims) == 4 else 16_000
        yield dim.dim_value or (1 if axis == 0 else free)


def constants(path: Path, folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Path]:
    """The network with all widths rounded up, whatever it then weighs."""
    form = open_format(path)
    graph = form.read(path, shapes)
    places = Places(graph, find_groups(graph))
    found = {}
    for block in ROUNDINGS:
        plan = plan_of(places, rounded(places.groups, block), {})
        if plan.changes:
            found[f"up to {block}"] = folder / f"{path.stem}_{block}{path.suffix}"
            form.apply(path, plan.edits, found[f"up to {block}"], shapes)
    return found


def side_by_side(
    files: Sequence[Path], shapes: Mapping[str, tuple[int, ...]], options: argparse.Namespace
) -> BenchReport:
    budget_s, generations = (1.5, 5) if options.quick else (3.0, 9)
    runtime = options.runtime
    setup = BenchSetup(runtime=runtime, cpu=core(1), shapes=shapes, budget_s=budget_s, generations=generations)
    return compare_models(lambda: start(runtime), files, setup, True)


def tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Speed-ups of each network, their means by kind, and how well single changes were predicted."""
    kinds = list(dict.fromkeys(found["kind"] for found in results))
    names = ["aligned", *(f"up to {block}" for block in ROUNDINGS)]
    lines = [
        "| network | as it was | aligned | 95 % between | weights | up to 4 | up to 8 | up to 16 | of the best |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row(found, names) for found in results),
        "",
        "| geometric mean | networks | aligned | up to 4 | up to 8 | up to 16 | rank correlation (changes) |",
        "|---|---|---|---|---|---|---|",
    ]
    odd = [found for found in results if found["kind"] != REAL]
    lines += [mean_row(kind, [found for found in results if found["kind"] == kind], names) for kind in kinds]
    return "\n".join([*lines, mean_row("all with odd widths", odd, names)] if odd else lines)


def row(found: Mapping[str, Any], names: Sequence[str]) -> str:
    gains = [speed_up(found, name) for name in names]
    low, high = found["ratios"].get("aligned", [1, 1, 1])[1:]
    between = f"{1 / high:.2f} to {1 / low:.2f}" if "aligned" in found["ratios"] else "left as it is"
    share = gains[0] / max(1.0, *gains[1:])
    shown = " | ".join(f"{gain:.2f}" for gain in gains[1:])
    before = f"{1e3 * found['before_s']:.2f} ms"
    return (
        f"| {found['network']} | {before} | {gains[0]:.2f} | {between} | {found['growth']:.2f} x "
        f"| {shown} | {share:.3f} |"
    )


def mean_row(kind: str, results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    means = " | ".join(
        f"{math.exp(sum(math.log(speed_up(found, name)) for found in results) / len(results)):.3f}" for name in names
    )
    single = [change for found in results for change in found["single"]]
    correlation = f"{spearmanr(*zip(*single, strict=True))[0]:.2f} ({len(single)})" if len(single) > 2 else ""
    return f"| {kind} | {len(results)} | {means} | {correlation} |"


def speed_up(found: Mapping[str, Any], name: str) -> float:
    """Time as it was over time now; 1 for what changes nothing."""
    return 1 / float(found["ratios"].get(name, [1.0])[0])


if __name__ == "__main__":
    main()
