"""Held-out error of the execution-time model for each family of layers, beside the baselines and the noise.

    python benchmarks/time_model.py PROFILE.jsonl|TABLE.csv [--families conv,...] [--no-baselines]

Prints Markdown tables. Every method sees the same five folds; a layer that was measured several times is one
observation. The noise is how far two measurements of the same layer, early and late in the campaign, lie apart.
"""

import argparse
import platform
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile, load_profile
from edgewright.timing import HeldOut, evaluate
from edgewright.timing.baselines import evaluate_baselines
from edgewright.timing.measurements_csv import read_csv
from edgewright.timing.model import SHORTEST_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", type=Path, help="a profile (.jsonl), or measurements made elsewhere (.csv)")
    parser.add_argument("--max-leaves", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", help="only these, as conv,depthwise_conv: the baselines take minutes for all")
    parser.add_argument("--no-baselines", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    profile = read(options.profile)
    if options.families:
        wanted = options.families.split(",")
        kept = tuple(m for m in profile.measurements if m.layer.family in wanted)
        profile = replace(profile, measurements=kept)
    print(circumstances(profile, options.seed))
    ours = evaluate(profile, max_leaves=options.max_leaves, seed=options.seed)
    theirs = {} if options.no_baselines else evaluate_baselines(profile, seed=options.seed)
    print(table(ours, theirs, noise_percent(profile)))
    if theirs:
        print(details(ours, theirs))


def read(path: Path) -> Profile:
    """The profile in either format."""
    with path.open(encoding="utf-8") as lines:
        return read_csv(lines, str(path), path.stem) if path.suffix == ".csv" else load_profile(lines, str(path))


def circumstances(profile: Profile, seed: int) -> str:
    """What was measured, where, and with which seed the folds are drawn."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn"))
    return (
        f"{profile.device}: {profile.runtime} {profile.runtime_version}, {profile.threads} thread(s), "
        f"{len(profile.measurements)} measurements; {platform.machine()}, Python {platform.python_version()}, "
        f"{libraries}; seed {seed}\n"
    )


def noise_percent(profile: Profile) -> dict[str, float]:
    """For each family, the mean distance between the early and the late measurements of the same layer."""
    repeated: dict[LayerSpec, list[Measurement]] = {}
    for measurement in (m for m in profile.comparable.measurements if m.alone):
        repeated.setdefault(measurement.layer, []).append(measurement)
    distances: dict[str, list[float]] = {}
    for layer, found in repeated.items():
        times = [m.median_s for m in sorted(found, key=lambda m: m.started_s)]
        half = len(times) // 2
        if half and median(times) > SHORTEST_S:
            early, late = median(times[:half]), median(times[-half:])
            distances.setdefault(layer.family, []).append(100 * abs(late - early) / median(times))
    return {family: mean(found) for family, found in distances.items()}


def table(ours: Mapping[str, HeldOut], theirs: Mapping[str, Mapping[str, HeldOut]], noise: Mapping[str, float]) -> str:
    """A row a family: our errors, the MAPE of each baseline, and the noise."""
    titles = list(dict.fromkeys(title for found in theirs.values() for title in found))
    rows = [["layers", "n", "leaves", "MAPE %", "within 5 %", "within 10 %", *titles, "noise %"]]
    for family, errors in ours.items():
        cells = [family.replace("_", " "), errors.n, errors.leaves, f"{errors.mape_percent:.1f}"]
        shares = [f"{errors.within_5_percent:.0f}", f"{errors.within_10_percent:.0f}"]
        others = [f"{theirs[family][title].mape_percent:.1f}" for title in titles]
        rows.append([*map(str, cells), *shares, *others, f"{noise[family]:.1f}" if family in noise else "-"])
    return markdown(rows)


def details(ours: Mapping[str, HeldOut], theirs: Mapping[str, Mapping[str, HeldOut]]) -> str:
    """For the two families that networks spend most time in: all errors and the size of every method."""
    rows = [["layers", "method", "MAPE %", "within 5 %", "within 10 %", "leaves or parameters"]]
    for family in ("conv", "depthwise_conv"):
        if family in ours:
            methods = {"execution-time model": ours[family], **theirs[family]}
            rows += [
                [family.replace("_", " "), title, f"{errors.mape_percent:.1f}", f"{errors.within_5_percent:.0f}",
                 f"{errors.within_10_percent:.0f}", str(errors.leaves)]
                for title, errors in methods.items()
            ]  # fmt: skip
    return markdown(rows)


def markdown(rows: list[list[str]]) -> str:
    """Rows as a Markdown table, the first one as its head."""
    head, *body = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
