"""Predicted seconds of layers in a network, each computed once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.types import LayerSpec
from edgewright.timing.model import ExecutionTimeModel

_MOST_OFF = 2.0
"""A measurement that is further off a prediction than this is not carried over to other widths."""


class Prices:
    """The time of any layer in a network of so many bytes of weights, kept once it was asked for.

    The share of cold weights is that of the network as it is given: it hardly moves within the bounds of a search.
    `measured` are seconds of layers as they ran in this network. They count as they are, and layers that differ from
    them in their channels alone are corrected by the ratio by which these were off.
    """

    def __init__(
        self, model: ExecutionTimeModel, weights_bytes: float, measured: Mapping[LayerSpec, float] | None = None
    ) -> None:
        self._model, self._weights_bytes = model, weights_bytes
        self._corrections: dict[LayerSpec, float] = {}
        self._known: dict[LayerSpec, float] = {}
        if measured:
            self._correct(measured)

    def measured(self, seconds: Mapping[LayerSpec, float]) -> "Prices":
        """The prices with what was measured taken in."""
        return Prices(self._model, self._weights_bytes, seconds)

    def learn(self, layers: Iterable[LayerSpec]) -> None:
        """Prices layers that were not asked for yet, all in one go."""
        new = [layer for layer in dict.fromkeys(layers) if layer not in self._known]
        if new:
            seconds = self._model.predict(new) + self.added(new)
            corrected = (
                float(time_s) * self._corrections.get(_without_channels(layer), 1.0)
                for layer, time_s in zip(new, seconds, strict=True)
            )
            self._known.update(zip(new, corrected, strict=True))

    def added(self, layers: Sequence[LayerSpec]) -> NDArray[np.float64]:
        """Seconds that layers take longer in the network than alone."""
        return self._model.context.added(layers, self._weights_bytes)

    def of(self, layers: Iterable[LayerSpec]) -> float:
        """Seconds of some layers together."""
        layers = tuple(layers)
        self.learn(layers)
        return sum(self._known[layer] for layer in layers)

    def _correct(self, measured: Mapping[LayerSpec, float]) -> None:
        self.learn(measured)
        off: dict[LayerSpec, list[float]] = defaultdict(list)
        for layer, seconds in measured.items():
            off[_without_channels(layer)].append(seconds / max(self._known[layer], 1e-9))
        self._corrections = {like: min(max(median(ratios), 1 / _MOST_OFF), _MOST_OFF) for like, ratios in off.items()}
        self._known = dict(measured)


def _without_channels(layer: LayerSpec) -> LayerSpec:
    """What layers have in common that differ in nothing but their channels."""
    inputs, outputs = (
        tuple((*shape[:1], 0, *shape[2:]) if len(shape) > 1 else shape for shape in shapes)
        for shapes in (layer.inputs, layer.outputs)
    )
    return replace(layer, inputs=inputs, outputs=outputs, groups=min(layer.groups, 2))
