"""What `align` found, drawn for the terminal."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.align_view import AlignProofView, AlignView, ChangeView
from edgewright.report.tables import table
from edgewright.units import format_bytes, format_seconds


def draw_alignment(view: AlignView) -> RenderableType:
    """What changed and what it brings, or that nothing is faster."""
    parts: list[RenderableType] = [_header(view)]
    if view.changes:
        parts += [_changes(view.changes), Text("")]
    if view.rivals:
        parts += [_rivals(view), Text("")]
    if view.proof is not None and view.out is not None:
        parts += [*_proof(view, view.proof)]
    return Group(*parts, *(Text(note, style="dim") for note in view.notes))


def _header(view: AlignView) -> Text:
    told = Text(Path(view.model).name, style="bold")
    if view.out is None:
        why = "has no width that can change" if not view.groups else "no other widths proved to be faster"
        joined = " " if not view.groups else ": "
        return told.append(f"{joined}{why} on {view.device}: nothing was written\n", "not bold yellow")
    return told.append(f" was aligned into {view.out}\n", "not bold")


def _changes(changes: tuple[ChangeView, ...]) -> Table:
    made = table("channel group", "channels", "now", "saves, predicted", "saves, measured", left=1)
    for change in changes:
        now = f"{change.after}" + (f" ({change.removed} dead removed)" if change.removed else "")
        measured = "" if change.measured_saving is None else f"{100 * change.measured_saving:.1f} %"
        made.add_row(change.group, str(change.before), now, f"{100 * change.predicted_saving:.1f} %", measured)
    return made


def _rivals(view: AlignView) -> Table:
    made = table("plan", "weights", "speed-up, predicted", "measured", "95 % between", left=1)
    for rival in view.rivals:
        ratio = rival.measured
        measured = ("over the bounds", "") if ratio is None else _speed_up(ratio, rival.low, rival.high)
        made.add_row(rival.name, f"{rival.weights_growth:.2f} x", f"{1 / rival.predicted:.2f}", *measured)
    return made


def _speed_up(ratio: float, low: float | None, high: float | None) -> tuple[str, str]:
    between = "" if low is None or high is None else f"{1 / high:.2f} and {1 / low:.2f}"
    return f"{1 / ratio:.2f}", between


def _proof(view: AlignView, proof: AlignProofView) -> list[RenderableType]:
    made = table("proof, in fresh processes", "time", "speed-up", "95 % between", "peak memory", "weights", left=1)
    before, after = (_bytes(size) for size in (proof.peak_before_bytes, proof.peak_after_bytes))
    made.add_row("as it was", format_seconds(proof.before_s), "", "", before, format_bytes(view.weights_before_bytes))
    speed_up = _speed_up(proof.ratio, proof.low, proof.high)
    made.add_row("aligned", format_seconds(proof.after_s), *speed_up, after, format_bytes(view.weights_after_bytes))
    same = "bit for bit the same" if proof.max_relative == 0 else f"the same to {proof.max_relative:.0e} of the largest"
    return [made, Text(f"outputs are {same}; {len(view.trials)} plans were measured on {proof.processor}")]


def _bytes(size: int | None) -> str:
    return "" if size is None else format_bytes(size)
