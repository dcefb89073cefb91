"""How an 8-bit layer of each kind is written as ONNX ops: the QLinear operators that quantized networks end as."""

from collections.abc import Mapping
from types import MappingProxyType

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec
from edgewright.runtimes.onnxruntime.branch import Branch
from edgewright.runtimes.onnxruntime.operators import MOVES, Writer, pooled_beyond, window_attributes

_CONTRIB = "com.microsoft"


def _scale(branch: Branch, dtype: str = "uint8") -> list[str]:
    """A scale and a zero point."""
    return [branch.scalar("float32", 0.02), branch.scalar(dtype, 0)]


def _convolution(branch: Branch, layer: LayerSpec) -> str:
    assert layer.window is not None
    channels, made = layer.input[1], layer.output[1]
    weights = branch.constant((made, channels // layer.groups, *layer.window.kernel), "int8", 3)
    data = [branch.activation(layer.input, "uint8"), *_scale(branch)]
    inputs = [*data, weights, *_scale(branch, "int8"), *_scale(branch), branch.constant((made,), "int32", 5)]
    return branch.node("QLinearConv", inputs, group=layer.groups, **window_attributes(layer.window))


def _fully_connected(branch: Branch, layer: LayerSpec) -> str:
    seen, made = layer.input[-1], layer.output[-1]
    data = [branch.activation(layer.input, "uint8"), *_scale(branch)]
    weights = [branch.constant((seen, made), "int8", 3), *_scale(branch, "int8")]
    if layer.variant != "qlinear":
        raise RuntimeRefusedError(f"a layer of kind fully_connected ({layer.variant}) can't be measured alone")
    inputs = [*data, *weights, branch.constant((made,), "int32", 5), *_scale(branch)]
    return branch.node("QGemm", inputs, domain=_CONTRIB)


def _matmul(branch: Branch, layer: LayerSpec) -> str:
    left, right = ([branch.activation(shape, "uint8"), *_scale(branch)] for shape in layer.inputs)
    return branch.node("QLinearMatMul", [*left, *right, *_scale(branch)])


def _binary(branch: Branch, layer: LayerSpec) -> str:
    if layer.variant not in ("add", "mul"):
        raise RuntimeRefusedError(f"an 8-bit layer of kind binary ({layer.variant}) can't be measured alone")
    sides = [[branch.activation(shape, layer.dtype), *_scale(branch, layer.dtype)] for shape in layer.inputs]
    op = "QLinearAdd" if layer.variant == "add" else "QLinearMul"
    return branch.node(op, [*sides[0], *sides[1], *_scale(branch, layer.dtype)], domain=_CONTRIB)


def _unary(branch: Branch, layer: LayerSpec) -> str:
    op = {"sigmoid": "QLinearSigmoid", "leaky_relu": "QLinearLeakyRelu"}.get(layer.variant)
    if op is None:
        raise RuntimeRefusedError(f"an 8-bit layer of kind unary ({layer.variant}) can't be measured alone")
    return branch.node(op, _requantized(branch, layer), domain=_CONTRIB)


def _average_pool(branch: Branch, layer: LayerSpec) -> str:
    assert layer.window is not None
    attributes = window_attributes(layer.window)
    del attributes["dilations"]
    attributes |= {"ceil_mode": int(pooled_beyond(layer)), "count_include_pad": int(bool(layer.variant))}
    return branch.node("QLinearAveragePool", _requantized(branch, layer), domain=_CONTRIB, **attributes)


def _global_pool(branch: Branch, layer: LayerSpec) -> str:
    return branch.node("QLinearGlobalAveragePool", _requantized(branch, layer), domain=_CONTRIB)


def _requantized(branch: Branch, layer: LayerSpec) -> list[str]:
    """The operands of an op of one input that has scales on both sides."""
    return [branch.activation(layer.input, layer.dtype), *_scale(branch, layer.dtype), *_scale(branch, layer.dtype)]


def _concat(branch: Branch, layer: LayerSpec) -> str:
    parts = [[branch.activation(shape, layer.dtype), *_scale(branch, layer.dtype)] for shape in layer.inputs]
    inputs = [*_scale(branch, layer.dtype), *(name for part in parts for name in part)]
    return branch.node("QLinearConcat", inputs, domain=_CONTRIB, axis=1)


def _quantize(branch: Branch, layer: LayerSpec) -> str:
    data = branch.node("Abs", [branch.activation(layer.input)])
    return branch.node("QuantizeLinear", [data, *_scale(branch, layer.dtype)])


def _dequantize(branch: Branch, layer: LayerSpec) -> str:
    data = branch.activation(layer.input, layer.dtype)
    return branch.node("Abs", [branch.node("DequantizeLinear", [data, *_scale(branch, layer.dtype)])])


QUANTIZED: Mapping[str, Writer] = MappingProxyType(
    {
        **MOVES,
        "conv": _convolution,
        "depthwise_conv": _convolution,
        "fully_connected": _fully_connected,
        "matmul": _matmul,
        "binary": _binary,
        "unary": _unary,
        "average_pool": _average_pool,
        "global_pool": _global_pool,
        "concat": _concat,
        "quantize": _quantize,
        "dequantize": _dequantize,
    }
)
