"""Held-out error of the execution-time model for each family of layers, beside the baselines and the noise.

    python benchmarks/time_model.py PROFILE.jsonl|TABLE.csv [--families conv,...] [--no-baselines] [--again OTHER.jsonl]

Prints Markdown tables. Every method sees the same five folds; a layer that was measured several times is one
observation. The noise is how far two measurements of the same layer, early and late in the campaign, lie apart. With
another campaign of the same device (--again) the floor is told too: the error that a model without any fault would
show, as what it is judged by scatters itself.
"""

import argparse
import platform
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from math import log, sqrt
from pathlib import Path
from statistics import mean, median

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile, load_profile
from edgewright.timing import HeldOut, evaluate
from edgewright.timing.baselines import evaluate_baselines
from edgewright.timing.measurements_csv import read_csv
from edgewright.timing.model import SHORTEST_S
from edgewright.timing.observations import Observations, observations

FEWEST_COMMON = 15
"""Of fewer layers that two campaigns have in common no floor is told."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", type=Path, help="a profile (.jsonl), or measurements made elsewhere (.csv)")
    parser.add_argument("--max-leaves", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", help="only these, as conv,depthwise_conv: the baselines take minutes for all")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--again", type=Path, help="another campaign of the same device (.jsonl), for the noise floor")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    profile = read(options.profile)
    floor = floor_percent(profile, read(options.again)) if options.again else {}
    if options.families:
        wanted = options.families.split(",")
        kept = tuple(m for m in profile.measurements if m.layer.family in wanted)
        profile = replace(profile, measurements=kept)
    print(circumstances(profile, options.seed))
    ours = evaluate(profile, max_leaves=options.max_leaves, seed=options.seed)
    theirs = {} if options.no_baselines else evaluate_baselines(profile, seed=options.seed)
    print(table(ours, theirs, noise_percent(profile), floor))
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


def floor_percent(profile: Profile, again: Profile) -> dict[str, float]:
    """For each family, how far a measurement of a layer lies from what that layer takes, in the mean.

    From layers that both campaigns measured in their calm state: what is the same for a whole family is no noise, and
    two campaigns lie the square root of 2 times as far apart as either does from the truth.
    """
    found = {}
    one, other = observations(profile), observations(again)
    for family in one.keys() & other.keys():
        ours, theirs = calm_seconds(one[family]), calm_seconds(other[family])
        apart = [log(ours[layer] / theirs[layer]) for layer in ours.keys() & theirs.keys()]
        if len(apart) >= FEWEST_COMMON:
            usual = median(apart)
            found[family] = 100 * mean(abs(value - usual) for value in apart) / sqrt(2)
    return found


def calm_seconds(family: Observations) -> dict[LayerSpec, float]:
    """What each layer took that was seen in the calm state, and long enough for its error to be told."""
    rows = zip(family.layers, family.seconds, family.certainty, strict=True)
    return {layer: float(seconds) for layer, seconds, certainty in rows if certainty >= 1 and seconds > SHORTEST_S}


def table(
    ours: Mapping[str, HeldOut],
    theirs: Mapping[str, Mapping[str, HeldOut]],
    noise: Mapping[str, float],
    floor: Mapping[str, float],
) -> str:
    """A row a family: our errors, the MAPE of each baseline, the noise and, where it is known, the floor."""
    titles = list(dict.fromkeys(title for found in theirs.values() for title in found))
    rows = [["layers", "n", "leaves", "MAPE %", "within 5 %", "within 10 %", *titles]]
    rows[0] += [title for title, known in (("noise %", noise), ("floor %", floor)) if known]
    for family, errors in ours.items():
        cells = [family.replace("_", " "), errors.n, errors.leaves, f"{errors.mape_percent:.1f}"]
        shares = [f"{errors.within_5_percent:.0f}", f"{errors.within_10_percent:.0f}"]
        others = [f"{theirs[family][title].mape_percent:.1f}" for title in titles]
        told = [f"{known[family]:.1f}" if family in known else "-" for known in (noise, floor) if known]
        rows.append([*map(str, cells), *shares, *others, *told])
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
