"""The plan that is found against random ones that meet the same budget, as measured (MAFAT, arXiv 2107.06960, 5.3).

    python -m benchmarks.random_plans [--network yolov2_16] [--budget 12MB] [--settings arena] [--count 30] [--seed 0]
                                      [--device NAME]

Random plans are drawn backward from the end: a group, grid and halo policy among all that are estimated to stay inside
the budget, then the one before it. Those count whose rewritten network is predicted to stay inside. The fastest of so
many are so by chance too: the first few race the plan that is found once more, in turns, by what the thread computes.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import onnx
from benchmarks.networks import NETWORKS
from benchmarks.tiling import new_table, print_table

from edgewright.formats import open as open_format
from edgewright.graph.edits import Edit, apply
from edgewright.graph.types import Graph
from edgewright.memory.onnxruntime import Settings
from edgewright.profiling.bench import BenchSetup, bench
from edgewright.profiling.local import block_channels, core, start
from edgewright.profiling.race import RaceSetup, race
from edgewright.store import open_store
from edgewright.tiling.dynamic import Block, blocks_inside
from edgewright.tiling.fit_to_memory import Target, asked_for, fit
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import Rates
from edgewright.tiling.space import Space
from edgewright.units import format_bytes, format_seconds

MOST_DRAWS = 2000
RACED = 5


@dataclass(frozen=True)
class Rival:
    """A plan, the edits for it, and the predicted peak and first region of the arena."""

    plan: TilingPlan
    edits: tuple[Edit, ...]
    peak_bytes: int
    arena_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="yolov2_16")
    parser.add_argument("--budget", default="12MB")
    parser.add_argument("--settings", default="arena")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / f"{options.network}.onnx"
        onnx.save(NETWORKS[options.network](), model)
        graph, target = open_format(model).read(model), here(options.settings, options.device)
        wish = asked_for(options.budget, None)
        found = fit(graph, wish, target)
        ours = Rival(found.plan, found.edits, found.after.peak_bytes, found.after.arena_bytes)
        rivals = drawn(graph, wish.bytes or 0, target, options.count, options.seed)
        compare(model, target, [ours, *rivals])


def here(settings: Settings, device: str | None) -> Target:
    """This machine, with the times that were learned on the named device if any."""
    return Target(settings, block_channels(), 1, open_store().model(device) if device else None)


def drawn(graph: Graph, budget_bytes: int, target: Target, count: int, seed: int) -> list[Rival]:
    """Different plans that are predicted to stay inside the budget, at most `count`."""
    found: dict[tuple[FusedGroup, ...], Rival | None] = {}
    for plan in plans(graph, budget_bytes, random.Random(seed)):
        kept = [rival for rival in found.values() if rival is not None]
        if len(kept) == count:
            break
        if plan.groups not in found:
            edits = lower(graph, plan)
            rewritten = apply(graph, edits)
            inside = target.peak(rewritten, arena_bytes=0).peak_bytes <= budget_bytes
            peak = target.peak(rewritten) if inside else None
            fits = peak is not None and peak.peak_bytes <= budget_bytes
            found[plan.groups] = Rival(plan, edits, peak.peak_bytes, peak.arena_bytes) if peak and fits else None
    return [rival for rival in found.values() if rival is not None]


def plans(graph: Graph, budget_bytes: int, chance: random.Random) -> Iterator[TilingPlan]:
    """Random plans whose every group is estimated to stay inside the budget."""
    rates = Rates()
    seen = outline(graph, rates.times(graph))
    choices = blocks_inside(seen, rates, Space(), budget_bytes)
    reached = {0}
    for end in seen.cuts[1:]:
        if any(block.start in reached for block in choices[end]):
            reached.add(end)
    if seen.cuts[-1] not in reached:
        return
    for _ in range(MOST_DRAWS):
        blocks: list[Block] = []
        end = seen.cuts[-1]
        while end:
            begin = chance.choice(sorted({block.start for block in choices[end]} & reached))
            blocks.append(chance.choice([block for block in choices[end] if block.start == begin]))
            end = begin
        named = [(tuple(op.name for op in graph.ops[b.start : b.end]), b) for b in reversed(blocks) if b.grid != (1, 1)]
        yield TilingPlan(tuple(FusedGroup(names, block.grid, block.halo) for names, block in named))


def compare(model: Path, target: Target, rivals: list[Rival]) -> None:
    """Measured times of all plans, the found one first."""
    files = []
    for number, rival in enumerate(rivals):
        files.append(model.with_name(f"plan-{number}.onnx"))
        open_format(model).apply(model, rival.edits, files[-1])
    settings = tuple((target.settings, rival.arena_bytes) for rival in rivals)
    setup = BenchSetup(cpu=core(1), generations=2, budget_s=1.5, settings=settings)
    results = bench(lambda: start("onnxruntime"), files, setup).results
    order = sorted(range(len(rivals)), key=lambda i: results[i].median_s)
    table = new_table("plan", "groups", "predicted peak", "measured peak", "time", "to the best")
    for i in order:
        told = "; ".join(f"{len(g.op_names)} ops {g.grid[0]}x{g.grid[1]} {g.halo}" for g in rivals[i].plan.groups)
        peak = results[i].peak_bytes
        table.add_row(
            "found" if i == 0 else f"random {i}", shorten(told, 100), format_bytes(rivals[i].peak_bytes),
            "unknown" if peak is None else format_bytes(peak), format_seconds(results[i].median_s),
            f"{results[i].median_s / results[order[0]].median_s:.3f}",
        )  # fmt: skip
    print_table(f"{model.stem}: the plan found, and {len(rivals) - 1} random ones that meet the same budget", table)
    fastest = [i for i in order if i][:RACED]
    raced = RaceSetup(cpu=core(1), processes=5, rounds=8, settings=tuple(settings[i] for i in (0, *fastest)))
    ratios = race(lambda: start("onnxruntime"), [files[i] for i in (0, *fastest)], raced).ratios
    again = new_table("plan", "time over the plan found")
    for i, ratio in zip(fastest, ratios, strict=True):
        again.add_row(f"random {i}", f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    print_table(f"the {len(fastest)} fastest random plans, raced", again)


if __name__ == "__main__":
    main()
