"""An explanation as one HTML page that needs nothing else."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from edgewright.report.drawings import colours_of, scatter, staircase, strip
from edgewright.report.tables import words
from edgewright.report.view import Explanation, LayerView
from edgewright.timing.words import phrase
from edgewright.units import format_count, format_seconds


def page(explained: Explanation) -> str:
    """The page: figures, the network as a strip of its layers, advice, two plots, all layers, the rules."""
    template = Template((Path(__file__).parent / "template.html").read_text(encoding="utf-8"))
    colours = colours_of(explained)
    parts = [
        _head(explained),
        _section("Where the time goes", strip(explained, colours) + _legend(explained, colours)),
        _advice(explained),
        _plots(explained, colours),
        _section("Every layer, in the order in which it runs", _layers(explained, colours)),
        _rules(explained),
    ]
    title = f"{Path(explained.model).name} on {explained.device}"
    return template.substitute(title=escape(title), body="\n".join(filter(None, parts)))


def _head(explained: Explanation) -> str:
    runtime = f"{explained.runtime} {explained.runtime_version}".strip()
    threads = f"{explained.threads} thread{'s' if explained.threads > 1 else ''}"
    where = ", ".join(dict.fromkeys(filter(None, (explained.device, explained.processor, runtime, threads))))
    cards = [("predicted", format_seconds(explained.predicted_s), "")]
    if explained.measured_s is not None and explained.miss_percent is not None:
        cards.append(("measured end to end", format_seconds(explained.measured_s), ""))
        cards.append(
            ("prediction against measurement", f"{explained.miss_percent:+.1f} %", judged(explained.miss_percent))
        )
    cards.append(("multiply-accumulates", format_count(explained.macs), ""))
    cards.append(("parameters", format_count(explained.parameters), ""))
    cards.append(("layers that run", str(len(explained.layers)), ""))
    shown = "".join(
        f'<div class="card"><b class="{style}">{value}</b><span>{name}</span></div>' for name, value, style in cards
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in explained.notes)
    name = escape(Path(explained.model).name)
    return f'<h1>{name}</h1>\n<div class="soft">{escape(where)}</div>{notes}\n<div class="cards">{shown}</div>'


def _legend(explained: Explanation, colours: dict[str, str]) -> str:
    items = (
        f'<span><i style="background:{colours[kind.kind]}"></i>{escape(words(kind.kind))} '
        f"{100 * kind.share:.1f} % in {kind.layers}</span>"
        for kind in explained.kinds
    )
    return f'<div class="legend">{"".join(items)}</div>'


def _advice(explained: Explanation) -> str:
    rows = []
    for layer in explained.advised:
        assert layer.advice is not None
        found = layer.advice
        rows.append(
            _row(
                f"{escape(words(layer.title))}<small>{escape(', '.join(layer.ops) or layer.name)}</small>",
                f"{found.width} {escape(phrase(found.axis))}",
                f"<b>{found.faster_width}</b>",
                format_seconds(found.time_s),
                format_seconds(found.faster_s),
                f'<b class="good">{format_seconds(found.saves_s)}</b>',
                f"{100 * found.error:.0f} %",
                left=1,
            )
        )
    if not rows:
        return _section("Steps", "<p>No layer sits on a bad step: no width up to 1.5 times as wide is faster.</p>")
    heads = ("layer", "width", "faster at", "predicted", "there", "saves", "rules err by")
    return _section("On a bad step of the staircase: wider would be faster", _table(heads, rows, 1))


def _plots(explained: Explanation, colours: dict[str, str]) -> str:
    plots = []
    if explained.stairs is not None:
        title = f"{words(explained.stairs.layer.kind)}, input {'x'.join(map(str, explained.stairs.layer.input))}"
        plots.append(_section(f"Staircase: {title}", staircase(explained.stairs)))
    if explained.layers_are_measured:
        plots.append(_section("Predicted against measured, layer by layer", scatter(explained, colours)))
    return f'<div class="pair">{"".join(plots)}</div>' if plots else ""


def _layers(explained: Explanation, colours: dict[str, str]) -> str:
    measured = explained.layers_are_measured
    heads = ("layer", "shape", "MACs", "predicted", *(("measured", "miss") if measured else ()), "share", "")
    most = max((layer.share for layer in explained.layers), default=1.0) or 1.0
    rows = [_layer(layer, measured, most, colours[layer.kind]) for layer in explained.layers]
    return _table(heads, rows, 2)


def _layer(layer: LayerView, measured: bool, most: float, colour: str) -> str:
    told = f"{escape(layer.ops[0])}{f' +{len(layer.ops) - 1}' if len(layer.ops) > 1 else ''}" if layer.ops else ""
    cells = [f"{escape(words(layer.title))}<small>{told}</small>", escape(layer.shape)]
    cells += [format_count(layer.macs) if layer.macs else "", format_seconds(layer.predicted_s)]
    if measured:
        miss = 100 * (layer.predicted_s / layer.measured_s - 1) if layer.measured_s else 0.0
        cells += [format_seconds(layer.measured_s or 0.0), f'<span class="{judged(miss)}">{miss:+.0f} %</span>']
    cells.append(f"{100 * layer.share:.1f} %")
    bar = f'<td class="bar"><i style="width:{100 * layer.share / most:.1f}%;background:{colour}"></i></td>'
    style = ' class="step"' if layer.advice else ""
    return _row(*cells, left=2).replace("<tr>", f"<tr{style}>").replace("</tr>", f"{bar}</tr>")


def _rules(explained: Explanation) -> str:
    if explained.rules is None:
        return ""
    rules = escape(explained.rules)
    return f"<section><details open><summary>What was learned</summary><pre>{rules}</pre></details></section>"


def judged(percent: float) -> str:
    """How a miss is shown: good, warn or bad."""
    return "good" if abs(percent) <= 10 else "warn" if abs(percent) <= 25 else "bad"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(heads: Iterable[str], rows: Iterable[str], left: int) -> str:
    shown = "".join(f"<th{_number(index, left)}>{head}</th>" for index, head in enumerate(heads))
    return f"<table><thead><tr>{shown}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(*cells: str, left: int) -> str:
    return "<tr>" + "".join(f"<td{_number(index, left)}>{cell}</td>" for index, cell in enumerate(cells)) + "</tr>"


def _number(index: int, left: int) -> str:
    return "" if index < left else ' class="n"'
