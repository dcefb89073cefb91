"""Inline SVG drawings of an explanation."""

from html import escape
from math import ceil, floor, log10

from edgewright.report.view import Explanation
from edgewright.timing.staircase import Staircase
from edgewright.timing.words import phrase
from edgewright.units import format_seconds

_WIDTH, _HEIGHT = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 38
_COLOURS = 8
_SHORTEST_S = 1e-7
"""Layers shorter than this are left out of the scatter."""


def colours_of(explained: Explanation) -> dict[str, str]:
    """A colour for each kind of layer, the last one for all that are rare."""
    kinds = [kind.kind for kind in explained.kinds]
    return {kind: f"var(--c{min(index, _COLOURS - 1)})" for index, kind in enumerate(kinds)}


def strip(explained: Explanation, colours: dict[str, str]) -> str:
    """The network as a strip: each layer as wide as its share of the time, in the order in which it runs."""
    total = sum(layer.share for layer in explained.layers) or 1.0
    parts, x = [], 0.0
    for layer in explained.layers:
        width = 1000 * layer.share / total
        mark = (
            f'<rect x="{x:.2f}" y="56" width="{max(width, 2):.2f}" height="4" fill="var(--warn)"/>'
            if layer.advice
            else ""
        )
        parts.append(
            f"<g><title>{escape(layer.title)}: {escape(layer.shape)}, {format_seconds(layer.time_s)}</title>"
            f'<rect x="{x:.2f}" y="0" width="{max(width - 0.6, 0.3):.2f}" height="52" rx="1.5" '
            f'fill="{colours[layer.kind]}"/>{mark}</g>'
        )
        x += width
    return f'<svg viewBox="0 0 1000 62" preserveAspectRatio="none" style="height:62px">{"".join(parts)}</svg>'


def staircase(stairs: Staircase) -> str:
    """Predicted time over the width, the layer's own width and the faster one marked."""
    low, high = stairs.widths[0], max(stairs.widths[-1], stairs.widths[0] + 1)
    top = max(stairs.seconds) * 1.08 or 1.0

    def x(width: float) -> float:
        return _LEFT + (width - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(seconds: float) -> float:
        return _HEIGHT - _BOTTOM - seconds / top * (_HEIGHT - _BOTTOM - _TOP)

    line = []
    for width, seconds in zip(stairs.widths, stairs.seconds, strict=True):
        line += [
            f"{x(max(width - 0.5, low)):.1f},{y(seconds):.1f}",
            f"{x(min(width + 0.5, high)):.1f},{y(seconds):.1f}",
        ]
    ticks = "".join(_across(y(top * part / 4), format_seconds(top * part / 4)) for part in range(1, 4))
    ends = "".join(
        f'<text x="{x(width):.1f}" y="{_HEIGHT - 20}" text-anchor="{anchor}">{width}</text>'
        for width, anchor in ((low, "start"), (high, "end"))
    )
    marks = _dot(x(stairs.width), y(stairs.time_s), "var(--bad)", f"{stairs.width}: {format_seconds(stairs.time_s)}")
    if stairs.faster is not None and stairs.faster_s is not None:
        told = f"{stairs.faster}: {format_seconds(stairs.faster_s)}"
        marks += _dot(x(stairs.faster), y(stairs.faster_s), "var(--good)", told, below=True)
    path = f'<polyline points="{" ".join(line)}" fill="none" stroke="var(--accent)" stroke-width="2"/>'
    return _svg(ticks + _floor() + path + ends + marks + _below(phrase(stairs.axis)))


def scatter(explained: Explanation, colours: dict[str, str]) -> str:
    """A point a layer on logarithmic axes; the band is 10 % to either side."""
    pairs = [
        (layer, layer.measured_s, layer.predicted_s)
        for layer in explained.layers
        if layer.measured_s and min(layer.measured_s, layer.predicted_s) >= _SHORTEST_S
    ]
    times = [time_s for _, *both in pairs for time_s in both] or [1e-6, 1e-3]
    low, high = floor(log10(min(times)) * 2) / 2, ceil(log10(max(times)) * 2) / 2

    def x(seconds: float) -> float:
        return _LEFT + (log10(seconds) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(seconds: float) -> float:
        return _HEIGHT - _BOTTOM - (log10(seconds) - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)

    band = " ".join(
        f"{x(10**end):.1f},{y(10**end * factor):.1f}"
        for end, factor in ((low, 0.9), (high, 0.9), (high, 1.1), (low, 1.1))
    )
    ticks = ""
    for power in range(ceil(low), floor(high) + 1):
        number, unit = format_seconds(10.0**power).split()
        told = f"{float(number):g} {unit}"
        ticks += _across(y(10.0**power), told)
        ticks += f'<text x="{x(10.0**power):.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{told}</text>'
    points = "".join(
        f'<circle cx="{x(measured):.1f}" cy="{y(predicted):.1f}" r="4" fill="{colours[layer.kind]}" fill-opacity=".75">'
        f"<title>{escape(layer.title)}: {escape(layer.shape)}, predicted {format_seconds(predicted)}, "
        f"measured {format_seconds(measured)}</title></circle>"
        for layer, measured, predicted in pairs
    )
    line = f'<polygon points="{band}" fill="var(--accent)" fill-opacity=".14"/>'
    return _svg(ticks + _floor() + line + points + _below("measured; predicted upwards"))


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{content}</svg>'


def _across(y: float, told: str) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
    )


def _floor() -> str:
    y = _HEIGHT - _BOTTOM
    return f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="var(--soft)"/>'


def _below(told: str) -> str:
    return f'<text x="{(_WIDTH + _LEFT) / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(told)}</text>'


def _dot(x: float, y: float, colour: str, told: str, below: bool = False) -> str:
    anchor = "start" if x < _WIDTH * 0.7 else "end"
    at = x + (8 if anchor == "start" else -8)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
        f'<text x="{at:.1f}" y="{y + (18 if below else -9):.1f}" text-anchor="{anchor}">{escape(told)}</text>'
    )
