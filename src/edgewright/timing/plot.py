"""A staircase drawn: as text for the terminal, or as a PNG or SVG file."""

import os
from pathlib import Path

from edgewright.errors import BudgetError
from edgewright.timing.staircase import Staircase
from edgewright.timing.words import phrase
from edgewright.units import format_seconds

FORMATS = (".png", ".svg", ".pdf")
EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw_text(stairs: Staircase, columns: int = 64, rows: int = 10) -> str:
    """The staircase as text: a bar a width (or a few widths), `^` under the layer's own and `*` under the faster."""
    each = -(-len(stairs.widths) // columns)
    groups = [range(start, min(start + each, len(stairs.widths))) for start in range(0, len(stairs.widths), each)]
    heights = [max(stairs.seconds[index] for index in group) for group in groups]
    top = max(*heights, 1e-12)
    lines = []
    for row in range(rows, 0, -1):
        label = format_seconds(top * row / rows) if row in (rows, (rows + 1) // 2) else ""
        lines.append(f"{label:>9} │" + "".join(_cell(height / top * rows - (row - 1)) for height in heights))
    lines.append(f"{'0':>9} └" + "─" * len(groups))
    marks = [_mark(stairs, {stairs.widths[index] for index in group}) for group in groups]
    lines.append(f"{'':>9}  " + "".join(marks).rstrip())
    lines.append(f"{'':>9}  {stairs.widths[0]} to {stairs.widths[-1]} {phrase(stairs.axis)}; {_legend(stairs)}")
    return "\n".join(lines)


def draw_file(stairs: Staircase, path: Path) -> None:
    """The staircase as a picture, whole or not at all. Raises BudgetError for another ending, OSError as it comes."""
    if path.suffix.lower() not in FORMATS:
        raise BudgetError(f"{path}: a plot ends in one of {', '.join(FORMATS)}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.step(stairs.widths, [seconds * 1e3 for seconds in stairs.seconds], where="mid", color="tab:blue")
    axes.plot(stairs.width, stairs.time_s * 1e3, "o", color="tab:red", label=f"this layer: {stairs.width}")
    if stairs.faster is not None and stairs.faster_s is not None:
        axes.plot(stairs.faster, stairs.faster_s * 1e3, "^", color="tab:green", label=f"faster: {stairs.faster}")
    axes.set(xlabel=phrase(stairs.axis), ylabel="predicted time, ms", ylim=(0, None))
    axes.set_title(f"{phrase(stairs.layer.kind)}, input {'x'.join(map(str, stairs.layer.input))}", fontsize=10)
    axes.legend(loc="upper left", frameon=False)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _cell(filled: float) -> str:
    return EIGHTHS[round(min(max(filled, 0.0), 1.0) * 8)]


def _mark(stairs: Staircase, widths: set[int]) -> str:
    if stairs.width in widths:
        return "^"
    return "*" if stairs.faster in widths else " "


def _legend(stairs: Staircase) -> str:
    told = f"^ {stairs.width}: {format_seconds(stairs.time_s)}"
    if stairs.faster is not None and stairs.faster_s is not None:
        return f"{told}, * {stairs.faster}: {format_seconds(stairs.faster_s)}"
    return f"{told}, none nearby is faster"
