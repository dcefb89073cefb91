"""Tables for the terminal: devices, held-out errors, benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from edgewright.profiling.bench import BenchReport, BenchResult
    from edgewright.report.devices import DeviceSummary, Evaluation
    from edgewright.timing.model import HeldOut

TOO_FEW = "Too few layers of each kind were measured to hold any out: the errors are not known."
TRUSTED_PERCENT = 7.0
"""Held-out errors up to this are shown as good."""
DISTURBED_PERCENT = 15.0
DISTURBED = "Other work disturbed this machine, so times are uncertain: `--fresh` measures again.\n"
"""What is said where the same layers lie further apart than that."""


def table(*columns: str, left: int = 1) -> Table:
    """An empty table; the first `left` columns are texts, the others numbers."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < left else "right", no_wrap=index >= left)
    return made


def devices_table(devices: Sequence["DeviceSummary"]) -> RenderableType:
    """A row a device."""
    if not devices:
        return Text("Nothing has been learned yet. `edgewright profile` learns this machine.")
    made = table("name", "device", "runtime", "threads", "layers", "kinds", "held-out error", "noise", left=3)
    for device in devices:
        made.add_row(
            device.name, device.device, _runtime(device), str(device.threads), f"{device.layers:,}",
            str(device.trees or "not learned yet"), _range(device),
            _percent(device.noise_percent),
        )  # fmt: skip
    return made


def summary_table(device: "DeviceSummary") -> RenderableType:
    """What was learned of one device: a row a kind of layer."""
    told = Text()
    told.append(device.name, style="bold")
    runtime = f", {_runtime(device)}" if device.runtime else ""
    of = f": {device.device}" if device.device != device.name else ""
    told.append(f"{of}{runtime}, {device.threads} thread{'s' if device.threads > 1 else ''}\n")
    told.append(f"{device.measurements:,} measurements of {device.layers:,} layers")
    told.append(f", {device.unstable:,} of them unstable" if device.unstable else "")
    told.append(f", {device.disturbed:,} count less, as something slowed them down\n" if device.disturbed else "\n")
    if device.noise_percent is not None and device.drift_percent is not None:
        told.append(
            f"the same layer measured early and late: {device.noise_percent:.1f} % apart, "
            f"the late one {abs(device.drift_percent):.1f} % {'slower' if device.drift_percent >= 0 else 'faster'}\n"
        )
        if device.noise_percent > DISTURBED_PERCENT:
            told.append(DISTURBED, style="yellow")
    return Group(told, kinds_table(device.kinds) if device.kinds else Text(TOO_FEW))


def kinds_table(kinds: Mapping[str, "HeldOut"]) -> Table:
    """Held-out errors, a row a kind of layer."""
    made = table("layers", "held-out error", "within 5 %", "within 10 %", "n", "leaves")
    for name, found in sorted(kinds.items(), key=lambda item: -item[1].n):
        made.add_row(
            words(name), _error(found.mape_percent), f"{found.within_5_percent:.0f} %",
            f"{found.within_10_percent:.0f} %", f"{found.n:,}", str(found.leaves),
        )  # fmt: skip
    return made


def evaluation_table(evaluation: "Evaluation") -> RenderableType:
    """Held-out errors beside those of the baselines."""
    if not evaluation.kinds:
        return Text(f"{evaluation.device}: {TOO_FEW}")
    titles = list(next(iter(evaluation.baselines.values()), {}))
    made = table("layers", "n", "leaves", "within 5 %", "within 10 %", "edgewright", *titles)
    for name, found in sorted(evaluation.kinds.items(), key=lambda item: -item[1].n):
        others = evaluation.baselines.get(name, {})
        best = min((other.mape_percent for other in others.values()), default=float("inf"))
        made.add_row(
            words(name), f"{found.n:,}", str(found.leaves), f"{found.within_5_percent:.0f} %",
            f"{found.within_10_percent:.0f} %",
            Text(f"{found.mape_percent:.1f} %", style="bold green" if found.mape_percent <= best else "bold"),
            *(f"{others[title].mape_percent:.1f} %" if title in others else "" for title in titles),
        )  # fmt: skip
    told = Text(f"{evaluation.device}: mean absolute percentage error of layers that were held out (5 folds)\n")
    notes = [Text(f"\n{note}", style="dim") for note in evaluation.notes]
    return Group(told, made, *notes)


def bench_table(report: "BenchReport") -> RenderableType:
    """A row a model."""
    compared = any(result.difference for result in report.results)
    columns = ["model", "median", "p95", "ratio", "95 % interval", "peak memory", "weights", "loading"]
    made = table(*columns, *(["outputs"] if compared else []))
    for name, result in zip(_short_names([r.model for r in report.results]), report.results, strict=True):
        ratio = result.ratio
        made.add_row(
            name, format_seconds(result.median_s), format_seconds(result.p95_s),
            Text(f"{ratio.value:.3f}", style=_better(result)) if ratio else "1",
            f"{ratio.low:.3f} to {ratio.high:.3f}" if ratio else "",
            "unknown" if result.peak_bytes is None else format_bytes(result.peak_bytes),
            format_bytes(result.weights_bytes), format_seconds(result.load_s),
            *([_outputs(result)] if compared else []),
        )  # fmt: skip
    told = Text(
        f"\n{report.processor or report.device}, {report.runtime} {report.runtime_version}, "
        f"{report.threads} thread{'s' if report.threads > 1 else ''}{', pinned to a core' if report.pinned else ''}; "
        f"{report.generations} processes a model, {report.rounds} interleaved rounds in each",
        style="dim",
    )
    return Group(made, told, *(Text(failure, style="bold red") for failure in report.failures))


def words(name: str) -> str:
    """A kind of layer as people write it."""
    return name.replace("_", " ")


def _outputs(result: "BenchResult") -> Text:
    difference = result.difference
    if difference is None:
        return Text("")
    if difference.reason:
        return Text("other", style="red")
    told = "equal" if difference.max_absolute == 0 else f"within {difference.max_relative:.0e}"
    return Text(told, style="green" if difference.same else "red")


def _better(result: "BenchResult") -> str:
    """Green where the whole interval is faster than the first model, red where it is slower."""
    if result.ratio is None or result.ratio.low <= 1 <= result.ratio.high:
        return ""
    return "green" if result.ratio.high < 1 else "red"


def _short_names(paths: Sequence[str]) -> list[str]:
    """File names, or whole paths where names alone are the same."""
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(set(paths)) else list(paths)


def _runtime(device: "DeviceSummary") -> str:
    return f"{device.runtime} {device.runtime_version}".strip() or "not told"


def _range(device: "DeviceSummary") -> str:
    errors = sorted(found.mape_percent for found in device.kinds.values())
    return f"{errors[0]:.1f} to {errors[-1]:.1f} %" if errors else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} %"


def _error(percent: float) -> Text:
    return Text(f"{percent:.1f} %", style="green" if percent <= TRUSTED_PERCENT else "yellow")
