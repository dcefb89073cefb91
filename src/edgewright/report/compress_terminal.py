"""What `compress` did, drawn for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.compress_view import CompressView, CutView, RoundView
from edgewright.report.tables import table
from edgewright.report.terminal import ops_text
from edgewright.units import format_bytes, format_count, format_seconds

MOST_CUTS = 24


def draw_compression(view: CompressView) -> RenderableType:
    """The network before and after, what was cut, and how it went."""
    parts: list[RenderableType] = [_header(view), _sides(view), Text(""), _cuts(view.cuts), Text("")]
    if len(view.rounds) > 1 or view.is_stopped:
        parts += [_rounds(view.rounds), Text("")]
    return Group(*parts, *(Text(note, style="dim") for note in view.notes), Text(_ending(view), style="dim"))


def _header(view: CompressView) -> Text:
    told = Text(view.task, style="bold")
    told.append(" compressed", "not bold")
    if view.out:
        told.append(f" into {view.out}", "not bold")
    asked = format_seconds(view.target) if view.is_absolute else f"{100 * view.target:g} % of the {view.steer}"
    told.append(f": {asked} on {view.device}", "not bold")
    if view.is_stopped:
        told.append("\nthe accuracy allowed no more, so that the target was not reached", "yellow")
    return told.append("\n")


def _sides(view: CompressView) -> Table:
    """Before and after, side by side."""
    made = table("", "before", "after", "", left=1)
    drop = view.drop_points
    points = Text(f"{-drop:+.2f} points", style="green" if drop <= 0.5 else "yellow")
    made.add_row("accuracy", f"{view.accuracy_before:.4f}", f"{view.accuracy_after:.4f}", points)
    proof = view.proof
    if proof is not None:
        ratio = f"{proof.ratio:.3f} ({proof.low:.3f} to {proof.high:.3f})"
        made.add_row("measured time", format_seconds(proof.before_s), format_seconds(proof.after_s), ratio)
    made.add_row("predicted time", *_pair(view.predicted_before_s, view.predicted_after_s, format_seconds))
    made.add_row("multiply-accumulates", *_pair(view.macs_before, view.macs_after, format_count))
    made.add_row("parameters", *_pair(view.parameters_before, view.parameters_after, format_count))
    made.add_row("peak memory, predicted", *_pair(view.peak_before_bytes, view.peak_after_bytes, format_bytes))
    return made


def _pair(before: float, after: float, words: "object") -> tuple[str, str, str]:
    assert callable(words)
    return words(before), words(after), f"{after / max(before, 1e-12):.3f}"


def _cuts(cuts: tuple[CutView, ...]) -> RenderableType:
    if not cuts:
        return Text("No layer changed its width.")
    made = table("channels of", "touches", "before", "after", "saves alone", left=2)
    for cut in cuts[:MOST_CUTS]:
        after = f"{cut.after}" + (f" ({cut.added} new)" if cut.added else "")
        made.add_row(cut.group, ops_text(cut.ops), str(cut.before), after, f"{100 * cut.saves:.1f} %")
    if len(cuts) > MOST_CUTS:
        made.add_row(f"and {len(cuts) - MOST_CUTS} more", "", "", "", "", style="dim")
    return made


def _rounds(rounds: tuple[RoundView, ...]) -> Table:
    made = table("round", "predicted", "measured", "kept by the cut", "at most", "steps", "accuracy")
    for index, one in enumerate(rounds, 1):
        seconds = ("" if value is None else format_seconds(value) for value in (one.predicted_s, one.measured_s))
        shares = ("" if value is None else f"{100 * value:.2f} %" for value in (one.kept, one.bound))
        accuracy = "" if one.accuracy is None else f"{one.accuracy:.4f}"
        made.add_row(str(index), *seconds, *shares, str(one.steps), accuracy)
    return made


def _ending(view: CompressView) -> str:
    where = f", measured on {view.proof.processor}" if view.proof is not None else ""
    return f"method {view.method}, steered by {view.steer}, seed {view.seed}{where}"
