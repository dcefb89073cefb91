"""What edgewright does for TensorFlow Lite Micro, as functions; like `api`, of which this is a part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.api import File, OnProgress
from edgewright.api_memory import check_output
from edgewright.errors import EdgewrightError, ModelError, StoreError, UnsupportedModelError

if TYPE_CHECKING:
    from edgewright.graph.types import Graph
    from edgewright.memory.tflm import ArenaPrediction
    from edgewright.report.arena_view import ArenaProofView, ArenaTilingView, ArenaView, EndView
    from edgewright.tiling.fit_to_arena import ArenaFit

PROOF_RUNS = 100
MOST_WORK = 1.1
"""Operations, and time, by those of the network as it is, that a plan may take where nothing else is asked for."""


def arena(model: File) -> "ArenaView":
    """The arena that a .tflite file needs, predicted for a 64-bit host and a 32-bit microcontroller.

    Nothing is run. Raises ModelError, and UnsupportedModelError, which names the op, where TFLM can't run the network.
    """
    from edgewright.report.arena_view import arena_view

    path = Path(model)
    graph, offsets = _read(path)
    return arena_view(str(path), graph, _predictions(path, graph, offsets), len(offsets))


def tile_arena(
    model: File,
    out: File,
    *,
    memory: int | str | None = None,
    slowdown: float | None = None,
    int8_io: bool = False,
    share: bool = True,
    check: bool = True,
    emit_c: File | None = None,
    on_progress: OnProgress = lambda _, __: None,
) -> "ArenaTilingView":
    """Write a .tflite file whose whole arena stays inside `memory` (bytes, or text such as "100KB") and that gives the
    same outputs, bit for bit; or the one of the least arena at so many times the operations and time.

    The arena that counts is that of a 64-bit host, which can be measured; a microcontroller needs less. `int8_io`
    leaves QUANTIZE and DEQUANTIZE ops at the ends to the caller. `share` lets tensors share bytes where the reference
    kernels allow it. `check` runs the result beside the original before it is written, `emit_c` is a folder for C++
    source. Raises BudgetError where the budget can't be met, ModelError, MeasurementError, StoreError; then nothing is
    written.
    """
    from edgewright.files import scratch_folder, write_atomically
    from edgewright.formats import open as open_format
    from edgewright.memory.tflm import HOST
    from edgewright.report.arena_view import ArenaTilingView, build_view, group_views
    from edgewright.tiling.fit_to_arena import ArenaTarget, fit_arena
    from edgewright.tiling.fit_to_memory import asked_for

    asked = asked_for(memory, slowdown)
    path, out_path = Path(model), Path(out)
    _check_format(path)
    check_output(path, out_path)
    before = _predictions(path, *_read(path))
    with scratch_folder(out_path.parent) as folder:
        source, ends = _with_integers(path, folder) if int8_io else (path, ())
        graph, given = _read(source)
        on_progress("searching", 0.1)
        target = ArenaTarget(HOST, open_format(path).expresses, share, asked.slowdown or MOST_WORK)
        found = fit_arena(graph, asked.bytes, target, str(path), given)
        tiled = folder / out_path.name
        _write(source, found, folder, tiled)
        after = _predictions(tiled, *_read(tiled))
        proof = _proof(path, tiled, after[0], asked.bytes, on_progress) if check else None
        files = _c_files(tiled, out_path.stem, after, Path(emit_c)) if emit_c is not None else ()
        sizes = path.stat().st_size, tiled.stat().st_size
        write_atomically(out_path, tiled.read_bytes())
    return ArenaTilingView(
        str(path), str(out_path), asked.bytes, tuple(map(build_view, before)), tuple(map(build_view, after)),
        len(graph.ops), len(found.graph.ops), *sizes,
        group_views(graph, found.plan), found.macs_ratio, found.time_ratio,
        len(found.offsets), len(found.shared), ends, proof, files,
    )  # fmt: skip


def _read(path: Path) -> "tuple[Graph, dict[str, int]]":
    """A network as TFLM sees it, and the offsets that its file has for tensors."""
    _check_format(path)
    from edgewright.formats.tflite.micro import micro_graph
    from edgewright.formats.tflite.offline import read_offsets

    return micro_graph(path), read_offsets(path)


def _check_format(path: Path) -> None:
    from edgewright.formats import open as open_format

    name = open_format(path).name
    if name != "tflite":
        raise ModelError(f"{path}: TensorFlow Lite Micro runs TFLite models, and this one is {name}")


def _predictions(path: Path, graph: "Graph", offsets: Mapping[str, int]) -> "tuple[ArenaPrediction, ...]":
    """The arena on a host and on a microcontroller. Raises UnsupportedModelError, which names the file."""
    from edgewright.formats.tflite.offline import tensor_names
    from edgewright.memory.tflm import DEVICE, HOST, predict_arena

    count = len(tensor_names(path))
    try:
        return tuple(predict_arena(graph, build, offsets=offsets, tensors=count) for build in (HOST, DEVICE))
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"{path}: {error}") from error


def _with_integers(path: Path, folder: Path) -> "tuple[Path, tuple[EndView, ...]]":
    """The network with integers at its ends, and what they stand for."""
    from edgewright.formats.tflite.int8_io import int8_io
    from edgewright.report.arena_view import EndView

    data, ends = int8_io(path)
    found = folder / f"integers-{path.name}"
    found.write_bytes(data)
    views = (EndView(one.name, one.is_input, one.dtype, one.scale, one.zero_point) for one in ends)
    return found, tuple(views)


def _write(source: Path, found: "ArenaFit", folder: Path, out: Path) -> None:
    """The network after its edits, with its offsets."""
    from edgewright.formats import open as open_format
    from edgewright.formats.tflite.offline import write_offsets

    edited = source
    if found.edits:
        edited = folder / f"edited-{source.name}"
        open_format(source).apply(source, found.edits, edited, None)
    if found.offsets:
        write_offsets(edited, out, found.offsets)
    else:
        out.write_bytes(edited.read_bytes())


def _proof(
    path: Path, tiled: Path, after: "ArenaPrediction", budget_bytes: int | None, on_progress: OnProgress
) -> "ArenaProofView":
    """The interpreter on what is to be written, in just the arena that was promised, beside the original.

    Raises EdgewrightError where outputs differ in a bit, or where the arena is not what was predicted.
    """
    from edgewright.report.arena_view import ArenaProofView
    from edgewright.runtimes.tflm import compared, measured_arena

    on_progress("proving", 0.6)
    if budget_bytes is not None and after.arena_bytes > budget_bytes:
        raise EdgewrightError(f"{path}: nothing was written, as the arena came out at {after.arena_bytes} bytes")
    used = measured_arena(tiled, after.arena_bytes)
    if used.used_bytes > after.arena_bytes:
        raise EdgewrightError(f"{path}: nothing was written, as the interpreter used {used.used_bytes} bytes")
    found = compared(path, tiled, PROOF_RUNS)
    if found.differing:
        raise EdgewrightError(
            f"{path}: nothing was written, as {found.differing} of {found.runs} random inputs gave other outputs, "
            f"by up to {found.largest_difference:.3g}"
        )
    return ArenaProofView(
        used.used_bytes, used.head_bytes, used.tail_bytes, found.runs, found.differing, found.largest_difference
    )


def _c_files(path: Path, name: str, found: "Sequence[ArenaPrediction]", folder: Path) -> tuple[str, ...]:
    """Write the C++ source of a model to a folder; the names of the files."""
    from edgewright.files import write_atomically
    from edgewright.formats.tflite.c_source import c_source

    sources = c_source(path, name, {8: found[0].arena_bytes, 4: found[1].arena_bytes})
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't write to {folder}: {error.strerror or error}") from error
    for file, text in sources.items():
        write_atomically(folder / file, text)
    return tuple(str(folder / file) for file in sources)
