"""YOLOv2's first 16 layers under a memory limit with swap space: time against limit (MAFAT, arXiv 2107.06960, fig. 5).

    python -m benchmarks.swap [--limits 128,96,64,48,40,32,28,24,20] [--folder FOLDER]

Compared are the untiled network in the default settings and in those of an arena, MAFAT's fixed configuration 5x5/8/2x2
with recomputed borders, and what `tile --memory` finds for the limit less twice the weights, which loading holds twice,
or for the least that can be met. The limit is on what loading the model and running it takes: weights, session and
activations. Needs root, for the control group and the swap file; says so where it can't be had.
A run that takes longer than 120 s is stopped, and tighter limits are not tried any more. The kernel's out-of-memory
killer ends some processes though swap space is free; each is started three times, and how often it was killed is told.
"""

import argparse
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import onnx
from benchmarks.memory_limit import MemoryGroup, UnavailableError, limited_memory
from benchmarks.networks import NETWORKS
from benchmarks.tiling import new_table, print_table

import edgewright as ew
from edgewright.errors import BudgetError
from edgewright.formats import open as open_format
from edgewright.graph.types import Graph
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.units import format_bytes

KILLED = "out of memory"
LONGEST_S = 120.0
RUNS = 5
ROUNDS = 3
WARM_RUNS = 2
"""Runs that are not counted: the default settings need two to come to rest."""


@dataclass(frozen=True)
class Case:
    """A model file and the runtime's memory settings for it."""

    name: str
    path: Path
    settings: str
    arena_bytes: int = 0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """Seconds of a run in the middle, or why there are none, and how many processes were killed."""

    median_s: float | None
    told: str = ""
    killed: int = 0

    def __str__(self) -> str:
        told = self.told if self.median_s is None else f"{self.median_s:.3f} s"
        return f"{told} ({self.killed} of {ROUNDS} killed)" if self.killed and self.median_s is not None else told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limits", default="128,96,64,48,40,32,28,24,20", help="in MB, falling")
    parser.add_argument("--folder", type=Path, help="where the swap file and the models are written, on a disk")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that all is taken down again
    limits = [int(float(text) * 1e6) for text in options.limits.split(",")]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        fixed, planned = cases(Path(name), limits)
        try:
            with limited_memory(Path(name)) as group:
                report(measured(group, fixed, planned, limits), fixed, planned)
        except UnavailableError as error:
            print(f"time under a memory limit can't be measured here: {error}")


def cases(folder: Path, limits: Sequence[int]) -> tuple[list[Case], dict[int, Case]]:
    """The files that are compared at every limit, and what is planned for each."""
    untiled, fixed = folder / "untiled.onnx", folder / "mafat.onnx"
    onnx.save(NETWORKS["yolov2_16"](), untiled)
    form = open_format(untiled)
    graph = form.read(untiled)
    form.apply(untiled, lower(graph, mafat(graph)), fixed)
    found = {path: ew.memory(path, settings="arena") for path in (untiled, fixed)}
    same = [
        Case("untiled, default", untiled, "default"),
        Case("untiled, arena", untiled, "arena", found[untiled].arena_bytes),
        Case("MAFAT 5x5/8/2x2", fixed, "arena", found[fixed].arena_bytes),
    ]
    loading = 2 * found[untiled].weights_bytes
    return same, {limit: planned_for(limit - loading, untiled, folder / f"tiled {limit}.onnx") for limit in limits}


def planned_for(budget: int, untiled: Path, tiled: Path) -> Case:
    """What `tile` finds for a budget, or for the least that can be met."""
    try:
        found = ew.tile(untiled, tiled, memory=max(budget, 1), settings="arena", check=False)
    except BudgetError as error:
        found = ew.tile(untiled, tiled, memory=error.least_bytes, settings="arena", check=False)
    return Case("edgewright", tiled, "arena", found.arena_bytes, found.peak_after_bytes)


