"""What is drawn for runtimes of TFLite files: the layers of real networks, channels last, padded SAME or VALID."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from edgewright.graph.types import LayerSpec, Shape, Window
from edgewright.profiling import elementwise, windowed
from edgewright.profiling.draws import Repertoire, fits, work
from edgewright.profiling.sampling import Draw, Random, pick, width, windowed_output

_ACTIVATIONS = {(), ("relu",), ("clip",)}
_UNARY_INT8 = frozenset({"sigmoid", "tanh", "leaky_relu", "hard_swish", "relu"})
_UNARY = frozenset({"relu", "sigmoid", "tanh", "leaky_relu", "clip", "hard_swish", "exp", "sqrt", "gelu", "abs", "neg",
                    "log", "elu", "sin", "cos"})  # fmt: skip
_REDUCTIONS = frozenset({"mean", "sum", "max", "min"})


def channels_last(layer: LayerSpec | None) -> LayerSpec | None:
    """The layer as TFLite has it; None where it has nothing like it."""
    if layer is None or layer.fused not in _ACTIVATIONS:
        return None
    if layer.window is not None:
        return _windowed(layer)
    rule = _RULES.get(layer.kind)
    return rule(layer) if rule is not None else layer


def padded_as_before(layer: LayerSpec | None) -> LayerSpec | None:
    """A layer with its sides changed, its window padded SAME or VALID again."""
    return layer if layer is None or layer.window is None else _windowed(layer)


def _windowed(layer: LayerSpec) -> LayerSpec | None:
    """Where a window is padded at all, it is padded SAME."""
    window = layer.window
    if window is None or len(window.kernel) != 2:
        return None
    if layer.kind == "transposed_conv":
        return _transposed(layer)
    if max(window.stride) > 1 and max(window.dilation) > 1:
        return None
    if layer.kind.endswith("pool") and max(window.stride) > min(window.kernel):  # networks skip nothing
        return None
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    if any(map(any, window.padding)):
        padding = tuple(map(_same, layer.input[2:], window.extent, window.stride))
    seen = replace(window, padding=padding)
    made = windowed_output(layer.input[2:], seen)
    return None if made is None else replace(layer, window=seen, outputs=((*layer.output[:2], *made),), variant="")


def _same(size: int, extent: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _transposed(layer: LayerSpec) -> LayerSpec | None:
    """Upsampling by the stride, padded SAME where the window is larger than its stride."""
    assert layer.window is not None
    window = layer.window
    if max(window.stride) > min(window.kernel) or (max(window.stride) == 1 and min(window.kernel) % 2 == 0):
        return None
    cropped = [max(extent - stride, 0) for extent, stride in zip(window.extent, window.stride, strict=True)]
    padding = tuple((crop // 2, crop - crop // 2) for crop in cropped)
    made = tuple(size * stride for size, stride in zip(layer.input[2:], window.stride, strict=True))
    seen = Window(window.kernel, window.stride, window.dilation, padding)
    return replace(layer, window=seen, outputs=((*layer.output[:2], *made),))


def _unary(layer: LayerSpec) -> LayerSpec | None:
    return layer if layer.variant in _UNARY else None


def _binary(layer: LayerSpec) -> LayerSpec | None:
    """What is broadcast along a map is one item for each channel, which are last."""
    if layer.variant == "where" or len(layer.input) > 2:
        return None
    if len(layer.input) == 2 and layer.inputs[1][-1] == 1:
        inputs = tuple(shape[::-1] for shape in layer.inputs)
        return replace(layer, inputs=inputs, outputs=(layer.output[::-1],))
    return layer


def _softmax(layer: LayerSpec) -> LayerSpec | None:
    return layer if layer.variant == "softmax-inner" else None


def _reduction(layer: LayerSpec) -> LayerSpec | None:
    return layer if layer.variant.rpartition("-")[0] in _REDUCTIONS else None


def _global_pool(layer: LayerSpec) -> LayerSpec | None:
    """A mean over all of a map, or a pool with a window as large."""
    batch, channels, *space = layer.input
    if layer.variant != "average" or batch != 1 or len(space) != 2:
        return None
    if channels % 2:
        rows = space[0] * space[1]
        return LayerSpec("reduction", ((rows, channels),), ((1, channels),), variant="mean-outer")
    sides = (space[0], space[1])
    window = Window(sides, sides, (1, 1), ((0, 0), (0, 0)))
    return LayerSpec("average_pool", (layer.input,), ((1, channels, 1, 1),), window)


def _moved(layer: LayerSpec) -> LayerSpec | None:
    """An axis of channels is the last one; where two axes change, they are rows and columns."""
    if layer.variant == "edge":
        return None
    shapes = (*layer.inputs, *layer.outputs)
    if all(len(shape) == 3 and shape[0] == 1 for shape in shapes):
        return _mapped(layer, lambda shape: (shape[2], shape[1], 1))
    if layer.kind in ("pad", "slice") and layer.input[1:] != layer.output[1:] and layer.input[0] == layer.output[0]:
        changes = [before != after for before, after in zip(layer.input, layer.output, strict=True)]
        if sum(changes) == 2:
            return _mapped(layer, lambda shape: (*shape[1:], shape[0]))
    return layer


def _mapped(layer: LayerSpec, change: Callable[[Shape], Shape]) -> LayerSpec:
    return replace(layer, inputs=tuple(map(change, layer.inputs)), outputs=tuple(map(change, layer.outputs)))


def _reorder(layer: LayerSpec) -> LayerSpec:
    return replace(layer, variant=f"{layer.variant.removesuffix('-last')}-last")


_RULES = MappingProxyType(
    {"unary": _unary, "binary": _binary, "softmax": _softmax, "reduction": _reduction, "global_pool": _global_pool,
     "concat": _moved, "split": _moved, "slice": _moved, "pad": _moved, "reorder": _reorder}
)  # fmt: skip


def _drawn(draw: Draw) -> Draw:
    return lambda random: channels_last(draw(random))


def _eight_bit(draw: Draw) -> Draw:
    """The same layer on 8-bit integers, where the format has it."""

    def draw_eight_bit(random: Random) -> LayerSpec | None:
        layer = draw(random)
        if layer is None or (layer.kind == "unary" and layer.variant not in _UNARY_INT8):
            return None
        if layer.kind == "binary" and layer.variant not in ("add", "mul", "sub"):
            return None
        return replace(layer, dtype="int8")

    return draw_eight_bit


def _depthwise(draw: Draw) -> Draw:
    """Some with the large windows on small maps that networks for microcontrollers have at their end."""

    def draw_depthwise(random: Random) -> LayerSpec | None:
        if random.random() > _LARGE_WINDOWS:
            return draw(random)
        channels, side, stride = width(random, 16, 640), int(random.integers(3, 29)), int(random.choice((1, 1, 2)))
        shape: Shape = (1, channels, side, side)
        window = Window((7, 7), (stride, stride), (1, 1), ((3, 3), (3, 3)))
        fused = ("clip",) if random.random() < 0.5 else ()
        return _windowed(LayerSpec("depthwise_conv", (shape,), (shape,), window, channels, fused=fused))

    return draw_depthwise


def _quantization(kind: str) -> Draw:
    def draw_quantization(random: Random) -> LayerSpec:
        layer = elementwise.DRAWS["unary"](random)
        assert layer is not None
        return replace(layer, kind=kind, dtype="int8", variant=f"{kind}_linear")

    return draw_quantization


_FLOAT = MappingProxyType(
    {
        family: _drawn({**windowed.DRAWS, **elementwise.DRAWS}[family])
        for family in (
            "conv", "depthwise_conv", "transposed_conv", "fully_connected", "matmul", "max_pool", "average_pool",
            "global_pool", "unary", "binary", "softmax", "reduction", "resize", "reorder", "concat", "split", "slice",
            "pad", "transpose",
        )
    }
)  # fmt: skip
_LARGE_WINDOWS = 0.2
DRAWS: Mapping[str, Draw] = MappingProxyType(
    {
        **_FLOAT,
        **{f"{family}_int8": _eight_bit(draw) for family, draw in _FLOAT.items()},
        "depthwise_conv_int8": _eight_bit(_depthwise(_FLOAT["depthwise_conv"])),
        "quantize_int8": _quantization("quantize"),
        "dequantize_int8": _quantization("dequantize"),
    }
)
"""A draw for each name in `FAMILY_WEIGHTS`; what it draws may be of another family (a mean for a global pool)."""

FAMILY_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "conv": 15, "depthwise_conv": 14, "fully_connected": 16, "transposed_conv": 11, "matmul": 5, "max_pool": 7,
        "average_pool": 9, "global_pool": 3, "unary": 3, "binary": 5, "softmax": 2, "reduction": 9, "resize": 4,
        "reorder": 5, "concat": 6, "split": 4, "slice": 6, "pad": 5, "transpose": 11,
        "conv_int8": 7, "depthwise_conv_int8": 8, "fully_connected_int8": 7, "transposed_conv_int8": 8,
        "matmul_int8": 4, "max_pool_int8": 7, "average_pool_int8": 3, "global_pool_int8": 3, "unary_int8": 1.5,
        "binary_int8": 2, "softmax_int8": 1.5, "reduction_int8": 8, "resize_int8": 3.5, "reorder_int8": 6,
        "concat_int8": 7, "split_int8": 5, "slice_int8": 6, "pad_int8": 5, "transpose_int8": 10,
        "quantize_int8": 1.5, "dequantize_int8": 2,
    }
)  # fmt: skip
_STEPS: Mapping[str, float] = MappingProxyType(
    {"pointwise": 0.36, "depthwise_conv": 0.28, "conv": 0.16, "max_pool": 0.03, "add": 0.09, "unary": 0.05, "pad": 0.03}
)
_SIDES, _CHANNELS, _STRIDED = (24, 32, 48, 56, 64, 96, 112), (3, 8, 16, 24, 32), 0.15
_DEEP, _DEEP_SIDES, _DEEP_CHANNELS, _DENSE = 0.4, (4, 6, 7, 8, 12, 14), (32, 64, 96, 128, 192, 256), 0.5
_NETWORK_WORK = 1e8


def network(random: Random) -> list[LayerSpec]:
    """Layers that follow one another like those of a network of convolutions, of floats or of 8-bit integers."""
    while True:
        found = _chain(random)
        if found:
            return found


def _chain(random: Random) -> list[LayerSpec]:
    """Layers until one does not fit behind the others; none where the first one does not.

    Some are of the deep end of a network: small maps, and more weights than caches hold.
    """
    dtype = "float32" if random.random() < 0.5 else "int8"
    deep = random.random() < _DEEP
    sides, widths = (_DEEP_SIDES, _DEEP_CHANNELS) if deep else (_SIDES, _CHANNELS)
    shape: Shape = (1, int(random.choice(widths)), *(int(random.choice(sides)),) * 2)
    found: list[LayerSpec] = []
    for _ in range(int(random.integers(5, 40))):
        layer = _step(random, shape, (64, 512) if deep else (8, 128))
        if layer is None or not fits(layer) or sum(map(work, found)) > _NETWORK_WORK:
            break
        found.append(replace(layer, dtype=dtype))
        shape = (1, layer.output[1], *shape[2:]) if layer.kind == "pad" else shape
        shape = layer.output if layer.window is not None else shape
    if found and random.random() < _DENSE:
        found += [replace(layer, dtype=dtype) for layer in _dense(random, shape)]
    return found


def _dense(random: Random, shape: Shape) -> list[LayerSpec]:
    """Fully connected layers behind a map."""
    seen, found = shape[1] * shape[2] * shape[3], []
    for _ in range(int(random.integers(1, 5))):
        made = width(random, 16, 1024)
        layer = LayerSpec("fully_connected", ((1, seen),), ((1, made),), fused=("relu",))
        if not fits(layer) or work(layer) > _NETWORK_WORK / 4:
            break
        found.append(layer)
        seen = made
    return found


def _step(random: Random, shape: Shape, widths: tuple[int, int]) -> LayerSpec | None:
    """A layer behind a map of that shape, which makes so many channels where it makes others."""
    step, (batch, channels, *space) = pick(random, _STEPS), shape
    if step in ("add", "unary", "pad"):
        return _flat_step(step, channels, space[0] * space[1])
    kernel = {"pointwise": 1, "max_pool": 2}.get(step) or int(random.choice((3, 3, 3, 5)))
    stride = 2 if step == "max_pool" or (kernel > 1 and random.random() < _STRIDED) else 1
    padded = ((kernel // 2, kernel // 2),) * 2
    window = Window((kernel, kernel), (stride, stride), (1, 1), padded)
    made = channels if step in ("depthwise_conv", "max_pool") else width(random, *widths)
    kind = "conv" if step == "pointwise" else step
    groups = channels if kind == "depthwise_conv" else 1
    fused = ("relu",) if kind != "max_pool" and random.random() < 0.7 else ()
    layer = LayerSpec(kind, (shape,), ((batch, made, *space),), window, groups, fused=fused)
    return channels_last(layer)


def _flat_step(step: str, channels: int, positions: int) -> LayerSpec:
    """A sum, an activation, or channels of zeros behind those of a map."""
    items = channels * positions
    if step == "add":
        return LayerSpec("binary", ((items,), (items,)), ((items,),), variant="add")
    if step == "unary":
        return LayerSpec("unary", ((1, items),), ((1, items),), variant="leaky_relu")
    more = channels + max(channels // 4, 1)
    return LayerSpec("pad", ((positions, channels, 1),), ((positions, more, 1),), variant="constant")


CHANNELS_LAST = Repertoire(DRAWS, FAMILY_WEIGHTS, {}, 1e5, padded_as_before, network, 4)
"""What is drawn for runtimes of TFLite files."""
