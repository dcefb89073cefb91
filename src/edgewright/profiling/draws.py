"""One draw for each family of layers, at a level of work; and layers beside a given one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edgewright.graph.cost import layer_cost
from edgewright.graph.types import ITEM_BITS, LayerSpec, Shape
from edgewright.profiling import elementwise, windowed
from edgewright.profiling.sampling import Draw, Random, log_uniform, width, windowed_output

DRAWS: Mapping[str, Draw] = MappingProxyType({**windowed.DRAWS, **elementwise.DRAWS})

MOST_WORK = 1.5e8
MOST_ITEMS = 2.5e6
_MACS_AN_ITEM, _MACS_A_PARAMETER = 10, 2.5
MOST_PARAMETERS = 4e7
_SMALL_ITEM = 0.5
_PATIENCE = 2000


@dataclass(frozen=True)
class Repertoire:
    """What is drawn for a runtime: a draw and a weight for each family, and which families are measured together.

    `least_work` is the work of the lightest layers. `fitted` brings a layer into the form that the runtime's models
    have; None where they have nothing like it. `network` draws layers that follow one another, for runtimes that tell
    the time of a whole network alone; without it those that are measured together are drawn by `common`. One batch
    in `together_every` is measured together.
    """

    draws: Mapping[str, Draw]
    weights: Mapping[str, float]
    common: Mapping[str, float]
    least_work: float = 3e5
    fitted: Callable[[LayerSpec | None], LayerSpec | None] = lambda layer: layer
    network: Callable[[Random], list[LayerSpec]] | None = None
    together_every: int = 7


def draw(random: Random, family: str, draws: Mapping[str, Draw] = DRAWS, least_work: float = 3e5) -> LayerSpec:
    """A layer of a family whose work is near a level that is drawn first, log-uniform, so that times are spread."""
    level = log_uniform(random, least_work, MOST_WORK)
    low, high = level / 3, level
    for _ in range(_PATIENCE):
        layer = draws[family](random)
        if layer is not None and low <= work(layer) <= high and fits(layer):
            return layer
        low, high = low * 0.98, min(high * 1.02, MOST_WORK)
    raise AssertionError(f"no layer of the family {family} fits")


def work(layer: LayerSpec) -> float:
    """A rough measure of a layer's time, before anything was measured: operations, or items where those weigh more.

    Small items weigh half, so that layers of 8-bit integers are not all short ones.
    """
    needs = layer_cost(layer)
    items = (needs.input_items + needs.operand_items + needs.output_items) * (_SMALL_ITEM if is_small(layer) else 1)
    return float(max(needs.macs, _MACS_AN_ITEM * items + _MACS_A_PARAMETER * needs.parameter_items))


def is_small(layer: LayerSpec) -> bool:
    """Whether the items of a layer are of 8 bits at the most."""
    return ITEM_BITS.get(layer.dtype, 32) <= 8


def fits(layer: LayerSpec) -> bool:
    """Whether a layer is small enough to be measured in a campaign."""
    needs = layer_cost(layer)
    items = (needs.input_items, needs.operand_items, needs.output_items)
    return work(layer) <= MOST_WORK and max(items) <= MOST_ITEMS and needs.parameter_items <= MOST_PARAMETERS


def neighbour(random: Random, layer: LayerSpec, widest: float = 1.5) -> LayerSpec:
    """A layer beside a given one: one of its widths or sides from half to `widest` times as large; else itself."""
    for _ in range(20):
        beside = _beside(random, layer, widest)
        if beside is not None and fits(beside):
            return beside
    return layer


def _beside(random: Random, layer: LayerSpec, widest: float) -> LayerSpec | None:
    if layer.window is not None and layer.kind != "transposed_conv":
        return _windowed_beside(random, layer, widest)
    if layer.kind == "fully_connected":
        (rows, seen), (_, made) = layer.input, layer.output
        seen, made = _either(random, seen, made, widest)
        return replace(layer, inputs=((rows, seen),), outputs=((rows, made),))
    if layer.kind == "matmul":
        (batch, rows, inner), columns = layer.input, layer.output[-1]
        inner, columns = _either(random, inner, columns, widest)
        return replace(layer, inputs=((batch, rows, inner), (batch, inner, columns)), outputs=((batch, rows, columns),))
    if layer.kind in ("gru", "lstm", "rnn"):
        (steps, batch, features), (_, directions, _, hidden) = layer.input, layer.output
        features, hidden = _either(random, features, hidden, widest)
        return replace(layer, inputs=((steps, batch, features),), outputs=((steps, directions, batch, hidden),))
    return _common_axis_beside(random, layer, widest)


def _either(random: Random, first: int, second: int, widest: float) -> tuple[int, int]:
    """One of two widths changed."""
    if random.random() < 0.5:
        return _near(random, first, widest), second
    return first, _near(random, second, widest)


def _near(random: Random, value: int, widest: float) -> int:
    return width(random, max(round(value / 2), 1), max(round(value * widest), 1))


def _windowed_beside(random: Random, layer: LayerSpec, widest: float) -> LayerSpec | None:
    assert layer.window is not None
    (batch, channels, *given), made = layer.input, layer.output[1]
    choice = random.random()
    groups = layer.groups
    if choice < 0.3:
        given = [max(round(size * log_uniform(random, 0.5, widest)), 1) for size in given]
    elif layer.kind == "conv" and choice < 0.65 and channels > 4:
        channels = groups * _near(random, channels // groups, widest)
    elif layer.kind == "conv":
        made = groups * _near(random, made // groups, widest)
    else:
        multiplier = made // channels
        channels = _near(random, channels, widest)
        made, groups = channels * multiplier, channels if layer.kind == "depthwise_conv" else groups
    out = windowed_output(tuple(given), layer.window)
    if out is None:
        return None
    return replace(layer, inputs=((batch, channels, *given),), outputs=((batch, made, *out),), groups=groups)


def _common_axis_beside(random: Random, layer: LayerSpec, widest: float) -> LayerSpec | None:
    """Another length of an axis that is as long in every shape of the layer, or 1."""
    shapes = (*layer.inputs, *layer.outputs)
    if layer.kind in ("transpose", "transposed_conv", "resize", "gather", "reorder", "other") or not layer.input:
        return None
    axis = int(random.integers(len(layer.input)))
    size = layer.input[axis]
    if size == 1 or any(len(shape) != len(layer.input) or shape[axis] not in (1, size) for shape in shapes):
        return None
    new = max(round(size * log_uniform(random, 0.5, widest)), 2)

    def resized(shape: Shape) -> Shape:
        return (*shape[:axis], new if shape[axis] == size else 1, *shape[axis + 1 :])

    return replace(layer, inputs=tuple(map(resized, layer.inputs)), outputs=tuple(map(resized, layer.outputs)))
