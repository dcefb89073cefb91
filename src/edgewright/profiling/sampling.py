"""The widths, sides and windows that layers are drawn from: like those of real networks.

A uniform draw of channel counts hardly ever meets the fast cases of a runtime, so half of the widths are drawn on
multiples of 4 to 64 and some just beside them. Everything follows from the given generator, so that a campaign can
be repeated.
"""

from collections.abc import Callable, Mapping
from math import exp, log
from typing import TypeVar

import numpy as np

from edgewright.graph.types import LayerSpec, Shape, Window

Random = np.random.Generator
T = TypeVar("T")
Draw = Callable[[Random], LayerSpec | None]
"""A random layer of one family; None where the numbers drawn fit no layer."""

_SIDES = (1, 2, 3, 4, 6, 7, 8, 12, 13, 14, 16, 19, 20, 24, 26, 27, 28, 32, 38, 40, 48, 52, 55, 56, 64, 80, 96, 112,
          128, 160, 224)  # fmt: skip


def pick(random: Random, weighted: Mapping[T, float]) -> T:
    """One of the keys, with a probability in proportion to its value."""
    values, weights = list(weighted), np.array(list(weighted.values()), dtype=float)
    return values[int(random.choice(len(values), p=weights / weights.sum()))]


def log_uniform(random: Random, low: float, high: float) -> float:
    return exp(random.uniform(log(low), log(high)))


def width(random: Random, low: int = 1, high: int = 1024) -> int:
    """A channel count: half of them multiples of 4 to 64, a sixth just beside one, the others anything."""
    value = round(log_uniform(random, low, high))
    choice = random.random()
    if choice < 0.65:
        multiple = int(random.choice((4, 8, 16, 16, 32, 64)))
        value = max(multiple, round(value / multiple) * multiple)
        if choice >= 0.5:
            value += int(random.choice((-1, 1)))
    return int(min(max(value, low), high))


def side(random: Random, low: int = 1, high: int = 224) -> int:
    """The side of a map: three in four are sides that networks have."""
    usual = [s for s in _SIDES if low <= s <= high]
    if usual and random.random() < 0.75:
        return int(random.choice(usual))
    return round(log_uniform(random, low, high))


def window(random: Random, kernels: Mapping[Shape, float], strides: Mapping[int, float]) -> Window:
    """A window with `same` padding mostly, or none; dilated now and then."""
    kernel = pick(random, kernels)
    stride = pick(random, strides)
    dilation = pick(random, {1: 0.95, 2: 0.04, 4: 0.01}) if max(kernel) > 1 else 1
    same = random.random() < 0.8
    padding = tuple(((k - 1) * dilation // 2,) * 2 if same else (0, 0) for k in kernel)
    return Window(kernel, (stride,) * len(kernel), (dilation,) * len(kernel), padding)


def windowed_output(given: Shape, seen: Window) -> Shape | None:
    """The sides of the map that a window makes of `given` sides; None where it does not fit."""
    sides = tuple(
        (i + sum(p) - e) // s + 1 for i, e, s, p in zip(given, seen.extent, seen.stride, seen.padding, strict=True)
    )
    return sides if min(sides) >= 1 else None
