"""Times of the networks that the compression benchmark has trained, and its tables."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.profiling.bench import BenchSetup, bench
from edgewright.profiling.local import core, start

FIRST, BY_SIZE, OURS = "uncompressed", "DeepIoT, size", "edgewright"
_BUDGET_S, GENERATIONS = 1.5, 7

Row = Mapping[str, Any]


def measured(results: Path, generations: int = GENERATIONS) -> None:
    """Times of all networks of each task and seed, in one comparison, each in so many processes; added to the file of
    times, a line for each."""
    rows = _rows(results)
    known = _rows(times_of(results))
    for task, seed in sorted({(row["task"], row["seed"]) for row in rows}):
        own = [row for row in rows if (row["task"], row["seed"]) == (task, seed)]
        files = {row["method"]: row["file"] for row in own}
        if FIRST not in files or any(
            (old["task"], old["seed"], sorted(old["times_s"])) == (task, seed, sorted(files)) for old in known
        ):
            continue
        names = [FIRST, *(name for name in files if name != FIRST)]
        folder = results.with_suffix("")
        setup = BenchSetup(cpu=core(1), budget_s=_BUDGET_S, generations=generations)
        report = bench(lambda: start("onnxruntime"), [folder / files[name] for name in names], setup, False)
        found = dict(zip(names, report.results, strict=True))
        row = {
            "task": task, "seed": seed, "processor": report.processor, "version": report.runtime_version,
            "times_s": {name: result.median_s for name, result in found.items()},
            "ratios": {n: [r.ratio.value, r.ratio.low, r.ratio.high] for n, r in found.items() if r.ratio},
        }  # fmt: skip
        with times_of(results).open("a") as file:
            file.write(json.dumps(row) + "\n")


def times_of(results: Path) -> Path:
    return results.with_suffix(".times.jsonl")


def targets_of(results: Path) -> Path:
    return results.with_suffix(".targets.jsonl")


def tables(results: Path) -> str:
    """For each task: accuracy, size and time of each method, in the mean of the seeds."""
    rows = _rows(results)
    times = {(row["task"], row["seed"]): row for row in _rows(times_of(results))}
    parts = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        parts.append("\n".join(_table(task, own, times)))
    asked = [json.loads(line) for line in _lines(targets_of(results))]
    return "\n\n".join([*parts, "\n".join(_aims(rows, times)), "\n".join(_targets(asked))])


def _targets(asked: Sequence[Row]) -> list[str]:
    """Times that `compress` was asked for, and what was measured of its files."""
    lines = ["| asked for | time over the uncompressed network's, 95 % | over the target |", "|---|---|---|"]
    for row in asked:
        value, low, high = row["ratio"]
        between = f"{value:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {row['task']}, {row['share']:g} | {between} | {value / row['share']:.3f} |")
    return lines if asked else []


def _table(task: str, rows: Sequence[Row], times: Mapping[tuple[str, int], Row]) -> list[str]:
    seeds = len({row["seed"] for row in rows})
    lines = [
        f"| {task} ({seeds} seed{'s' if seeds > 1 else ''}) | test accuracy | validation | parameters | operations "
        "| time | time over uncompressed, range | predicted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    whole = {row["seed"]: row for row in rows if row["method"] == FIRST}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and row["seed"] in whole]
        if own:
            lines.append(_line(method, own, whole, times))
    return lines


def _line(method: str, own: Sequence[Row], whole: Mapping[int, Row], times: Mapping[tuple[str, int], Row]) -> str:
    def share(name: str) -> str:
        return f"{_geometric([row[name] / whole[row['seed']][name] for row in own]):.2f}"

    timed = [times[row["task"], row["seed"]] for row in own if (row["task"], row["seed"]) in times]
    timed = [one for one in timed if method in one["times_s"]]
    ratios = [one["ratios"].get(method, [1.0, 1.0, 1.0]) for one in timed]
    micro = f"{1e6 * statistics.mean(one['times_s'][method] for one in timed):.0f} us" if timed else "-"
    test, valid = (_mean_and_range([100 * row[name] for row in own]) for name in ("test", "valid"))
    value = _geometric([ratio[0] for ratio in ratios]) if ratios else 1.0
    low, high = (most([ratio[index] for ratio in ratios], default=1.0) for index, most in ((1, min), (2, max)))
    between = f"{value:.3f} ({low:.3f} to {high:.3f})" if ratios else "-"
    return (
        f"| {method} | {test} | {valid} | {share('parameters')} | {share('operations')} | {micro} "
        f"| {between} | {share('predicted_s')} |"
    )


def _aims(rows: Sequence[Row], times: Mapping[tuple[str, int], Row]) -> list[str]:
    """Time of edgewright's networks over that of each rival's, and over what was asked for."""
    lines = [
        "| time of edgewright over | " + " | ".join(tasks := list(dict.fromkeys(row["task"] for row in rows))) + " |"
    ]
    lines.append("|---" * (len(tasks) + 1) + "|")
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != OURS]
    lines += [f"| {name} | " + " | ".join(_ratio(times, task, name) for task in tasks) + " |" for name in methods]
    asked = {(row["task"], row["seed"]): row["share"] for row in rows if row["method"] == OURS}
    kept = []
    for task in tasks:
        own = [
            one["times_s"][OURS] / one["times_s"][FIRST] / asked[key]
            for key, one in times.items()
            if key[0] == task and OURS in one["times_s"] and key in asked
        ]
        kept.append(", ".join(f"{ratio:.2f}" for ratio in own) or "-")
    return [*lines, f"| its target | {' | '.join(kept)} |"]


def _ratio(times: Mapping[tuple[str, int], Row], task: str, method: str) -> str:
    own = [one["times_s"] for key, one in times.items() if key[0] == task]
    ratios = [one[OURS] / one[method] for one in own if OURS in one and method in one]
    return f"{_geometric(ratios):.2f}" if ratios else "-"


def _mean_and_range(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.2f} %"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"


def _geometric(values: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))


def _rows(path: Path) -> list[dict[str, Any]]:
    """The last line for each task, method and seed."""
    found = {(row["task"], row.get("method"), row["seed"]): row for row in map(json.loads, _lines(path))}
    return list(found.values())


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
