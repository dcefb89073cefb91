"""How a float layer of each kind is written as ONNX ops."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Window
from edgewright.runtimes.onnxruntime.branch import Branch

Writer = Callable[[Branch, LayerSpec], str]

_CONTRIB = "com.microsoft"
_GATES = MappingProxyType({"rnn": 1, "gru": 3, "lstm": 4})
_REDUCTIONS = ("max", "mean", "min", "prod", "sum", "l1", "l2", "log_sum", "log_sum_exp", "sum_square")


def activate(branch: Branch, name: str, value: str) -> str:
    """Adds the float activation of that name."""
    if name == "clip":
        return branch.node("Clip", [value, branch.scalar("float32", 0), branch.scalar("float32", 6)])
    if name in ("fast_gelu", "quick_gelu"):
        return branch.node(_camel(name), [value], domain=_CONTRIB)
    return branch.node(_camel(name), [value])


def pooled_beyond(layer: LayerSpec) -> bool:
    """Whether a pool's output is longer than whole windows give, so that its last windows reach over the end."""
    assert layer.window is not None
    window = layer.window
    axes = zip(layer.input[2:], window.extent, window.stride, window.padding, layer.output[2:], strict=True)
    return any((i + sum(p) - e) // s + 1 < o for i, e, s, p, o in axes)


def window_attributes(window: Window) -> dict[str, Any]:
    before, after = zip(*window.padding, strict=True)
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "dilations": window.dilation,
        "pads": (*before, *after),
    }


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _convolution(branch: Branch, layer: LayerSpec) -> str:
    assert layer.window is not None
    channels, made = layer.input[1], layer.output[1]
    weights = branch.constant((made, channels // layer.groups, *layer.window.kernel))
    inputs = [branch.activation(layer.input), weights, branch.constant((made,))]
    return branch.node("Conv", inputs, group=layer.groups, **window_attributes(layer.window))


def _transposed_convolution(branch: Branch, layer: LayerSpec) -> str:
    assert layer.window is not None
    window, channels, made = layer.window, layer.input[1], layer.output[1]
    covered = [
        (i - 1) * s + e - sum(p)
        for i, s, e, p in zip(layer.input[2:], window.stride, window.extent, window.padding, strict=True)
    ]
    extra = [o - c for o, c in zip(layer.output[2:], covered, strict=True)]
    weights = branch.constant((channels, made // layer.groups, *window.kernel))
    inputs = [branch.activation(layer.input), weights, branch.constant((made,))]
    attributes = window_attributes(window) | {"output_padding": extra, "group": layer.groups}
    return branch.node("ConvTranspose", inputs, **attributes)


def _fully_connected(branch: Branch, layer: LayerSpec) -> str:
    seen, made = layer.input[-1], layer.output[-1]
    inputs = [branch.activation(layer.input), branch.constant((seen, made)), branch.constant((made,))]
    return branch.node("Gemm", inputs)


def _matmul(branch: Branch, layer: LayerSpec) -> str:
    return branch.node("MatMul", [branch.activation(shape) for shape in layer.inputs])


def _pool(op: str) -> Writer:
    def write_pool(branch: Branch, layer: LayerSpec) -> str:
        assert layer.window is not None
        attributes = window_attributes(layer.window) | {"ceil_mode": int(pooled_beyond(layer))}
        if op == "AveragePool":
            attributes["count_include_pad"] = int(layer.variant == "count_include_pad")
            if max(layer.window.dilation) == 1:
                del attributes["dilations"]
        return branch.node(op, [branch.activation(layer.input, layer.dtype)], **attributes)

    return write_pool


def _global_pool(branch: Branch, layer: LayerSpec) -> str:
    op = "GlobalMaxPool" if layer.variant == "max" else "GlobalAveragePool"
    return branch.node(op, [branch.activation(layer.input)])


_POSITIVE = frozenset({"sqrt", "log", "pow", "reciprocal"})


def _unary(branch: Branch, layer: LayerSpec) -> str:
    """Where the sign decides, both signs are met, as in networks: a branch that is always taken alike costs less."""
    signed = layer.variant not in _POSITIVE
    return activate(branch, layer.variant, branch.activation(layer.input, signed=signed))


def _binary(branch: Branch, layer: LayerSpec) -> str:
    if layer.variant == "where":
        condition, *values = (branch.activation(shape) for shape in layer.inputs)
        mask = branch.node("Greater", [condition, branch.scalar("float32", 0.5)])
        return branch.node("Where", [mask, *values])
    if layer.variant == "prelu":
        return branch.node("PRelu", [branch.activation(layer.input, signed=True), branch.constant(layer.inputs[1])])
    return branch.node(_camel(layer.variant), [branch.activation(shape) for shape in layer.inputs])


def _normalization(branch: Branch, layer: LayerSpec) -> str:
    name, _, place = layer.variant.partition("-")
    data = branch.activation(layer.input)
    channels = layer.input[1] if len(layer.input) > 1 else 1
    if name == "batch_normalization":
        return branch.node("BatchNormalization", [data, *(branch.constant((channels,)) for _ in range(4))])
    if name == "lrn":
        maps = branch.node("Reshape", [data, branch.integers(*layer.input, 1)])
        return branch.node("LRN", [maps], size=5)
    if name == "layer_normalization" and place == "inner":
        return branch.node("LayerNormalization", [data, branch.constant(layer.input[1:])], axis=1)
    if name == "instance_normalization":
        rows, inner = layer.input
        maps = branch.node("Reshape", [data, branch.integers(1, rows, inner)])
        return branch.node("InstanceNormalization", [maps, branch.constant((rows,)), branch.constant((rows,))])
    raise RuntimeRefusedError(f"a layer of kind normalization ({layer.variant}) can't be measured alone")


def _reduced_axes(layer: LayerSpec) -> tuple[str, list[int]]:
    """The op's name and the axes that its variant and its shapes tell."""
    name, _, place = layer.variant.rpartition("-")
    if place == "inner":
        return name, [len(layer.input) - 1]
    if place == "outer":
        return name, [0]
    axes = [axis for axis, (a, b) in enumerate(zip(layer.input, layer.output, strict=True)) if a != b]
    return name, axes


def _softmax(branch: Branch, layer: LayerSpec) -> str:
    name, axes = _reduced_axes(layer)
    if len(axes) != 1:
        raise RuntimeRefusedError(f"a layer of kind softmax ({layer.variant}) can't be measured alone")
    op = {"log_softmax": "LogSoftmax", "hardmax": "Hardmax"}.get(name, "Softmax")
    return branch.node(op, [branch.activation(layer.input)], axis=axes[0])


def _reduction(branch: Branch, layer: LayerSpec) -> str:
    name, axes = _reduced_axes(layer)
    data = branch.activation(layer.input)
    if name in ("arg_max", "arg_min"):
        return branch.node(_camel(name), [data], axis=axes[0], keepdims=1)
    if name not in _REDUCTIONS or not axes:
        raise RuntimeRefusedError(f"a layer of kind reduction ({layer.variant}) can't be measured alone")
    return branch.node(f"Reduce{_camel(name)}", [data, branch.integers(*axes)], keepdims=1)


def _resize(branch: Branch, layer: LayerSpec) -> str:
    sizes = branch.integers(*layer.output)
    how: dict[str, Any] = {"mode": layer.variant or "nearest"}
    if layer.variant == "nearest":
        how |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return branch.node("Resize", [branch.activation(layer.input), "", "", sizes], **how)


def _reorder(branch: Branch, layer: LayerSpec) -> str:
    data = branch.activation(layer.input)
    if layer.variant in ("depth_to_space", "space_to_depth"):
        small, large = sorted((layer.input[-1], layer.output[-1]))
        return branch.node(_camel(layer.variant), [data], blocksize=large // max(small, 1))
    # Layouts are the runtime's own doing: a convolution of one tap makes it reorder before and behind.
    channels = layer.input[1]
    ones = (1,) * (len(layer.input) - 2)
    with branch.sources():
        return branch.node("Conv", [data, branch.constant((channels, 1, *ones))], group=channels)


def _concat(branch: Branch, layer: LayerSpec) -> str:
    return branch.node("Concat", [branch.activation(shape, layer.dtype) for shape in layer.inputs], axis=1)


def _split(branch: Branch, layer: LayerSpec) -> str:
    sizes = [shape[1] for shape in layer.outputs]
    return branch.split(branch.activation(layer.input, layer.dtype), sizes)


def _slice(branch: Branch, layer: LayerSpec) -> str:
    """Cut from the middle, as a tile is; strided where the layer is."""
    starts, ends, steps = [], [], []
    for given, made in zip(layer.input, layer.output, strict=True):
        step = max(given // max(made, 1), 1) if layer.variant == "strided" else 1
        start = (given - ((made - 1) * step + 1)) // 2
        starts.append(start)
        ends.append(start + (made - 1) * step + 1)
        steps.append(step)
    axes = range(len(starts))
    inputs = [branch.integers(*values) for values in (starts, ends, axes, steps)]
    return branch.node("Slice", [branch.activation(layer.input, layer.dtype), *inputs])


def _pad(branch: Branch, layer: LayerSpec) -> str:
    more = [made - given for given, made in zip(layer.input, layer.output, strict=True)]
    pads = branch.integers(*(m // 2 for m in more), *(m - m // 2 for m in more))
    return branch.node("Pad", [branch.activation(layer.input, layer.dtype), pads], mode=layer.variant or "constant")


def _transpose(branch: Branch, layer: LayerSpec) -> str:
    perm = [int(axis) for axis in layer.variant.split("-")]
    return branch.node("Transpose", [branch.activation(layer.input, layer.dtype)], perm=perm)


def _gather(branch: Branch, layer: LayerSpec) -> str:
    if layer.variant != "gather":
        raise RuntimeRefusedError(f"a layer of kind gather ({layer.variant}) can't be measured alone")
    length, count = layer.input[1], layer.output[1]
    picked = branch.integers(*((7 * i) % length for i in range(count)))
    return branch.node("Gather", [branch.activation(layer.input), picked], axis=1)


def _expand(branch: Branch, layer: LayerSpec) -> str:
    if layer.variant == "tile":
        repeats = (made // given for given, made in zip(layer.input, layer.output, strict=True))
        return branch.node("Tile", [branch.activation(layer.input), branch.integers(*repeats)])
    return branch.node("Expand", [branch.activation(layer.input), branch.integers(*layer.output)])


def _cast(branch: Branch, layer: LayerSpec) -> str:
    return branch.cast(branch.activation(layer.input), layer.variant.partition("-")[2])


def _recurrent(branch: Branch, layer: LayerSpec) -> str:
    _, directions, _, hidden = layer.output
    gates, features = _GATES[layer.kind], layer.input[-1]
    inputs = [
        branch.activation(layer.input),
        branch.constant((directions, gates * hidden, features)),
        branch.constant((directions, gates * hidden, hidden)),
        branch.constant((directions, 2 * gates * hidden)),
    ]
    direction = layer.variant or "forward"
    return branch.node(layer.kind.upper(), inputs, hidden_size=hidden, direction=direction)


FLOAT: Mapping[str, Writer] = MappingProxyType(
    {
        "conv": _convolution,
        "depthwise_conv": _convolution,
        "transposed_conv": _transposed_convolution,
        "fully_connected": _fully_connected,
        "matmul": _matmul,
        "max_pool": _pool("MaxPool"),
        "average_pool": _pool("AveragePool"),
        "global_pool": _global_pool,
        "unary": _unary,
        "binary": _binary,
        "normalization": _normalization,
        "softmax": _softmax,
        "reduction": _reduction,
        "resize": _resize,
        "reorder": _reorder,
        "concat": _concat,
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "transpose": _transpose,
        "gather": _gather,
        "expand": _expand,
        "cast": _cast,
        "gru": _recurrent,
        "lstm": _recurrent,
        "rnn": _recurrent,
    }
)
MOVES: Mapping[str, Writer] = MappingProxyType(
    {"max_pool": _pool("MaxPool"), "split": _split, "slice": _slice, "pad": _pad, "transpose": _transpose}
)
"""What treats narrow integers as it treats floats."""
