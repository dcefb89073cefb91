"""Which layers each batch of a campaign holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, comparable
from edgewright.profiling.draws import DRAWS, Repertoire, draw, neighbour, work
from edgewright.profiling.sampling import Random, pick

_BATCH_LAYERS, _BATCH_WORK = 48, 4e9
_ANCHORS_EVERY, _RETRIES_AT = 20, 10
_TOGETHER_AT = 4
_ADAPTED = 0.3
_SKETCHED, _FEWEST_SKETCHED, _SKETCH_LEAVES = 300, 60, 6
_ANCHOR_SEED = 4711

FAMILY_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "conv": 50, "depthwise_conv": 22, "fully_connected": 11, "transposed_conv": 8, "matmul": 9,
        "max_pool": 8, "average_pool": 6, "global_pool": 4, "gru": 5, "lstm": 6, "rnn": 5,
        "unary": 7, "binary": 8, "normalization": 4, "softmax": 5, "reduction": 10, "resize": 5,
        "concat": 4, "split": 3, "slice": 8, "pad": 5, "transpose": 9, "gather": 9, "expand": 4, "cast": 2,
        "reorder": 1,
        "conv_int8": 11, "depthwise_conv_int8": 9, "fully_connected_int8": 4, "max_pool_int8": 2,
        "average_pool_int8": 2, "global_pool_int8": 1, "unary_int8": 0.5, "binary_int8": 2, "concat_int8": 5,
        "quantize_int8": 1, "dequantize_int8": 1,
    }
)  # fmt: skip
"""How often each family of layers is drawn: what networks spend their time in, most."""

_COMMON: Mapping[str, float] = MappingProxyType(
    {
        "conv": 8, "depthwise_conv": 3, "fully_connected": 1.5, "max_pool": 0.5, "average_pool": 0.5, "binary": 1,
        "unary": 1, "concat": 1,
    }
)  # fmt: skip
"""What networks of convolutions consist of: layers that are also measured together."""

CHANNELS_FIRST = Repertoire(DRAWS, FAMILY_WEIGHTS, _COMMON)
"""What is drawn for runtimes of ONNX files."""


class Plan(Protocol):
    """What a campaign measures; `name` tells its batches from those of another plan in the same profile."""

    @property
    def name(self) -> str: ...

    def batch(self, number: int, measured: Sequence[Measurement]) -> list[LayerSpec]:
        """The layers of a batch; depends on the arguments alone, so that a campaign can go on where it stopped."""

    def together(self, number: int) -> bool:
        """Whether the layers of a batch are also measured together, in one model."""


@dataclass
class GeneralPlan:
    """Layers of every family, drawn like those of real networks; then more of what is predicted badly.

    Every twentieth batch holds the same anchors, so that drift and noise can be told; another one repeats layers
    whose samples spread too far. Every `adapt_every` batches a small model is learned, and a third of the draws after
    it are neighbours of the layers that it predicts worst. One batch in seven is also measured together.
    """

    seed: int = 0
    adapt_every: int = 100
    repertoire: Repertoire = CHANNELS_FIRST
    _worst: Sequence[LayerSpec] = field(default_factory=list, repr=False)
    _learned_at: int = -1

    @property
    def name(self) -> str:
        return f"general-{self.seed}"

    def batch(self, number: int, measured: Sequence[Measurement]) -> list[LayerSpec]:
        own = [m for m in measured if m.alone and plan_of(m) == self.name]
        if number % _ANCHORS_EVERY == 0:
            return anchors(self.repertoire)
        if number % _ANCHORS_EVERY == _RETRIES_AT and (again := unstable(own)):
            return again
        self._learn(number - number % self.adapt_every, own)
        random = np.random.default_rng((self.seed, number))
        if self.together(number):
            if self.repertoire.network is not None:
                return self.repertoire.network(random)
            some = int(random.choice((4, 8, 16, 24)))
            return _filled(lambda: _drawn(random, self.repertoire, self.repertoire.common))[:some]
        return _filled(lambda: self._draw(random))

    def together(self, number: int) -> bool:
        if self.repertoire.network is not None and number % _ANCHORS_EVERY in (0, _RETRIES_AT):
            return False  # what does not follow one another is no network
        return number % self.repertoire.together_every == _TOGETHER_AT % self.repertoire.together_every

    def _draw(self, random: Random) -> LayerSpec:
        if self._worst and random.random() < _ADAPTED:
            return _beside(random, self._worst, self.repertoire)
        return _drawn(random, self.repertoire, self.repertoire.weights)

    def _learn(self, number: int, own: Sequence[Measurement]) -> None:
        if number != self._learned_at:
            self._learned_at = number
            self._worst = worst_predicted([m for m in own if batch_number(m) < number]) if number else []


@dataclass(frozen=True)
class NetworkPlan:
    """The layers of given networks again and again, and layers beside them: widths to 1.5 times, other sides."""

    name: str
    layers: tuple[LayerSpec, ...]
    seed: int = 0
    repertoire: Repertoire = CHANNELS_FIRST

    def batch(self, number: int, measured: Sequence[Measurement]) -> list[LayerSpec]:
        random = np.random.default_rng((self.seed, number))
        if number % 3 == 0:
            return self._own(number // 3)
        return _filled(lambda: _beside(random, self.layers, self.repertoire))

    def together(self, number: int) -> bool:
        return number % 3 == 0

    def _own(self, turn: int) -> list[LayerSpec]:
        remaining = iter(self.layers)
        batches = []
        while batch := _filled(lambda: next(remaining, None)):
            batches.append(batch)
        return batches[turn % len(batches)]


def plan_of(measurement: Measurement) -> str:
    """The name of the plan that a measurement belongs to."""
    return measurement.batch.rpartition("/")[0]


def batch_number(measurement: Measurement) -> int:
    """The number of a measurement's batch in its plan."""
    return int(measurement.batch.rpartition("/")[2] or 0)


