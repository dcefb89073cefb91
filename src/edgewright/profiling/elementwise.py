"""Draws of layers that map, reduce or move items: random LayerSpecs like those of real networks."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from edgewright.graph.types import LayerSpec, Shape
from edgewright.profiling.sampling import Draw, Random, log_uniform, pick, side, width

_UNARY = MappingProxyType(
    {"relu": 3, "sigmoid": 2, "tanh": 1.5, "leaky_relu": 1.5, "clip": 1.5, "hard_sigmoid": 1, "hard_swish": 1.5,
     "exp": 1, "sqrt": 1, "erf": 1, "gelu": 1, "abs": 0.7, "neg": 0.5, "log": 0.7,
     "softplus": 0.5, "elu": 0.5, "reciprocal": 0.4, "sin": 0.5, "cos": 0.5}
)  # fmt: skip
_BINARY = MappingProxyType(
    {"add": 4, "mul": 4, "sub": 1.5, "div": 1.5, "max": 0.5, "min": 0.5, "pow": 0.7, "prelu": 1.5, "where": 0.5}
)


def _items(random: Random, low: float = 300, high: float = 4e6) -> int:
    return round(log_uniform(random, low, high))


def _maps(random: Random) -> tuple[int, int]:
    """Channels and items of a map."""
    return width(random), side(random) * side(random)


def _unary(random: Random) -> LayerSpec:
    shape = (1, _items(random))
    return LayerSpec("unary", (shape,), (shape,), variant=pick(random, _UNARY))


def _binary(random: Random) -> LayerSpec:
    variant = pick(random, _BINARY)
    channels, items = _maps(random)
    form = pick(random, {"same": 5, "channel": 3, "scalar": 1, "row": 1}) if variant != "prelu" else "channel"
    full: Shape = (channels, items) if form in ("channel", "row") else (channels * items,)
    other = {"same": full, "channel": (channels, 1), "scalar": (1,), "row": (1, items)}[form]
    if form == "channel" and random.random() < 0.15:  # several maps at once
        batch = int(random.choice((2, 4, 8)))
        full, other = (batch, *full), (1, channels, 1)
    inputs = (full, full, full) if variant == "where" else (full, other)
    return LayerSpec("binary", inputs, (full,), variant=variant)


def _normalization(random: Random) -> LayerSpec:
    variant = pick(
        random, {"batch_normalization": 4, "lrn": 2, "layer_normalization-inner": 3, "instance_normalization": 2}
    )
    channels, items = _maps(random)
    shape = (1, channels, items) if variant in ("batch_normalization", "lrn") else (channels, items)
    if variant == "layer_normalization-inner":
        shape = (round(log_uniform(random, 1, 512)), width(random, 8, 2048))
    return LayerSpec("normalization", (shape,), (shape,), variant=variant)


def _softmax(random: Random) -> LayerSpec:
    rows, items = round(log_uniform(random, 1, 4096)), width(random, 2, 4096)
    variant = pick(random, {"softmax-inner": 0.85, "softmax-outer": 0.15})
    return LayerSpec("softmax", ((rows, items),), ((rows, items),), variant=variant)


def _reduction(random: Random) -> LayerSpec:
    name = pick(random, {"mean": 4, "sum": 2, "max": 2, "min": 0.5, "arg_max": 1, "l2": 0.5})
    place = pick(random, {"inner": 0.7, "outer": 0.3})
    rows, items = round(log_uniform(random, 1, 4096)), round(log_uniform(random, 2, 16384))
    made = (rows, 1) if place == "inner" else (1, items)
    return LayerSpec("reduction", ((rows, items),), (made,), variant=f"{name}-{place}")


def _resize(random: Random) -> LayerSpec:
    channels, height, across = width(random, 1, 512), side(random), side(random)
    factor = pick(random, {2.0: 0.75, 4.0: 0.1, 1.5: 0.1, 3.0: 0.05})
    made = (1, channels, round(height * factor), round(across * factor))
    variant = pick(random, {"nearest": 0.6, "linear": 0.4})
    return LayerSpec("resize", ((1, channels, height, across),), (made,), variant=variant)


def _around(random: Random) -> tuple[int, int]:
    """What lies outside and inside of an axis: maps along channels, rows of maps, or a last axis."""
    form = pick(random, {"channels": 0.5, "rows": 0.3, "last": 0.2})
    if form == "channels":
        return 1, side(random) * side(random)
    return (width(random), side(random)) if form == "rows" else (round(log_uniform(random, 1, 4096)), 1)


def _concat(random: Random) -> LayerSpec:
    (outer, inner), parts = _around(random), pick(random, {2: 0.55, 3: 0.15, 4: 0.2, 6: 0.1})
    sizes = [width(random, 1, 512) for _ in range(parts)]
    inputs = tuple((outer, size, inner) for size in sizes)
    return LayerSpec("concat", inputs, ((outer, sum(sizes), inner),))


def _split(random: Random) -> LayerSpec:
    (outer, inner), parts = _around(random), pick(random, {2: 0.6, 3: 0.2, 4: 0.2})
    sizes = [width(random, 1, 512) for _ in range(parts)]
    outputs = tuple((outer, size, inner) for size in sizes)
    return LayerSpec("split", ((outer, sum(sizes), inner),), outputs)


def _slice(random: Random) -> LayerSpec:
    if random.random() < 0.3:
        channels, height, across = width(random), side(random, 4), side(random, 4)
        made = tuple(max(round(size * random.uniform(0.2, 0.95)), 1) for size in (height, across))
        return LayerSpec("slice", ((channels, height, across),), ((channels, *made),))
    (outer, inner), size = _around(random), width(random, 2, 1024)
    kept = max(round(size * random.uniform(0.1, 0.95)), 1)
    if random.random() < 0.15:
        return LayerSpec("slice", ((outer, size, inner),), ((outer, (size + 1) // 2, inner),), variant="strided")
    return LayerSpec("slice", ((outer, size, inner),), ((outer, kept, inner),))


def _pad(random: Random) -> LayerSpec:
    variant = pick(random, {"constant": 0.85, "reflect": 0.08, "edge": 0.07})
    if random.random() < 0.25:
        (outer, inner), size = _around(random), round(log_uniform(random, 4, 20000))
        return LayerSpec(
            "pad", ((outer, size, inner),), ((outer, size + int(random.integers(1, 64)), inner),), variant=variant
        )
    channels, height, across = width(random), side(random, 4), side(random, 4)
    more = int(random.choice((1, 2, 2, 3, 4, 6)))
    made = (channels, height + more, across + more * int(random.random() < 0.8))
    return LayerSpec("pad", ((channels, height, across),), (made,), variant=variant)


def _transpose(random: Random) -> LayerSpec:
    perm = pick(random, {(1, 0): 0.45, (1, 0, 2): 0.25, (0, 2, 1): 0.2, (2, 1, 0): 0.1})
    if perm == (1, 0):
        channels, items = _maps(random)
        shape: Shape = (channels, items) if random.random() < 0.5 else (items, channels)
    elif perm == (1, 0, 2):
        shape = (
            round(log_uniform(random, 2, 64)),
            round(log_uniform(random, 2, 256)),
            round(log_uniform(random, 2, 3136)),
        )
    else:
        shape = (round(log_uniform(random, 2, 64)), width(random, 2, 512), width(random, 2, 512))
    made = tuple(shape[axis] for axis in perm)
    return LayerSpec("transpose", (shape,), (made,), variant="-".join(map(str, perm)))


def _gather(random: Random) -> LayerSpec:
    (outer, inner), size = _around(random), width(random, 2, 1024)
    count = round(log_uniform(random, 1, 512))
    return LayerSpec("gather", ((outer, size, inner), (count,)), ((outer, count, inner),), variant="gather")


def _expand(random: Random) -> LayerSpec:
    rows, items = round(log_uniform(random, 1, 1024)), round(log_uniform(random, 2, 16384))
    variant = pick(random, {"expand": 0.6, "tile": 0.4})
    given, made = ((rows, 1), (rows, items)) if random.random() < 0.5 else ((1, items), (rows + 1, items))
    return LayerSpec("expand", (given,), (made,), variant=variant)


def _cast(random: Random) -> LayerSpec:
    shape = (1, _items(random))
    return LayerSpec("cast", (shape,), (shape,), variant=f"float32-{random.choice(('int64', 'int32', 'float64'))}")


def _reorder(random: Random) -> LayerSpec:
    """Depth to space and back; the runtime's own changes of layout come with other layers."""
    block, channels, height, across = 2, width(random, 1, 256), side(random, 2), side(random, 2)
    deep, wide = (1, channels * block**2, height, across), (1, channels, height * block, across * block)
    if random.random() < 0.5:
        return LayerSpec("reorder", (deep,), (wide,), variant="depth_to_space")
    return LayerSpec("reorder", (wide,), (deep,), variant="space_to_depth")


