"""Predicted seconds of layers in a network, each computed once."""

from collections.abc import Iterable

from edgewright.graph.types import LayerSpec
from edgewright.timing.model import ExecutionTimeModel


class Prices:
    """The time of any layer in a network of so many bytes of weights, kept once it was asked for.

    The share of cold weights is that of the network as it is given: it hardly moves within the bounds of a search.
    """

    def __init__(self, model: ExecutionTimeModel, weights_bytes: float) -> None:
        self._model, self._weights_bytes = model, weights_bytes
        self._known: dict[LayerSpec, float] = {}

    def learn(self, layers: Iterable[LayerSpec]) -> None:
        """Prices layers that were not asked for yet, all in one go."""
        new = [layer for layer in dict.fromkeys(layers) if layer not in self._known]
        if new:
            seconds = self._model.predict(new) + self._model.context.added(new, self._weights_bytes)
            self._known.update(zip(new, map(float, seconds), strict=True))

    def of(self, layers: Iterable[LayerSpec]) -> float:
        """Seconds of some layers together."""
        layers = tuple(layers)
        self.learn(layers)
        return sum(self._known[layer] for layer in layers)
