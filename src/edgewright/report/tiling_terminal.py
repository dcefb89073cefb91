"""Tiling plans and frontiers drawn for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.tables import table
from edgewright.report.tiling_view import FrontierView, GroupView, MeasuredView, ProofView, RacedView, TilingView
from edgewright.units import format_bytes, format_seconds

_COLUMNS, _ROWS = 64, 14


def draw_tiling(view: TilingView) -> RenderableType:
    """The plan, what is predicted of it, the proof, and how to run it."""
    parts: list[RenderableType] = [_header(view)]
    if view.groups:
        parts += [groups_table(view.groups), Text("")]
    if view.written_out:
        names = ", ".join(view.written_out)
        parts += [Text(f"written out as convolutions and relus, which is faster: {names}"), Text("")]
    parts += [_predicted(view)]
    if view.proof is not None:
        parts += [Text(""), *_proof(view.proof)]
    return Group(*parts, _ending(view))


def draw_frontier(view: FrontierView) -> RenderableType:
    """A row a plan, and a plot of memory over time."""
    told = Text(Path(view.model).name, style="bold")
    told.append(f": predicted peak and time under the {view.settings} settings, {_times_from(view.device)}", "not bold")
    columns = ("peak", "of untiled", "time", *(("predicted",) if view.device else ()), "extra operations")
    made = table(*columns, "groups: ops, grid, halo", left=0)
    made.columns[-1].justify = "left"
    for point in view.points:
        made.add_row(
            format_bytes(point.peak_bytes), f"{100 * point.memory_ratio:.1f} %", f"{point.time_ratio:.3f}",
            *((format_seconds(point.time_s),) if view.device else ()), f"{point.extra_percent:.1f} %",
            "; ".join(f"{g.ops} {_grid(g)} {g.halo}" for g in point.groups) or "untiled",
        )  # fmt: skip
    return Group(told, Text(""), made, Text(""), Text(plot(view)))


def plot(view: FrontierView) -> str:
    """Points of a frontier as text: time to the right, memory upwards."""
    peaks = [point.peak_bytes for point in view.points]
    times = [point.time_ratio for point in view.points]
    low, high, top = min(times), max(times), max(*peaks, 1)
    cells = [[" "] * _COLUMNS for _ in range(_ROWS)]
    for peak, time in zip(peaks, times, strict=True):
        column = round((time - low) / (high - low) * (_COLUMNS - 1)) if high > low else 0
        cells[_ROWS - 1 - round(peak / top * (_ROWS - 1))][column] = "●"
    labels = {0: format_bytes(top), _ROWS // 2: format_bytes(top * (_ROWS - 1 - _ROWS // 2) / (_ROWS - 1))}
    lines = [f"{labels.get(row, ''):>9} │{''.join(line).rstrip()}" for row, line in enumerate(cells)]
    axis = f"{low:.2f}{f'{high:.2f} x time':>{_COLUMNS - 4}}"
    return "\n".join([*lines, f"{'0':>9} └{'─' * _COLUMNS}", f"{'':>11}{axis}"])


def _header(view: TilingView) -> Text:
    told = Text(Path(view.model).name, style="bold")
    if view.already_fits:
        size = format_bytes(view.peak_before_bytes)
        return told.append(f" is inside the budget as it is ({size} predicted): copied to {view.out}\n", "green")
    if not view.groups:
        return told.append(f": no tiling needs less memory in the time allowed: copied to {view.out}\n", "yellow")
    return told.append(f" was tiled into {view.out}\n", "not bold")


def groups_table(groups: Sequence[GroupView]) -> Table:
    """A row for each fused group: its ops, and how they are cut."""
    made = table("fused group", "", "ops", "into", "tiles of", "halo", left=2)
    for group in groups:
        shape = "x".join(map(str, group.shape))
        made.add_row(group.first_op, f"to {group.last_op}", str(group.ops), shape, _grid(group), group.halo)
    return made


def _predicted(view: TilingView) -> Table:
    made = table("predicted", "before", "after", "ratio")
    ratio = view.peak_after_bytes / max(view.peak_before_bytes, 1)
    before, after = format_bytes(view.peak_before_bytes), format_bytes(view.peak_after_bytes)
    made.add_row(f"peak memory, {view.settings} settings", before, Text(after, style="bold"), f"{ratio:.3f}")
    times = (format_seconds(view.time_before_s), format_seconds(view.time_after_s)) if view.device else ("", "")
    made.add_row(f"time, {_times_from(view.device)}", *times, f"{view.time_ratio:.3f}")
    if view.raced is not None and view.raced.ratio is not None:
        made.add_row(_raced(view.raced), "", "", f"{view.raced.ratio:.3f}")
    made.add_row("extra operations", "", "", f"{view.extra_percent:+.2f} %")
    return made


def _raced(raced: RacedView) -> str:
    return f"time, measured ({raced.ratio_low:.3f} to {raced.ratio_high:.3f}; {raced.plans} plans raced)"


def _proof(proof: ProofView) -> list[RenderableType]:
    made = table("measured", "settings", "median", "ratio", "95 % interval", "peak memory", left=2)
    for row in proof.rows:
        made.add_row(row.which, row.settings, format_seconds(row.median_s), *_ratio(row), _peak(row))
    equal = "equal" if proof.max_relative == 0 else f"equal within {proof.max_relative:.0e}"
    told = Text(f"outputs on random inputs: {equal}", style="green")
    lines: list[RenderableType] = [told, made]
    if proof.inside_budget is False:
        lines.append(Text("the measured peak is over the budget: more was needed than predicted", style="bold red"))
    return lines


def _ratio(row: MeasuredView) -> tuple[str, str]:
    if row.ratio is None or row.ratio_low is None or row.ratio_high is None:
        return "1", ""
    return f"{row.ratio:.3f}", f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"


def _peak(row: MeasuredView) -> str:
    return "unknown" if row.peak_bytes is None else format_bytes(row.peak_bytes)


def _ending(view: TilingView) -> Text:
    if not view.session:
        return Text("\nThe peak holds under the runtime's default settings.", style="dim")
    return Text(f"\nThe peak holds under the {view.settings} settings: session = {view.session}", style="dim")


def _times_from(device: str | None) -> str:
    return f"as learned on {device}" if device else "from operations and bytes moved"


def _grid(group: GroupView) -> str:
    return f"{group.grid[0]}x{group.grid[1]}"