def mafat(graph: Graph, layers: int = 8) -> TilingPlan:
    """MAFAT's fixed configuration: 5x5 tiles of the first layers, 2x2 of the others, borders recomputed.

    A convolution with its activation is a layer, and so is a pooling.
    """
    starts = [index for index, op in enumerate(graph.ops) if op.kind in {"conv", "max_pool"}]
    first, second = graph.ops[: starts[layers]], graph.ops[starts[layers] :]
    return TilingPlan(
        (
            FusedGroup(tuple(op.name for op in first), (5, 5), "recompute"),
            FusedGroup(tuple(op.name for op in second), (2, 2), "recompute"),
        )
    )


def measured(
    group: MemoryGroup, fixed: Sequence[Case], planned: Mapping[int, Case], limits: Sequence[int]
) -> dict[int, list[Outcome]]:
    """What came of each case at each limit, from the loosest limit to the tightest; cases take turns."""
    table: dict[int, list[Outcome]] = {}
    slow: set[Case] = set()
    for limit in sorted(limits, reverse=True):
        found = [*fixed, planned[limit]]
        outcomes: dict[Case, list[Outcome]] = {case: [] for case in found}
        for case in [case for _ in range(ROUNDS) for case in found]:
            outcome = Outcome(None, "not tried") if case in slow else run(group, case, limit)
            if outcome.told.startswith("over"):
                slow.add(case)
            outcomes[case].append(outcome)
        table[limit] = [together(outcomes[case]) for case in found]
    return table


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of several: the median of the times there are."""
    times = [one.median_s for one in outcomes if one.median_s is not None]
    killed = sum(one.told == KILLED for one in outcomes)
    if not times:
        return replace(outcomes[0], killed=killed)
    return Outcome(median(times), killed=killed)


def run(group: MemoryGroup, case: Case, limit: int) -> Outcome:
    """The time of one case at one limit, in a process of its own."""
    group.limit(None)
    group.limit(limit)
    arguments = [group.members, case.path, case.settings, case.arena_bytes, RUNS]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.limited_run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"},
    )
    lines: list[str] = []
    try:
        while (line := next_line(child, LONGEST_S)) != "":
            if line is None:
                return Outcome(None, f"over {LONGEST_S:.0f} s")
            lines.append(line)
        child.wait()
    finally:
        child.kill()
        child.communicate()
        group.limit(None)
    samples = [float(line) for line in lines[1 + WARM_RUNS :]]
    if len(samples) < RUNS - WARM_RUNS:
        return Outcome(None, KILLED if child.returncode == -9 else f"failed ({child.returncode})")
    return Outcome(median(samples))


def next_line(child: "subprocess.Popen[bytes]", timeout_s: float) -> str | None:
    """The next line of a process; empty at its end, None where it takes too long."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if not selector.select(timeout_s):
            return None
    return child.stdout.readline().decode()


def report(found: Mapping[int, Sequence[Outcome]], fixed: Sequence[Case], planned: Mapping[int, Case]) -> None:
    """The table, and what follows from it."""
    names = [*(case.name for case in fixed), "edgewright"]
    table = new_table("limit", *names, "its predicted peak")
    for limit, outcomes in found.items():
        table.add_row(f"{limit / 1e6:.0f} MB", *map(str, outcomes), format_bytes(planned[limit].peak_bytes))
    print_table("Time of a run under a memory limit with swap space", table)
    ended = [limit for limit, outcomes in found.items() if outcomes[0].median_s is not None]
    if not ended:
        return
    tightest = min(ended)
    times = [outcome.median_s for outcome in found[tightest]]
    for name, time_s in list(zip(names, times, strict=True))[1:]:
        told = "no time" if time_s is None or times[0] is None else f"{times[0] / time_s:.2f} times as fast"
        print(f"at {tightest / 1e6:.0f} MB, the tightest limit at which the untiled network ends: {name}: {told}")


if __name__ == "__main__":
    main()
