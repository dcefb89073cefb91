"""How a layer of each kind is written as ONNX ops; the part of `build` that knows operators."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec, Window

if TYPE_CHECKING:
    from edgewright.runtimes.onnxruntime.build import Branch

_CONTRIB = "com.microsoft"
_GATES = MappingProxyType({"rnn": 1, "gru": 3, "lstm": 4})
_NAMES = MappingProxyType(
    {"gelu": "Gelu", "prelu": "PRelu", "celu": "Celu", "elu": "Elu", "selu": "Selu", "isnan": "IsNaN", "isinf": "IsInf"}
)
_QUICK = MappingProxyType({"fast_gelu": "FastGelu", "quick_gelu": "QuickGelu"})


def write(branch: "Branch", layer: LayerSpec) -> str:
    """Adds the op of a layer to its branch; the name of its output. Raises RuntimeRefusedError for an unknown kind."""
    writers = _QUANTIZED if layer.dtype in ("int8", "uint8") else _FLOAT
    if layer.kind not in writers:
        raise RuntimeRefusedError(f"a layer of kind {layer.kind} ({layer.dtype}) can't be measured alone")
    return writers[layer.kind](branch, layer)


def activate(branch: "Branch", name: str, value: str, dtype: str = "float32") -> str:
    """Adds the activation of that name."""
    if name == "clip":
        return branch.node("Clip", [value, branch.scalar(dtype, 0), branch.scalar(dtype, 6)])
    if name in _QUICK:
        return branch.node(_QUICK[name], [value], domain=_CONTRIB)
    if name == "pow":
        return branch.node("Pow", [value, branch.scalar(dtype, 2)])
    return branch.node(_NAMES.get(name) or "".join(part.capitalize() for part in name.split("_")), [value])


def _window(window: Window, kernel: bool = True) -> dict[str, Any]:
    before, after = zip(*window.padding, strict=True)
    attributes = {"strides": window.stride, "dilations": window.dilation, "pads": (*before, *after)}
    return attributes | ({"kernel_shape": window.kernel} if kernel else {})


def _convolution(branch: "Branch", layer: LayerSpec) -> str:
    assert layer.window is not None
    channels, made = layer.input[1], layer.output[1]
    weights = branch.constant((made, channels // layer.groups, *layer.window.kernel))
    inputs = [branch.activation(layer.input), weights, branch.constant((made,))]
    return branch.node("Conv", inputs, group=layer.groups, **_window(layer.window))


def _transposed_convolution(branch: "Branch", layer: LayerSpec) -> str:
    assert layer.window is not None
    window, channels, made = layer.window, layer.input[1], layer.output[1]
    covered = [
        (i - 1) * s + e - sum(p)
        for i, s, e, p in zip(layer.input[2:], window.stride, window.extent, window.padding, strict=True)
    ]
    extra = [o - c for o, c in zip(layer.output[2:], covered, strict=True)]
    weights = branch.constant((channels, made // layer.groups, *window.kernel))
    inputs = [branch.activation(layer.input), weights, branch.constant((made,))]
    return branch.node("ConvTranspose", inputs, group=layer.groups, output_padding=extra, **_window(window))


def _fully_connected(branch: "Branch", layer: LayerSpec) -> str:
    seen, made = layer.input[-1], layer.output[-1]
    inputs = [branch.activation(layer.input), branch.constant((seen, made)), branch.constant((made,))]
    return branch.node("Gemm", inputs)


def _matmul(branch: "Branch", layer: LayerSpec) -> str:
    return branch.node("MatMul", [branch.activation(shape) for shape in layer.inputs])


def _pool(op: str) -> "Writer":
    def write_pool(branch: "Branch", layer: LayerSpec) -> str:
        assert layer.window is not None
        window, given, made = layer.window, layer.input[2:], layer.output[2:]
        axes = zip(given, window.extent, window.stride, window.padding, made, strict=True)
        ceil = any((i + sum(p) - e) // s + 1 < o for i, e, s, p, o in axes)
        dtype = layer.dtype
        attributes: dict[str, Any] = {"ceil_mode": int(ceil), **_window(window)}
        if op == "AveragePool" and layer.variant == "count_include_pad":
            attributes["count_include_pad"] = 1
        return branch.node(op, [branch.activation(layer.input, dtype)], **attributes)

    return write_pool


def _global_pool(branch: "Branch", layer: LayerSpec) -> str:
    op = "GlobalMaxPool" if layer.variant == "max" else "GlobalAveragePool"
    return branch.node(op, [branch.activation(layer.input)])


def _unary(branch: "Branch", layer: LayerSpec) -> str:
    return activate(branch, layer.variant, branch.activation(layer.input, layer.dtype), layer.dtype)


def _recurrent(branch: "Branch", layer: LayerSpec) -> str:
    _, directions, _, hidden = layer.output
    gates, features = _GATES[layer.kind], layer.input[-1]
    inputs = [
        branch.activation(layer.input),
        branch.constant((directions, gates * hidden, features)),
        branch.constant((directions, gates * hidden, hidden)),
        branch.constant((directions, 2 * gates * hidden)),
    ]
    direction = layer.variant if layer.variant in ("reverse", "bidirectional") else "forward"
    return branch.node(layer.kind.upper(), inputs, hidden_size=hidden, direction=direction)


Writer = Callable[["Branch", LayerSpec], str]
_FLOAT: Mapping[str, Writer] = MappingProxyType(
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
        "gru": _recurrent,
        "lstm": _recurrent,
        "rnn": _recurrent,
    }
)
_QUANTIZED: Mapping[str, Writer] = MappingProxyType({})