def _eight_bit(float_draw: Draw, variants: tuple[str, ...]) -> Draw:
    def draw_eight_bit(random: Random) -> LayerSpec | None:
        layer = float_draw(random)
        return replace(layer, dtype="uint8") if layer is not None and layer.variant in variants else None

    return draw_eight_bit


def _quantization(kind: str) -> Draw:
    def draw_quantization(random: Random) -> LayerSpec:
        shape = (1, _items(random))
        return LayerSpec(kind, (shape,), (shape,), dtype="uint8", variant=f"{kind}_linear")

    return draw_quantization


DRAWS: Mapping[str, Draw] = MappingProxyType(
    {
        "unary": _unary,
        "binary": _binary,
        "normalization": _normalization,
        "softmax": _softmax,
        "reduction": _reduction,
        "resize": _resize,
        "concat": _concat,
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "transpose": _transpose,
        "gather": _gather,
        "expand": _expand,
        "cast": _cast,
        "reorder": _reorder,
        "unary_int8": _eight_bit(_unary, ("sigmoid", "leaky_relu")),
        "binary_int8": _eight_bit(_binary, ("add", "mul")),
        "concat_int8": _eight_bit(_concat, ("",)),
        "quantize_int8": _quantization("quantize"),
        "dequantize_int8": _quantization("dequantize"),
    }
)
