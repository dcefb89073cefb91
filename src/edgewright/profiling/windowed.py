"""Draws of windowed, dense and recurrent layers: random LayerSpecs like those of real networks."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from edgewright.graph.types import LayerSpec, Shape, Window
from edgewright.profiling.sampling import Draw, Random, log_uniform, pick, side, width, window, windowed_output

_LINES: Mapping[Shape, float] = MappingProxyType({(1,): 0.3, (3,): 0.35, (5,): 0.15, (7,): 0.1, (9,): 0.1})
_ACTIVATIONS: Mapping[tuple[str, ...], float] = MappingProxyType(
    {(): 0.38, ("relu",): 0.4, ("clip",): 0.03, ("hard_swish",): 0.05, ("sigmoid",): 0.02, ("hard_sigmoid",): 0.01,
     ("tanh",): 0.01, ("leaky_relu",): 0.02, ("add", "relu"): 0.05, ("add",): 0.03}
)  # fmt: skip


_SQUEEZED = 0.08
"""Share of pointwise convolutions on the mean of a map, as in squeeze-and-excitation (Hu et al., CVPR 2018)."""


def _batch(random: Random) -> int:
    return 1 if random.random() < 0.94 else int(random.choice((2, 3, 4, 8)))


def _convolution(random: Random) -> LayerSpec | None:
    """A convolution of one of the parts that networks give it, each with its own windows, widths and maps."""
    return pick(random, _PARTS)(random)


def _pointwise(random: Random) -> LayerSpec | None:
    stride = 1 if random.random() < 0.94 else 2
    seen = _square(1, stride, 0)
    given = _map(random, 1 if stride == 1 else 7)
    if stride == 1 and random.random() < _SQUEEZED:
        given = (1, 1)
    return _planar_layer(random, seen, width(random, 8, 1280), _made(random, 1280), given)


def _spatial(random: Random) -> LayerSpec | None:
    """A convolution of 3x3 and the like, in the middle of a network."""
    kernel = pick(random, {3: 0.84, 5: 0.1, 7: 0.03, 2: 0.03})
    stride = pick(random, {1: 0.78, 2: 0.22}) if kernel > 2 else pick(random, {1: 0.2, 2: 0.8})
    dilation = pick(random, {1: 0.96, 2: 0.03, 4: 0.01}) if kernel == 3 and stride == 1 else 1
    padded = kernel > 2 and random.random() < 0.88
    seen = _square(kernel, stride, (kernel - 1) * dilation // 2 if padded else 0, dilation)
    most = {2: 512, 3: 768, 5: 256, 7: 96}[kernel]
    return _planar_layer(random, seen, width(random, 8, most), _made(random, most), _map(random, seen.extent[0] + 1))


def _stem(random: Random) -> LayerSpec | None:
    """The first convolution of a network: few channels in, a large map, patches now and then."""
    kernel, stride = pick(random, {(3, 1): 0.3, (3, 2): 0.3, (5, 1): 0.05, (5, 2): 0.05, (7, 2): 0.15, (4, 4): 0.05,
                                   (8, 8): 0.03, (16, 16): 0.02, (11, 4): 0.05})  # fmt: skip
    seen = _square(kernel, stride, kernel // 2 if stride < 4 and random.random() < 0.85 else 0)
    channels = pick(random, {1: 0.2, 2: 0.03, 3: 0.6, 4: 0.07, 6: 0.05, 9: 0.05})
    return _planar_layer(random, seen, channels, width(random, 4, 192), _map(random, max(24, 2 * kernel)))


def _long(random: Random) -> LayerSpec | None:
    """A window that is longer on one of two axes, and sees far now and then."""
    long, short = pick(random, {3: 0.5, 5: 0.2, 7: 0.3}), pick(random, {1: 0.7, 3: 0.3})
    kernel, far = ((long, short), 0) if random.random() < 0.5 else ((short, long), 1)
    stretch = 1 if random.random() < 0.75 else round(log_uniform(random, 2, 96 / (long - 1)))
    dilation = (stretch, 1) if far == 0 else (1, stretch)
    pads = tuple(((k - 1) * d // 2,) * 2 for k, d in zip(kernel, dilation, strict=True))
    seen = Window(kernel, (1, 1), dilation, pads if random.random() < 0.85 else ((0, 0), (0, 0)))
    return _planar_layer(random, seen, width(random, 4, 512), width(random, 4, 512), _map(random, max(seen.extent)))


def _one_axis(random: Random) -> LayerSpec | None:
    seen = window(random, _LINES, {1: 0.75, 2: 0.2, 4: 0.05})
    channels = int(random.choice((1, 2, 6, 9))) if random.random() < 0.1 else width(random, 8, 768)
    given = (round(log_uniform(random, max(seen.extent[0], 8), 4096)),)
    return _planar_layer(random, seen, channels, width(random, 8, 768), given)


def _grouped(random: Random) -> LayerSpec | None:
    kernel, stride = pick(random, {(1, 1): 0.4, (3, 1): 0.4, (3, 2): 0.2})
    groups = int(random.choice((2, 3, 4, 8, 16, 32)))
    channels = groups * width(random, 4, 64)
    made = channels if random.random() < 0.6 else groups * width(random, 4, 64)
    return _planar_layer(random, _square(kernel, stride, kernel // 2), channels, made, _map(random, 4), groups)


_PARTS: Mapping[Draw, float] = MappingProxyType(
    {_pointwise: 0.38, _spatial: 0.36, _stem: 0.07, _long: 0.05, _one_axis: 0.05, _grouped: 0.09}
)


def _square(kernel: int, stride: int, pad: int, dilation: int = 1) -> Window:
    return Window((kernel,) * 2, (stride,) * 2, (dilation,) * 2, ((pad, pad),) * 2)


def _made(random: Random, most: int) -> int:
    """Output channels: few at the end of a network now and then."""
    return width(random, 1, 16) if random.random() < 0.08 else width(random, 8, most)


def _planar_layer(
    random: Random, seen: Window, channels: int, made: int, given: Shape, groups: int = 1
) -> LayerSpec | None:
    out = windowed_output(given, seen)
    if out is None:
        return None
    batch, fused = _batch(random), pick(random, _ACTIVATIONS)
    return LayerSpec("conv", ((batch, channels, *given),), ((batch, made, *out),), seen, groups, fused=fused)


def _depthwise(random: Random) -> LayerSpec | None:
    flat = random.random() < 0.04
    kernels: Mapping[Shape, float] = {(3, 3): 0.66, (5, 5): 0.22, (7, 7): 0.08, (1, 5): 0.02, (5, 1): 0.02}
    seen = window(random, _LINES if flat else kernels, {1: 0.68, 2: 0.32})
    multiplier = 1 if random.random() < 0.96 else int(random.choice((2, 4)))
    channels = width(random, 8) if multiplier == 1 else width(random, 1, 64)  # at the front of a network
    given = _map_for(random, seen)
    out = windowed_output(given, seen)
    if out is None:
        return None
    batch, fused = _batch(random), pick(random, _ACTIVATIONS)
    shape = (batch, channels * multiplier, *out)
    return LayerSpec("depthwise_conv", ((batch, channels, *given),), (shape,), seen, channels, fused=fused)


def _transposed(random: Random) -> LayerSpec | None:
    kernel = pick(random, {(2, 2): 0.35, (3, 3): 0.25, (4, 4): 0.35, (5, 5): 0.05})
    stride = pick(random, {1: 0.1, 2: 0.84, 4: 0.06})
    pad = max((kernel[0] - stride) // 2, 0)
    seen = Window(kernel, (stride, stride), (1, 1), ((pad, pad), (pad, pad)))
    given = _map_for(random, seen)
    out = tuple((i - 1) * stride + kernel[0] - 2 * pad for i in given)
    channels, made = width(random, 1, 512), width(random, 1, 512)
    if min(out) < 1:
        return None
    return LayerSpec("transposed_conv", ((1, channels, *given),), ((1, made, *out),), seen)


def _map(random: Random, low: int) -> Shape:
    """The sides of a map, at least `low`: square mostly."""
    height = side(random, low)
    return (height, height if random.random() < 0.9 else side(random, max(low, height // 3), min(3 * height, 224)))


def _map_for(random: Random, seen: Window) -> Shape:
    """The sides of a map that holds at least one window."""
    if len(seen.kernel) == 1:
        return (round(log_uniform(random, max(seen.extent[0], 8), 4096)),)
    return _map(random, max(seen.extent))


def _fully_connected(random: Random) -> LayerSpec:
    rows = 1 if random.random() < 0.6 else round(log_uniform(random, 2, 256))
    seen = width(random, 4, 4096) if random.random() < 0.93 else width(random, 2048, 32768)
    return LayerSpec("fully_connected", ((rows, seen),), ((rows, width(random, 1, 4096)),))


def _matmul(random: Random) -> LayerSpec:
    batch = 1 if random.random() < 0.4 else int(random.choice((2, 4, 6, 8, 12, 16)))
    rows, inner, columns = (width(random, 2, 512) for _ in range(3))
    rows = 1 if random.random() < 0.1 else rows
    return LayerSpec("matmul", ((batch, rows, inner), (batch, inner, columns)), ((batch, rows, columns),))


def _pool(kind: str) -> Draw:
    def draw_pool(random: Random) -> LayerSpec | None:
        kernels: Mapping[Shape, float] = {(2, 2): 0.4, (3, 3): 0.45, (5, 5): 0.05, (7, 7): 0.05, (4, 4): 0.05}
        seen = window(random, kernels, {1: 0.25, 2: 0.65, 3: 0.1})
        seen = Window(seen.kernel, seen.stride, (1, 1), tuple((p // 2, p // 2) for p in seen.kernel))
        if random.random() < 0.5:
            seen = Window(seen.kernel, seen.stride, (1, 1), ((0, 0), (0, 0)))
        given, channels = _map_for(random, seen), width(random, 8)
        out = windowed_output(given, seen)
        return None if out is None else LayerSpec(kind, ((1, channels, *given),), ((1, channels, *out),), seen)

    return draw_pool


def _global_pool(random: Random) -> LayerSpec:
    height, channels = side(random), width(random, 8)
    given = (height, height)
    variant = pick(random, {"average": 0.8, "max": 0.2})
    return LayerSpec("global_pool", ((1, channels, *given),), ((1, channels, 1, 1),), variant=variant)


def _recurrent(kind: str) -> Draw:
    def draw_recurrent(random: Random) -> LayerSpec:
        variant = pick(random, {"forward": 0.55, "bidirectional": 0.4, "reverse": 0.05})
        steps, batch = round(log_uniform(random, 1, 128)), pick(random, {1: 0.8, 2: 0.05, 4: 0.1, 8: 0.05})
        features, hidden = width(random, 4, 512), width(random, 4, 512)
        made = (steps, 2 if variant == "bidirectional" else 1, batch, hidden)
        return LayerSpec(kind, ((steps, batch, features),), (made,), variant=variant)

    return draw_recurrent


def _eight_bit(float_draw: Draw) -> Draw:
    """The same layer on 8-bit integers, with nothing folded in but what a quantized op does by itself."""

    def draw_eight_bit(random: Random) -> LayerSpec | None:
        layer = float_draw(random)
        return None if layer is None else replace(layer, dtype="int8", variant="qlinear", fused=())

    return draw_eight_bit


def _eight_bit_pool(float_draw: Draw) -> Draw:
    def draw_eight_bit_pool(random: Random) -> LayerSpec | None:
        layer = float_draw(random)
        return None if layer is None else replace(layer, dtype="uint8")

    return draw_eight_bit_pool


def _average_pool_over_all(random: Random) -> LayerSpec:
    return replace(_global_pool(random), variant="average")


def _planar(random: Random) -> LayerSpec | None:
    """Quantized convolutions of two spatial axes alone."""
    layer = _convolution(random)
    return layer if layer is not None and len(layer.input) == 4 else None


DRAWS: Mapping[str, Draw] = MappingProxyType(
    {
        "conv": _convolution,
        "depthwise_conv": _depthwise,
        "transposed_conv": _transposed,
        "fully_connected": _fully_connected,
        "matmul": _matmul,
        "max_pool": _pool("max_pool"),
        "average_pool": _pool("average_pool"),
        "global_pool": _global_pool,
        "gru": _recurrent("gru"),
        "lstm": _recurrent("lstm"),
        "rnn": _recurrent("rnn"),
        "conv_int8": _eight_bit(_planar),
        "depthwise_conv_int8": _eight_bit(_depthwise),
        "fully_connected_int8": _eight_bit(_fully_connected),
        "max_pool_int8": _eight_bit_pool(_pool("max_pool")),
        "average_pool_int8": _eight_bit_pool(_pool("average_pool")),
        "global_pool_int8": _eight_bit_pool(_average_pool_over_all),
    }
)
