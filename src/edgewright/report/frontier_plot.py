"""A frontier of memory and time drawn to a file."""

import os
from pathlib import Path

from edgewright.errors import BudgetError
from edgewright.report.tiling_view import FrontierView

FORMATS = (".png", ".svg", ".pdf")


def check_format(path: Path) -> None:
    """Raises BudgetError for an ending that is none of a picture."""
    if path.suffix.lower() not in FORMATS:
        raise BudgetError(f"{path}: a plot ends in one of {', '.join(FORMATS)}")


def draw_file(view: FrontierView, path: Path) -> None:
    """The frontier as a picture, whole or not at all. Raises BudgetError for another ending, OSError as it comes."""
    check_format(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    peaks = [point.peak_bytes / 1e6 for point in view.points]
    axes.step([point.time_ratio for point in view.points], peaks, "o-", where="post", color="tab:blue")
    axes.set(xlabel="predicted time, untiled = 1", ylabel="predicted peak memory, MB", ylim=(0, None))
    axes.set_title(f"{Path(view.model).name}, {view.settings} settings", fontsize=10)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
