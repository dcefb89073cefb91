"""Tiling on the benchmark networks: budgets kept, peaks predicted and measured, memory at little more time.

    python -m benchmarks.tiling [--parts yolo,peaks,slowdown,search] [--networks NAMES] [--settings lean,arena]
                                [--models FOLDER] [--device NAME]

`yolo`: YOLOv2's first 16 layers at 12 MB and 10 MB, with times and outputs by `bench`. `peaks`: predicted against
measured peaks at up to five budgets a network. `slowdown`: the least memory at 1.1 times the time, as `tile` measures
it; its proof is measured apart from that. `search`: how long the search takes on one core. With --models the ONNX files
of that folder are added to the networks; with --device times are those learned on it.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from benchmarks.networks import NETWORKS
from rich.console import Console
from rich.table import Table

import edgewright as ew
from edgewright.errors import BudgetError
from edgewright.profiling.local import start
from edgewright.units import format_bytes

SHARES = (0.8, 0.6, 0.45, 0.3, 0.2)
"""Budgets as shares of the untiled network's predicted peak; for those that can't be met, others that can."""
SLOWDOWN = 1.1
SESSIONS, SEARCHES = 3, 5
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "pnet": {"input_1": (1, 480, 640, 3)},
    "model": {"audio": (1, 16000)},
}
"""What networks of open shape are run on, by the name of their file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="yolo,peaks,slowdown")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--settings", default="lean,arena")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--device")
    options = parser.parse_args()
    settings = options.settings.split(",")
    parts: Mapping[str, Callable[[dict[str, Path], Path, list[str], str | None], None]] = {
        "yolo": yolo,
        "peaks": peaks,
        "slowdown": slowdown,
        "search": search_times,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        networks = {name: written(name, folder) for name in options.networks.split(",") if name}
        if options.models:
            networks |= {path.stem: path for path in sorted(options.models.rglob("*.onnx"))}
        for part in options.parts.split(","):
            parts[part](networks, folder, settings, options.device)


def written(name: str, folder: Path) -> Path:
    onnx.save(NETWORKS[name](), folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


def yolo(_: Mapping[str, Path], folder: Path, settings: Sequence[str], device: str | None) -> None:
    """Two budgets, proved by `bench`, and one below the floor."""
    model, out = written("yolov2_16", folder), folder / "tiled.onnx"
    table = new_table(
        "budget", "settings", "plan", "operations", "file", "run with", "predicted", "measured", "time", "outputs"
    )
    for budget in ("12MB", "10MB"):
        for way in settings:
            found = attempt(model, out, memory=budget, settings=way, device=device)
            if isinstance(found, str):
                table.add_row(budget, way, found)
                continue
            plan = "; ".join(f"{g.ops} ops {g.grid[0]}x{g.grid[1]} {g.halo}" for g in found.groups)
            heads = [budget, way, plan, f"{1 + found.extra_percent / 100:.3f}"]
            for row in found.proof.rows:
                predicted = {"untiled": found.peak_before_bytes, "tiled": found.peak_after_bytes}[row.which]
                peak = "unknown" if row.peak_bytes is None else format_bytes(row.peak_bytes)
                table.add_row(
                    *heads, row.which, row.settings, format_bytes(predicted) if row.settings == way else "", peak,
                    f"{row.ratio or 1:.3f}",
                    "" if row.which == "untiled" else f"within {found.proof.max_relative:.0e}",
                )  # fmt: skip
                heads = [""] * 4
    print_table("YOLOv2-16, 608x608", table)
    print(attempt(model, out, memory="1MB", settings=settings[0]))


def peaks(networks: Mapping[str, Path], folder: Path, settings: Sequence[str], device: str | None) -> None:
    """Predicted against measured peaks, the untiled network first; of several sessions the middle one, as small
    tensors and threads of the runtime come to lie elsewhere in each."""
    errors: list[float] = []
    for way in [*settings, "default"]:
        table = new_table("network", "budget", "predicted", "measured", "predicted too much by")
        for name, model in networks.items():
            for label, file, predicted, arena_bytes in predictions(model, folder, way, device):
                found = [measured_peak(file, way, arena_bytes, SHAPES.get(model.stem, {})) for _ in range(SESSIONS)]
                if None in found:
                    print("peaks can't be measured here: /proc/self/clear_refs and smaps_rollup are needed")
                    return
                measured = int(statistics.median(found))
                errors.append(predicted / measured - 1)
                table.add_row(
                    name, label, format_bytes(predicted), format_bytes(measured), f"{100 * errors[-1]:+.1f} %"
                )
        print_table(f"Predicted and measured peaks, {way} settings", table)
    within = sum(-0.02 <= error <= 0.05 for error in errors)
    print(f"{within} of {len(errors)} between 2 % under and 5 % over; {min(errors):+.1%} to {max(errors):+.1%}")


def predictions(model: Path, folder: Path, settings: str, device: str | None) -> Iterator[tuple[str, Path, int, int]]:
    """What was asked for, the file, its predicted peak, and the arena's first region, for each budget that is met."""
    shapes = SHAPES.get(model.stem, {})
    untiled = ew.memory(model, settings=settings, input_shapes=shapes)  # type: ignore[arg-type]
    yield "untiled", model, untiled.peak_bytes, untiled.arena_bytes
    out, met = folder / "tiled.onnx", untiled.peak_bytes
    budgets = [int(share * untiled.peak_bytes) for share in SHARES]
    while budgets:
        wish = {"memory": budgets[0], "settings": settings, "device": device, "check": False, "input_shapes": shapes}
        try:
            found = ew.tile(model, out, **wish)
        except BudgetError as error:
            if not error.least_bytes or budgets[0] >= error.least_bytes:
                raise
            ratio = (error.least_bytes / met) ** (1 / len(budgets))
            budgets = [math.ceil(met * ratio ** (i + 1)) for i in range(len(budgets))]
            continue
        met = budgets.pop(0)
        yield format_bytes(met), out, found.peak_after_bytes, found.arena_bytes


def slowdown(networks: Mapping[str, Path], folder: Path, settings: Sequence[str], device: str | None) -> None:
    """The least memory at 1.1 times the time."""
    for way in settings:
        table = new_table("network", "untiled", "tiled", "ratio", "predicted time", "raced", "proof", "operations")
        ratios = []
        for name, model in networks.items():
            found = attempt(model, folder / "tiled.onnx", slowdown=SLOWDOWN, settings=way, device=device)
            if isinstance(found, str):
                print(found)
                continue
            before, after, time = found.peak_before_bytes, found.peak_after_bytes, 1.0
            if found.proof is not None:
                rows = {(row.which, row.settings): row for row in found.proof.rows}
                untiled, tiled = rows["untiled", way], rows["tiled", way]
                before, after = untiled.peak_bytes or before, tiled.peak_bytes or after
                time = tiled.median_s / untiled.median_s
            ratios.append(after / before)
            raced = ""
            if found.raced is not None and found.raced.ratio is not None:
                raced = f"{found.raced.ratio:.3f} ({found.raced.ratio_low:.3f} to {found.raced.ratio_high:.3f})"
            table.add_row(
                name, format_bytes(before), format_bytes(after), f"{ratios[-1]:.3f}", f"{found.time_ratio:.3f}",
                raced, f"{time:.3f}", f"{1 + found.extra_percent / 100:.3f}",
            )  # fmt: skip
        print_table(f"The least memory at {SLOWDOWN} times the time, {way} settings", table)
        print(f"geometric mean of memory: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}")


def search_times(networks: Mapping[str, Path], folder: Path, settings: Sequence[str], device: str | None) -> None:
    """Processor seconds from the file to the plan and its final prediction, the least of several searches: a machine
    that others use is slower in most."""
    table = new_table("network", f"{SLOWDOWN} times the time", "45 %", "20 %")
    for name, model in networks.items():
        peak = ew.memory(model, settings="arena", input_shapes=SHAPES.get(model.stem, {})).peak_bytes
        wishes: list[dict[str, Any]] = [
            {"slowdown": SLOWDOWN},
            {"memory": int(0.45 * peak)},
            {"memory": int(0.2 * peak)},
        ]
        found = [min(_search_s(model, folder, device, wish) for _ in range(SEARCHES)) for wish in wishes]
        table.add_row(name, *(f"{seconds:.2f} s" for seconds in found))
    print_table("Time of the search", table)


def _search_s(model: Path, folder: Path, device: str | None, wish: Mapping[str, Any]) -> float:
    start_s = time.process_time()
    attempt(model, folder / "tiled.onnx", device=device, check=False, **wish)
    return time.process_time() - start_s


def attempt(model: Path, out: Path, **wish: Any) -> Any:
    """What `tile` found, or why there is nothing to find."""
    try:
        return ew.tile(model, out, input_shapes=SHAPES.get(model.stem, {}), **wish)
    except ew.EdgewrightError as error:
        return str(error)


def measured_peak(
    model: Path, settings: str, arena_bytes: int, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> int | None:
    with start("onnxruntime") as client:
        found = client.ask(
            "memory",
            600.0,
            model=client.put(model),
            settings=settings,
            arena_bytes=arena_bytes,
            shapes=dict(shapes or {}),
        )
    peak: int | None = found["peak_bytes"]
    return peak


def new_table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_table(title: str, table: Table) -> None:
    Console(width=200).print(f"\n{title}", table, "", sep="\n")


if __name__ == "__main__":
    main()
