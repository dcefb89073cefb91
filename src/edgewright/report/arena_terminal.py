"""The arena of TensorFlow Lite Micro drawn for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.arena_view import ArenaProofView, ArenaTilingView, ArenaView, BuildView, EndView
from edgewright.report.memory_terminal import holders_table, timeline_text
from edgewright.report.tables import table
from edgewright.report.tiling_terminal import groups_table
from edgewright.units import format_bytes


def draw_arena(view: ArenaView) -> RenderableType:
    """The arena in each build, what its tail is made of, who holds its head, and the bytes that live over the ops."""
    told = Text(Path(view.model).name, style="bold")
    told.append(" under TensorFlow Lite Micro, reference kernels\n", "not bold")
    told.append(f"lower bound of the head {format_bytes(view.lower_bound_bytes)} at {view.peak_op or 'the start'}: ")
    told.append("what lives at once, op by op as the file says\n")
    told.append(f"weights {format_bytes(view.weights_bytes)}, which stay in flash")
    if view.planned_tensors:
        told.append(f"; {view.planned_tensors} tensors have places that were planned offline")
    parts: list[RenderableType] = [
        told.append("\n"),
        builds_table(view.builds),
        Text(""),
        tail_table(view.builds),
        Text(""),
    ]
    return Group(*parts, holders_table(view.holders), Text(""), timeline_text(view.timeline_bytes))


def draw_arena_tiling(view: ArenaTilingView) -> RenderableType:
    """What was done, the arena before and after, and the proof."""
    told = Text(Path(view.model).name, style="bold")
    done = "tiled, with" if view.groups else "given" if view.planned_tensors else ""
    if done:
        told.append(f" was {done} places for {view.planned_tensors} tensors, into {view.out}\n", "not bold")
    elif view.budget_bytes is not None:
        told.append(f" is inside the budget as it is: written to {view.out}\n", "green")
    else:
        told.append(f": no tiling needs less in the time allowed: written to {view.out}\n", "yellow")
    parts: list[RenderableType] = [told]
    if view.groups:
        parts += [groups_table(view.groups), Text("")]
    parts += [_changes(view)]
    if view.ends:
        parts += [Text(""), _ends(view.ends)]
    if view.proof is not None:
        parts += [Text(""), _proof(view.proof)]
    if view.files:
        parts += [Text(f"C++ written: {', '.join(view.files)}")]
    return Group(*parts)


def builds_table(builds: Sequence[BuildView]) -> Table:
    """A row for each build: what kTensorArenaSize must hold, and its parts."""
    made = table("build", "kTensorArenaSize", "", "head", "tail", "planning", left=1)
    for one in builds:
        sizes = (one.head_bytes, one.tail_bytes, one.planning_bytes)
        made.add_row(one.build, str(one.arena_bytes), format_bytes(one.arena_bytes), *map(format_bytes, sizes))
    return made


def tail_table(builds: Sequence[BuildView]) -> Table:
    """What the tail consists of, in each build."""
    made = table("tail", *(one.build for one in builds), left=1)
    columns = [dict(one.tail) for one in builds]
    for name in dict.fromkeys(name for column in columns for name in column):
        made.add_row(name, *(format_bytes(column.get(name, 0)) for column in columns))
    return made


def _changes(view: ArenaTilingView) -> Table:
    made = table("predicted", "before", "after", "ratio", left=1)
    for before, after in zip(view.before, view.after, strict=True):
        for what in ("arena", "head", "tail"):
            old, new = (getattr(one, f"{what}_bytes") for one in (before, after))
            made.add_row(f"{what}, {after.build}", format_bytes(old), format_bytes(new), f"{new / max(old, 1):.3f}")
    made.add_row("operations", "", "", f"{view.macs_ratio:.3f}")
    made.add_row("time, about", "", "", f"{view.time_ratio:.3f}")
    made.add_row("ops", str(view.ops_before), str(view.ops_after), "")
    ratio = view.bytes_after / max(view.bytes_before, 1)
    made.add_row("file", format_bytes(view.bytes_before), format_bytes(view.bytes_after), f"{ratio:.3f}")
    made.add_row("tensors that share bytes", "", str(view.shared_tensors), "")
    return made


def _ends(ends: Sequence[EndView]) -> Table:
    made = table("integers now", "", "dtype", "scale", "zero point", left=3)
    for end in ends:
        what = "input" if end.is_input else "output"
        made.add_row(end.name, what, end.dtype, f"{end.scale:.9g}", str(end.zero_point))
    return made


def _proof(proof: ArenaProofView) -> Text:
    told = Text(f"measured arena {format_bytes(proof.used_bytes)} ({proof.used_bytes} bytes: ")
    told.append(f"head {proof.head_bytes}, tail {proof.tail_bytes})\n")
    if proof.differing:
        most = f"{proof.largest_difference:.3g}"
        return told.append(
            f"{proof.differing} of {proof.runs} random inputs give other outputs, by up to {most}", "red"
        )
    return told.append(f"outputs are bit for bit the same on {proof.runs} random inputs", "green")
