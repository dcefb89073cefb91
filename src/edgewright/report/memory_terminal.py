"""The memory of a network drawn for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.memory_view import Holder, MemoryView
from edgewright.report.tables import table
from edgewright.units import format_bytes

MOST_HOLDERS = 12
_COLUMNS, _ROWS = 72, 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw_memory(view: MemoryView) -> RenderableType:
    """The peak, who holds it, and the bytes that live over the ops."""
    return Group(_header(view), holders_table(view.holders), Text(""), timeline_text(view.timeline_bytes))


def _header(view: MemoryView) -> Text:
    told = Text()
    told.append(Path(view.model).name, style="bold")
    told.append(f" under the {view.settings} settings of {view.runtime}\npredicted peak ")
    told.append(format_bytes(view.peak_bytes), style="bold")
    told.append(f" at {view.peak_op or 'the start'}, inputs and outputs included, weights apart\n")
    parts = {
        "activations": view.activations_bytes,
        "inputs": view.inputs_bytes,
        "outputs": view.outputs_bytes,
        "scratch": view.scratch_bytes,
        "allocator and runtime": view.overhead_bytes,
    }
    told.append("  = " + " + ".join(f"{name} {format_bytes(size)}" for name, size in parts.items() if size) + "\n")
    told.append(f"lower bound {format_bytes(view.lower_bound_bytes)} at {view.lower_bound_op or 'the start'}: ")
    told.append("what lives at once, op by op as the file says\n")
    told.append(f"weights {format_bytes(view.weights_bytes)}\n")
    return told


def holders_table(holders: Sequence[Holder]) -> Table:
    """Who lives at the peak, the largest first."""
    made = table("at the peak", "kind", "shape", "bytes", "share", left=3)
    made.columns[0].max_width = 48
    for holder in holders[:MOST_HOLDERS]:
        shape = f"{'x'.join(map(str, holder.shape))} {holder.dtype}".strip()
        kind = "activation" if holder.kind == "tensor" else holder.kind
        made.add_row(holder.name, kind, shape, format_bytes(holder.size_bytes), f"{100 * holder.share:.1f} %")
    rest = holders[MOST_HOLDERS:]
    if rest:
        size = sum(holder.size_bytes for holder in rest)
        share = f"{100 * sum(holder.share for holder in rest):.1f} %"
        made.add_row(f"{len(rest)} smaller ones", "", "", format_bytes(size), share, style="dim")
    return made


def timeline_text(timeline_bytes: Sequence[tuple[str, int]]) -> Text:
    """The bytes that live while each op runs, as bars."""
    names = [name for name, _ in timeline_bytes]
    told = Text(f"bytes that live while each of {len(names)} ops runs, in the runtime's order\n", style="bold")
    told.append(bars([size for _, size in timeline_bytes]), style="not bold")
    if names:
        told.append(f"\n{'':>9}  {names[0]} to {names[-1]}", style="not bold")
    return told


def bars(sizes: Sequence[int], columns: int = _COLUMNS, rows: int = _ROWS) -> str:
    """A bar for each op, or for the largest of a few ops where there are many."""
    each = max(-(-len(sizes) // columns), 1)
    heights = [max(sizes[start : start + each]) for start in range(0, len(sizes), each)]
    top = max(*heights, 1) if heights else 1
    lines = []
    for row in range(rows, 0, -1):
        label = format_bytes(top * row / rows) if row in (rows, rows // 2) else ""
        cells = "".join(_cell(height / top * rows - (row - 1)) for height in heights)
        lines.append(f"{label:>9} │{cells}")
    return "\n".join([*lines, f"{'0':>9} └" + "─" * len(heights)])


def _cell(filled: float) -> str:
    return _EIGHTHS[round(min(max(filled, 0.0), 1.0) * 8)]
