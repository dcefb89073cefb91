"""The staircase of a layer: its predicted time over one of its widths, and the nearby width that is faster."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgewright.errors import BudgetError
from edgewright.graph.cost import CONVOLUTIONS, GATES, POOLS
from edgewright.graph.types import LayerSpec, Shape
from edgewright.timing.model import ExecutionTimeModel

WIDEST = 1.5
"""Nearby widths are those up to this many times as wide."""
WORTHWHILE = 0.98
"""A width counts as faster if it takes at most this share of the time."""


@dataclass(frozen=True)
class Staircase:
    """Predicted seconds of a layer at each of the widths; `faster` is the fastest nearby wider one, if there is any.

    `free` is the widest nearby width that costs no more than the layer's own.
    """

    layer: LayerSpec
    axis: str
    widths: tuple[int, ...]
    seconds: tuple[float, ...]
    width: int
    time_s: float
    faster: int | None
    faster_s: float | None
    free: int


def staircase(
    model: ExecutionTimeModel, layer: LayerSpec, axis: str = "out_channels", widths: Sequence[int] | None = None
) -> Staircase:
    """The staircase of a layer over `axis`, by default from half its width to twice. Raises BudgetError for an axis
    that the layer does not have."""
    own = width_of(layer, axis)
    asked = range(max(1, own // 2), 2 * own + 1) if widths is None else widths
    step = layer.groups if axis.endswith("channels") and layer.kind != "depthwise_conv" else 1
    offered = sorted({width for width in (*asked, own) if width >= 1 and width % step == 0})
    seconds = model.predict([with_width(layer, axis, width) for width in offered])
    time_s = float(seconds[offered.index(own)])
    nearby = [(float(s), width) for width, s in zip(offered, seconds, strict=True) if own <= width <= own * WIDEST]
    best_s, best = min(nearby)
    faster = best_s <= time_s * WORTHWHILE
    free = max(width for s, width in nearby if s <= time_s)
    return Staircase(
        layer, axis, tuple(offered), tuple(map(float, np.asarray(seconds))), own, time_s,
        best if faster else None, best_s if faster else None, free,
    )  # fmt: skip


def width_of(layer: LayerSpec, axis: str) -> int:
    """The width of a layer along an axis. Raises BudgetError for an axis that it does not have."""
    side, index = _place(layer, axis)
    return (layer.input if side == "in" else layer.output)[index]


def with_width(layer: LayerSpec, axis: str, width: int) -> LayerSpec:
    """The layer at another width along an axis; a depthwise convolution and a pool keep both sides equal.

    Raises BudgetError for an axis that it does not have.
    """
    side, index = _place(layer, axis)
    if layer.kind == "depthwise_conv":
        multiplier = layer.output[1] // layer.input[1]
        channels = width // multiplier if side == "out" else width
        given, made = _set(layer.input, 1, channels), _set(layer.output, 1, channels * multiplier)
        return replace(layer, inputs=(given, *layer.inputs[1:]), outputs=(made,), groups=channels)
    both = layer.kind in POOLS or layer.kind not in CONVOLUTIONS | GATES.keys() | {"fully_connected", "matmul"}
    inputs = tuple(_set(shape, index, width) for shape in layer.inputs) if both else layer.inputs
    outputs = layer.outputs
    if side == "in" and not both:
        inputs = (_set(layer.input, index, width), *layer.inputs[1:])
    if side == "out" or both:
        fused = layer.kind in CONVOLUTIONS and not both
        extra = tuple(_set(shape, 1, width) for shape in layer.inputs[1:]) if fused else inputs[1:]
        inputs = (*inputs[:1], *extra)
        outputs = tuple(_set(shape, index, width) for shape in layer.outputs)
    return replace(layer, inputs=inputs, outputs=outputs)


def _place(layer: LayerSpec, axis: str) -> tuple[str, int]:
    """Which side an axis is on, and its index there."""
    if layer.kind == "fully_connected" or layer.kind in GATES:
        known = {"in_features": ("in", -1), "out_features": ("out", -1), "hidden": ("out", -1)}
        known |= {"in_channels": known["in_features"], "out_channels": known["out_features"]}
    elif layer.kind == "matmul":
        known = {}
    else:
        known = {"in_channels": ("in", 1), "out_channels": ("out", 1)}
    if axis not in known or len(layer.input) < 2 or len(layer.output) < 2:
        raise BudgetError(f"a layer of kind {layer.kind} has no width {axis!r}; it has {', '.join(known) or 'none'}")
    return known[axis]


def _set(shape: Shape, index: int, width: int) -> Shape:
    index %= max(len(shape), 1)
    return (*shape[:index], width, *shape[index + 1 :]) if len(shape) > index else shape
