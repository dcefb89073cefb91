"""Compression: how fast networks get at no more than half a point less accuracy, by several methods.

    python -m benchmarks.compression --data DIR --results FILE --device NAME [--tasks vgg,resnet,har,digits,babble]
                                     [--methods NAMES] [--seeds 0,1,2] [--steps N]
                                     [--max-drop POINTS] [--quick]
    python -m benchmarks.compression --results FILE --measure
    python -m benchmarks.compression --data DIR --results FILE --device NAME --targets 0.7,0.5,0.35 [--tasks NAMES]
    python -m benchmarks.compression --results FILE

The first trains: each method narrows the same trained networks, one for each seed, to shares of a cost (predicted time,
operations or parameters, whatever it is steered by), on a ladder. Bisection with the first seed finds where to begin;
from there all seeds go down as long as they hold, or up until they do. The smallest share counts at which the networks
are no more than --max-drop points (0.5) worse than the uncompressed ones on the validation data, in the mean of the
seeds. A row for each task, method and seed goes into the file, the networks into a folder beside; what is there is not
run again. The second measures: for each task and seed all methods in one comparison, in turns, in fresh processes, one
thread. The third asks `compress` for times, trains nothing (weights do not matter to time), and tells what the ONNX
files take. The last prints the tables.

DIR holds the data sets; see examples/example_data.py for where they can be had. Trained networks are kept in a folder
named by EXAMPLE_NETWORKS. All training is in bfloat16, judging and measuring in full precision. --quick walks one rung
of the ladder, from networks that were trained for a few steps only, two tasks at a time, and measures in fewer
processes.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import torch
from benchmarks.compression_ladder import BASELINE, LADDER, QUICK, Climb, smallest
from benchmarks.compression_methods import CONVOLUTIONAL, METHODS, Place
from benchmarks.compression_tables import GENERATIONS, measured, tables, targets_of

from edgewright.compression.aim import Device
from edgewright.formats.torch import export_onnx
from edgewright.profiling.local import block_channels
from edgewright.store import open_store

MAX_DROP = 0.5
QUICK_STEPS, QUICK_GENERATIONS, QUICK_PROCESSES = 60, 2, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--device")
    parser.add_argument("--tasks", default="vgg,resnet,har,digits,babble")
    parser.add_argument("--methods", help="names, with semicolons between; all without")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, help="of training after a cut, instead of each task's own number")
    parser.add_argument("--max-drop", type=float, default=MAX_DROP, help="points of accuracy that may be lost (0.5)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--targets", help="shares of the time")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seeds = 24, "0"
    torch.set_num_threads(1)
    if options.data is not None:
        os.environ["EXAMPLE_DATA"] = str(options.data)
        if options.targets:
            ask_for_times(options)
        else:
            train(options)
    if options.measure or options.quick:
        measured(options.results, QUICK_GENERATIONS if options.quick else GENERATIONS)
    print(tables(options.results))


def train(options: argparse.Namespace) -> None:
    """All rows that are not there yet."""
    names = options.methods.split(";") if options.methods else list(METHODS)
    names = [BASELINE, *(name for name in names if name != BASELINE)]
    jobs: list[tuple[str, list[str]]] = []
    for task in options.tasks.split(","):
        wanted = [name for name in names if task in ("vgg", "resnet") or name not in CONVOLUTIONAL]
        missing = [name for name in wanted if any((task, name, seed) not in rows(options.results)
                   for seed in seeds_of(options))]  # fmt: skip
        jobs += [(task, missing)] if missing else []
    with ProcessPoolExecutor(QUICK_PROCESSES, get_context("spawn")) as pool:
        each = pool.map if options.quick else map
        for found in each(partial(all_trained, options=options), jobs):
            for row in found:
                with options.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def all_trained(job: tuple[str, Sequence[str]], options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """`trained` for a task and methods; all rows at once where that is done in processes of their own."""
    torch.set_num_threads(1)
    found = trained(*job, options)
    return list(found) if options.quick else found


def seeds_of(options: argparse.Namespace) -> list[int]:
    return list(map(int, options.seeds.split(",")))


def rows(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """What the file holds, by task, method and seed."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {(row["task"], row["method"], row["seed"]): row for row in map(json.loads, lines)}


def trained(task: str, methods: Sequence[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each method and seed; its network is written beside as an ONNX file."""
    import example_training

    recipe = recipes()[task]
    if options.quick:
        recipe = replace(recipe, steps=QUICK_STEPS)
    data = recipe.data()
    store = open_store()
    name = store.choose(options.device)
    device = Device(store.model(name), block_channels(), store.profile(name).run_overhead_s)
    places = [
        Place(example_training.task(recipe, data, seed), device, options.steps or recipe.tuning, seed)
        for seed in seeds_of(options)
    ]
    folder = options.results.with_suffix("")
    folder.mkdir(exist_ok=True)
    first = [Climb(place, task, BASELINE, folder) for place in places]
    least = [0.0 if options.quick else climb.rung(1.0).valid - options.max_drop / 100 for climb in first]
    for method in methods:
        climbs = [Climb(place, task, method, folder) for place in places]
        share = None if method == BASELINE else smallest(climbs, least, QUICK if options.quick else LADDER)
        for whole, climb in zip(first, climbs, strict=True):
            kept, at = (whole, 1.0) if share is None else (climb, share)
            rung, module = kept.rung(at), kept.module(at)
            path = folder / f"{climb.name}.onnx"
            export_onnx(module, climb.place.task.example, path)
            yield {
                "task": task, "method": method, "seed": climb.place.seed, "steps": climb.place.steps,
                "file": path.name, "share": at, "valid": rung.valid,
                "test": example_training.accuracy(module, data.test), "parameters": rung.parameters,
                "operations": climb.place.operations(module), "predicted_s": rung.predicted_s,
            }  # fmt: skip
        print(f"{task} {method}: {share}", file=sys.stderr, flush=True)


def ask_for_times(options: argparse.Namespace) -> None:
    """What `compress` makes of targets without training, and the time of its ONNX file over that of the first."""
    import example_training

    import edgewright as ew

    for task in options.tasks.split(","):
        recipe = recipes()[task]
        fresh = example_training.untrained(recipe, recipe.data())  # time does not depend on weights
        whole = replace(fresh, evaluate=lambda _: 0.0)
        for share in map(float, options.targets.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                view = ew.compress(whole, device=options.device, time=share, out=Path(folder) / "o", steps=0).view
            assert view.proof is not None
            row = {
                "task": task, "share": share, "predicted": view.predicted_after_s / view.predicted_before_s,
                "ratio": [view.proof.ratio, view.proof.low, view.proof.high], "before_s": view.proof.before_s,
            }  # fmt: skip
            with targets_of(options.results).open("a") as file:
                file.write(json.dumps(row) + "\n")


def recipes() -> dict[str, Any]:
    import cifar10
    import digits
    import har

    found = {
        "vgg": cifar10.VGG, "resnet": cifar10.RESNET, "har": har.HAR, "digits": digits.DIGITS, "babble": digits.BABBLE
    }  # fmt: skip
    return {name: replace(recipe, half=True) for name, recipe in found.items()}


if __name__ == "__main__":
    main()
