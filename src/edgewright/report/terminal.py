"""An explanation drawn for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgewright.report.tables import table, words
from edgewright.report.view import Explanation, LayerView
from edgewright.timing.plot import draw_text
from edgewright.timing.words import phrase
from edgewright.units import format_count, format_seconds

MOST_ROWS = 24
MOST_ADVICE = 8
_BAR, _EIGHTHS = 12, " ▏▎▍▌▋▊▉█"


def draw(explained: Explanation, everything: bool = False) -> RenderableType:
    """The whole explanation: where it runs, its layers, what would be faster, the rules where they were asked for."""
    parts: list[RenderableType] = [header(explained), _layers(explained, everything)]
    if len(explained.kinds) > 1:
        parts += [Text(""), _kinds(explained)]
    parts += [Text(""), *_advice(explained), *_groups(explained)]
    if explained.stairs is not None:
        layer = explained.stairs.layer
        title = f"{words(layer.kind)} at an input of {'x'.join(map(str, layer.input))}: predicted time over its width"
        parts += [Text(f"\n{title}", style="bold"), Text(draw_text(explained.stairs))]
    if explained.rules is not None:
        parts += [Text("\nWhat was learned", style="bold"), Text(explained.rules)]
    return Group(*parts)


def header(explained: Explanation) -> Text:
    """Model, device, and predicted against measured."""
    told = Text()
    told.append(Path(explained.model).name, style="bold")
    told.append(f" on {explained.device}")
    where = [explained.processor if explained.processor != explained.device else "", _runtime(explained)]
    threads = f"{explained.threads} thread{'s' if explained.threads > 1 else ''}"
    told.append(f" ({', '.join(filter(None, (*where, threads)))})\n")
    told.append(
        f"{format_count(explained.macs)} multiply-accumulates, {format_count(explained.parameters)} parameters\n"
    )
    told.append("predicted ")
    told.append(format_seconds(explained.predicted_s), style="bold")
    if explained.measured_s is not None and explained.miss_percent is not None:
        told.append(", measured ")
        told.append(format_seconds(explained.measured_s), style="bold")
        told.append(": ")
        told.append(_miss(explained.miss_percent), style=_judged(explained.miss_percent))
        if explained.layer_miss_percent is not None:
            told.append(f"; half of the time is in layers predicted within {explained.layer_miss_percent:.1f} %")
    for note in explained.notes:
        told.append(f"\nnote: {note}", style="yellow")
    return told.append("\n")


def _layers(explained: Explanation, everything: bool) -> Table:
    """The layers in the order in which they run; small ones are left out and counted together."""
    measured = explained.layers_are_measured
    shown = _longest(explained.layers, len(explained.layers) if everything else MOST_ROWS)
    columns = [
        "layer",
        "stands for",
        "shape",
        "MACs",
        "predicted",
        *(["measured", "miss"] if measured else []),
        "share",
    ]
    made = table(*columns, "", left=3)
    made.columns[0].max_width, made.columns[1].max_width = 28, 34
    made.columns[-1].justify = "left"
    for layer in explained.layers:
        if layer in shown:
            made.add_row(*_row(layer, measured))
    rest = [layer for layer in explained.layers if layer not in shown]
    if rest:
        predicted = format_seconds(sum(layer.predicted_s for layer in rest))
        total = [format_seconds(sum(layer.measured_s or 0.0 for layer in rest)), ""] if measured else []
        share = sum(layer.share for layer in rest)
        cells = (f"{len(rest)} shorter ones", "", "", "", predicted, *total, f"{100 * share:.1f} %", _bar(share))
        made.add_row(*cells, style="dim")
    return made


def _row(layer: LayerView, measured: bool) -> list[str | Text]:
    cells: list[str | Text] = [words(layer.title), ops_text(layer.ops), layer.shape]
    cells += [format_count(layer.macs) if layer.macs else "", format_seconds(layer.predicted_s)]
    if measured and layer.measured_s is not None:
        miss = 100 * (layer.predicted_s / layer.measured_s - 1) if layer.measured_s else 0.0
        cells += [format_seconds(layer.measured_s), Text(f"{miss:+.0f} %", style=_judged(miss))]
    mark = Text(f"{100 * layer.share:.1f} %", style="bold" if layer.advice else "")
    return [
        *cells,
        mark,
        Text(_bar(layer.share) + (" ◂ bad step" if layer.advice else ""), style="yellow" if layer.advice else "cyan"),
    ]


def _kinds(explained: Explanation) -> Table:
    measured = explained.layers_are_measured
    made = table("kind", "layers", "MACs", "predicted", *(["measured"] if measured else []), "share")
    for kind in explained.kinds:
        made.add_row(
            words(kind.kind), str(kind.layers), format_count(kind.macs) if kind.macs else "",
            format_seconds(kind.predicted_s), *([format_seconds(kind.measured_s or 0.0)] if measured else []),
            f"{100 * kind.share:.1f} %",
        )  # fmt: skip
    return made


def _advice(explained: Explanation) -> list[RenderableType]:
    advised = explained.advised
    if not advised:
        return [Text("No layer sits on a bad step: no width up to 1.5 times as wide is predicted to be faster.")]
    title = Text("On a bad step of the staircase: wider would be faster", style="bold")
    made = table("stands for", "width", "faster at", "predicted", "there", "saves", "rules err by")
    made.columns[0].max_width = 40
    for layer in advised[:MOST_ADVICE]:
        assert layer.advice is not None
        found = layer.advice
        made.add_row(
            ops_text(layer.ops) or layer.name, f"{found.width} {phrase(found.axis)}", str(found.faster_width),
            format_seconds(found.time_s), format_seconds(found.faster_s),
            Text(format_seconds(found.saves_s), style="bold green"), f"{100 * found.error:.0f} %",
        )  # fmt: skip
    saved_s = sum(layer.advice.saves_s for layer in advised if layer.advice)
    more = f"and {len(advised) - MOST_ADVICE} more; " if len(advised) > MOST_ADVICE else ""
    whole = format_seconds(explained.predicted_s)
    told = f"{more}together {format_seconds(saved_s)} of {whole}, if the layers after them cost the same"
    return [title, made, Text(told, style="dim")]


def _groups(explained: Explanation) -> list[RenderableType]:
    """Layers that share a width change together: what each group saves in all of them."""
    if not explained.groups:
        return []
    title = Text("\nLayers that share channels change together", style="bold")
    made = table("channel group", "channels", "faster at", "ops", "which take", "saves")
    for gain in explained.groups[:MOST_ADVICE]:
        made.add_row(
            gain.group, str(gain.width), str(gain.faster_width), str(len(gain.ops)), format_seconds(gain.time_s),
            Text(format_seconds(gain.saves_s), style="bold green"),
        )  # fmt: skip
    more = f"and {len(explained.groups) - MOST_ADVICE} more; " if len(explained.groups) > MOST_ADVICE else ""
    return [title, made, Text(f"{more}edgewright align changes them and measures what it brings", style="dim")]


def ops_text(ops: Sequence[str]) -> str:
    """The ops of the file: the first by name, the others counted."""
    if not ops:
        return ""
    name = ops[0] if len(ops[0]) <= 28 else f"…{ops[0][-27:]}"
    return name if len(ops) == 1 else f"{name} +{len(ops) - 1}"


def _longest(layers: Sequence[LayerView], most: int) -> Sequence[LayerView]:
    return sorted(layers, key=lambda layer: (layer.advice is None, -layer.time_s))[:most]


def _bar(share: float) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8 * 2)
    full, part = divmod(min(eighths, _BAR * 8), 8)
    return "█" * full + (_EIGHTHS[part] if part else "")


def _runtime(explained: Explanation) -> str:
    return f"{explained.runtime} {explained.runtime_version}".strip()


def _miss(percent: float) -> str:
    return f"{abs(percent):.1f} % {'too much' if percent >= 0 else 'too little'}"


def _judged(percent: float) -> str:
    return "green" if abs(percent) <= 10 else "yellow" if abs(percent) <= 25 else "red"