def anchors(repertoire: Repertoire = CHANNELS_FIRST) -> list[LayerSpec]:
    """The layers that every general campaign measures again and again."""
    random = np.random.default_rng(_ANCHOR_SEED)
    return _filled(lambda: _drawn(random, repertoire, repertoire.weights))


def _drawn(random: Random, repertoire: Repertoire, weights: Mapping[str, float]) -> LayerSpec:
    return draw(random, pick(random, weights), repertoire.draws, repertoire.least_work)


def _beside(random: Random, layers: Sequence[LayerSpec], repertoire: Repertoire) -> LayerSpec:
    """A neighbour of one of the layers, in the form that the runtime's models have."""
    layer = layers[int(random.integers(len(layers)))]
    return repertoire.fitted(neighbour(random, layer)) or layer


def unstable(measured: Sequence[Measurement]) -> list[LayerSpec]:
    """Layers without a stable measurement that can be compared, the oldest first; as many as a batch holds."""
    stable = {m.layer for m in comparable(measured) if m.stable}
    wanted = dict.fromkeys(m.layer for m in measured if m.layer not in stable and m.layer.kind != "reorder")
    remaining = iter(wanted)
    return _filled(lambda: next(remaining, None))


def worst_predicted(measured: Sequence[Measurement]) -> list[LayerSpec]:
    """Of the latest layers of each family, the tenth that a small tree learned from the others predicts worst."""
    families: dict[str, dict[LayerSpec, float]] = {}
    for measurement in comparable(measured):
        families.setdefault(measurement.layer.family, {})[measurement.layer] = measurement.time_s
    return [layer for family in families.values() for layer in _worst_of(list(family.items())[-_SKETCHED:])]


def _worst_of(family: Sequence[tuple[LayerSpec, float]]) -> list[LayerSpec]:
    from edgewright.timing.columns import tabulate
    from edgewright.timing.growth import freeze, grow
    from edgewright.timing.leaves import make_design
    from edgewright.timing.tree import predict_tree

    if len(family) < _FEWEST_SKETCHED:
        return []
    layers, seconds = [layer for layer, _ in family], np.array([time_s for _, time_s in family])
    design = make_design(tabulate(layers), seconds)
    tree = freeze(design, grow(design, np.arange(0, len(layers), 2), _SKETCH_LEAVES))
    errors = np.abs(predict_tree(tree, design.table) / seconds - 1)[1::2]
    return [layers[2 * i + 1] for i in np.argsort(-errors, kind="stable")[: len(layers) // 10]]


def _filled(more: Callable[[], LayerSpec | None]) -> list[LayerSpec]:
    """Layers taken until the batch is full, by their number or by their work, or there are no more."""
    layers: list[LayerSpec] = []
    spent = 0.0
    while len(layers) < _BATCH_LAYERS and spent < _BATCH_WORK:
        layer = more()
        if layer is None:
            break
        layers.append(layer)
        spent += work(layer)
    return layers
