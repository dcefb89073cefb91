"""How a layer of each kind is written as TFLite operators, of floats or of 8-bit integers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from edgewright.errors import RuntimeRefusedError
from edgewright.formats.tflite.schema import schema
from edgewright.formats.tflite.windows import VALID, mode_of
from edgewright.graph.types import LayerSpec, Shape, Window
from edgewright.runtimes.litert.subgraph import ACTIVATION, Scale, Subgraph, operator_of, options

Writer = Callable[[Subgraph, LayerSpec], list[int]]
"""Adds the operators of a layer to a subgraph, and returns the numbers of the tensors that it makes."""

_FUSED = MappingProxyType(
    {(): schema.ActivationFunctionType.NONE, ("relu",): schema.ActivationFunctionType.RELU,
     ("clip",): schema.ActivationFunctionType.RELU6}
)  # fmt: skip
_UNARY = MappingProxyType(
    {"relu": "RELU", "clip": "RELU6", "leaky_relu": "LEAKY_RELU", "sigmoid": "LOGISTIC", "tanh": "TANH",
     "hard_swish": "HARD_SWISH", "elu": "ELU", "gelu": "GELU", "abs": "ABS", "neg": "NEG", "exp": "EXP", "log": "LOG",
     "sqrt": "SQRT", "rsqrt": "RSQRT", "square": "SQUARE", "floor": "FLOOR", "ceil": "CEIL", "round": "ROUND",
     "sin": "SIN", "cos": "COS"}
)  # fmt: skip
_BINARY = MappingProxyType(
    {"add": "ADD", "sub": "SUB", "mul": "MUL", "div": "DIV", "pow": "POW", "min": "MINIMUM", "max": "MAXIMUM",
     "squared_difference": "SQUARED_DIFFERENCE"}
)  # fmt: skip
_WITH_OPTIONS = frozenset({"add", "sub", "mul", "div"})
_REDUCTIONS = MappingProxyType({"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN"})
_INTEGER_SCALES = MappingProxyType({"sigmoid": Scale(1 / 256, -128), "tanh": Scale(1 / 128)})
"""The scales that the format lays down for outputs."""


def refused(layer: LayerSpec) -> RuntimeRefusedError:
    variant = f" ({layer.variant})" if layer.variant else ""
    return RuntimeRefusedError(f"a {layer.dtype} layer of kind {layer.kind}{variant} can't be measured alone")


def _last(shape: Shape) -> Shape:
    """The shape with its channels last."""
    return (shape[0], *shape[2:], shape[1])


def _activation(layer: LayerSpec) -> int:
    """The activation that an operator applies itself."""
    if layer.fused not in _FUSED:
        raise refused(layer)
    return int(_FUSED[layer.fused])


def _windowed_input(graph: Subgraph, layer: LayerSpec) -> tuple[int, int]:
    """The input of a windowed layer and its padding mode; a PAD stands before where no mode pads so."""
    window, shape = _plane(layer), _last(layer.input)
    given = graph.input(shape, layer.dtype)
    mode = mode_of(window.padding, window, layer.input[2:])
    if mode is not None:
        return given, mode
    pads = np.array([(0, 0), *window.padding, (0, 0)], np.int32)
    padded = tuple(size + int(pad.sum()) for size, pad in zip(shape, pads, strict=True))
    return graph.operator(operator_of("PAD"), [given, graph.constant(pads)], padded, layer.dtype), VALID


def _plane(layer: LayerSpec) -> Window:
    """The window of a layer of two spatial axes."""
    if layer.window is None or len(layer.input) != 4:
        raise refused(layer)
    return layer.window


def _convolution(graph: Subgraph, layer: LayerSpec) -> list[int]:
    window, made = _plane(layer), layer.output[1]
    given, mode = _windowed_input(graph, layer)
    how = {"padding": mode, "strideH": window.stride[0], "strideW": window.stride[1],
           "dilationHFactor": window.dilation[0], "dilationWFactor": window.dilation[1],
           "fusedActivationFunction": _activation(layer)}  # fmt: skip
    if layer.kind == "depthwise_conv":
        weights = graph.weights((1, *window.kernel, made), layer.dtype, axis=3)
        found = options("DepthwiseConv2D", **how, depthMultiplier=made // layer.input[1])
        operator = operator_of("DEPTHWISE_CONV_2D")
    else:
        weights = graph.weights((made, *window.kernel, layer.input[1] // layer.groups), layer.dtype)
        found, operator = options("Conv2D", **how), operator_of("CONV_2D")
    inputs = [given, weights, graph.bias(made, layer.dtype)]
    return [graph.operator(operator, inputs, _last(layer.output), layer.dtype, found)]


def _transposed_convolution(graph: Subgraph, layer: LayerSpec) -> list[int]:
    window, made = _plane(layer), layer.output[1]
    if layer.groups != 1 or max(window.dilation) > 1:
        raise refused(layer)
    mode = 0 if max(max(pair) for pair in window.padding) else VALID
    found = options(
        "TransposeConv", padding=mode, strideH=window.stride[0], strideW=window.stride[1],
        fusedActivationFunction=_activation(layer),
    )  # fmt: skip
    weights = graph.weights((made, *window.kernel, layer.input[1]), layer.dtype)
    sizes = graph.integers(*_last(layer.output))
    inputs = [sizes, weights, graph.input(_last(layer.input), layer.dtype), graph.bias(made, layer.dtype)]
    return [graph.operator(operator_of("TRANSPOSE_CONV"), inputs, _last(layer.output), layer.dtype, found)]


def _fully_connected(graph: Subgraph, layer: LayerSpec) -> list[int]:
    if layer.variant == "dynamic":
        raise refused(layer)
    seen, made = layer.input[-1], layer.output[-1]
    inputs = [graph.input(layer.input, layer.dtype), graph.weights((made, seen), layer.dtype),
              graph.bias(made, layer.dtype)]  # fmt: skip
    found = options("FullyConnected", fusedActivationFunction=_activation(layer), keepNumDims=False)
    return [graph.operator(operator_of("FULLY_CONNECTED"), inputs, layer.output, layer.dtype, found)]


def _matmul(graph: Subgraph, layer: LayerSpec) -> list[int]:
    inputs = [graph.input(shape, layer.dtype) for shape in layer.inputs]
    found = options("BatchMatMul", adjX=False, adjY=False)
    return [graph.operator(operator_of("BATCH_MATMUL"), inputs, layer.output, layer.dtype, found)]


def _pool(graph: Subgraph, layer: LayerSpec) -> list[int]:
    window = _plane(layer)
    mode = mode_of(window.padding, window, layer.input[2:])
    if mode is None or max(window.dilation) > 1:
        raise refused(layer)
    found = options(
        "Pool2D", padding=mode, strideH=window.stride[0], strideW=window.stride[1], filterHeight=window.kernel[0],
        filterWidth=window.kernel[1], fusedActivationFunction=_activation(layer),
    )  # fmt: skip
    operator = operator_of("MAX_POOL_2D" if layer.kind == "max_pool" else "AVERAGE_POOL_2D")
    given = graph.input(_last(layer.input), layer.dtype)
    return [graph.operator(operator, [given], _last(layer.output), layer.dtype, found)]


def _unary(graph: Subgraph, layer: LayerSpec) -> list[int]:
    if layer.variant not in _UNARY:
        raise refused(layer)
    found = None
    if layer.variant == "leaky_relu":
        found = options("LeakyRelu", alpha=0.1)
    elif layer.variant == "gelu":
        found = options("Gelu", approximate=False)
    given = graph.input(layer.input, layer.dtype)
    scale = _INTEGER_SCALES.get(layer.variant, ACTIVATION)
    return [graph.operator(operator_of(_UNARY[layer.variant]), [given], layer.output, layer.dtype, found, scale)]


def _binary(graph: Subgraph, layer: LayerSpec) -> list[int]:
    if layer.variant == "prelu":
        inputs = [graph.input(layer.input, layer.dtype), graph.weights(layer.inputs[1], layer.dtype)]
        return [graph.operator(operator_of("PRELU"), inputs, layer.output, layer.dtype)]
    if layer.variant not in _BINARY:
        raise refused(layer)
    found = None
    if layer.variant in _WITH_OPTIONS:
        found = options(layer.variant.capitalize(), fusedActivationFunction=_activation(layer))
    elif layer.fused:
        raise refused(layer)
    inputs = [graph.input(shape, layer.dtype) for shape in layer.inputs]
    operator = operator_of(_BINARY[layer.variant])
    return [graph.operator(operator, inputs, layer.output, layer.dtype, found, Scale(0.04))]


def _softmax(graph: Subgraph, layer: LayerSpec) -> list[int]:
    if layer.variant != "softmax-inner":
        raise refused(layer)
    given = graph.input(layer.input, layer.dtype)
    found, scale = options("Softmax", beta=1.0), Scale(1 / 256, -128)
    return [graph.operator(operator_of("SOFTMAX"), [given], layer.output, layer.dtype, found, scale)]


def _reduction(graph: Subgraph, layer: LayerSpec) -> list[int]:
    name, _, place = layer.variant.rpartition("-")
    axes = {"inner": [len(layer.input) - 1], "outer": [0]}.get(place, [])
    if place == "mixed":
        axes = [axis for axis, (a, b) in enumerate(zip(layer.input, layer.output, strict=True)) if a != b]
    if name not in _REDUCTIONS or not axes:
        raise refused(layer)
    inputs = [graph.input(layer.input, layer.dtype), graph.integers(*axes)]
    found = options("Reducer", keepDims=True)
    return [graph.operator(operator_of(_REDUCTIONS[name]), inputs, layer.output, layer.dtype, found)]


def _resize(graph: Subgraph, layer: LayerSpec) -> list[int]:
    name = {"linear": "ResizeBilinear", "nearest": "ResizeNearestNeighbor"}.get(layer.variant)
    if name is None or len(layer.input) != 4:
        raise refused(layer)
    operator = operator_of("RESIZE_BILINEAR" if layer.variant == "linear" else "RESIZE_NEAREST_NEIGHBOR")
    inputs = [graph.input(_last(layer.input), layer.dtype), graph.integers(*layer.output[2:])]
    found = options(name, halfPixelCenters=True, alignCorners=False)
    return [graph.operator(operator, inputs, _last(layer.output), layer.dtype, found)]


def _reorder(graph: Subgraph, layer: LayerSpec) -> list[int]:
    name = {"depth_to_space": "DepthToSpace", "space_to_depth": "SpaceToDepth"}.get(layer.variant.removesuffix("-last"))
    if name is None or len(layer.input) != 4:
        raise refused(layer)
    small, large = sorted((layer.input[-1], layer.output[-1]))
    operator = operator_of("DEPTH_TO_SPACE" if name == "DepthToSpace" else "SPACE_TO_DEPTH")
    given = graph.input(_last(layer.input), layer.dtype)
    found = options(name, blockSize=large // max(small, 1))
    return [graph.operator(operator, [given], _last(layer.output), layer.dtype, found)]


def _concat(graph: Subgraph, layer: LayerSpec) -> list[int]:
    inputs = [graph.input(shape, layer.dtype) for shape in layer.inputs]
    found = options("Concatenation", axis=1)
    return [graph.operator(operator_of("CONCATENATION"), inputs, layer.output, layer.dtype, found)]


def _split(graph: Subgraph, layer: LayerSpec) -> list[int]:
    sizes = [shape[1] for shape in layer.outputs]
    given = graph.input(layer.input, layer.dtype)
    if len(set(sizes)) == 1:
        inputs, found = [graph.integers(1), given], options("Split", numSplits=len(sizes))
        return graph.split(operator_of("SPLIT"), inputs, layer.outputs, layer.dtype, found)
    inputs, found = [given, graph.integers(*sizes), graph.integers(1)], options("SplitV", numSplits=len(sizes))
    return graph.split(operator_of("SPLIT_V"), inputs, layer.outputs, layer.dtype, found)


def _lean(layer: LayerSpec) -> LayerSpec:
    """A layer of one input without a last axis of one item, which networks do not have and which costs XNNPACK time."""
    if len(layer.input) < 2 or layer.input[-1] != 1 or layer.output[-1] != 1:
        return layer
    return replace(layer, inputs=(layer.input[:-1],), outputs=(layer.output[:-1],))


def _slice(graph: Subgraph, layer: LayerSpec) -> list[int]:
    """Cut from the middle, as a tile is; strided where the layer is."""
    layer = _lean(layer)
    starts, ends, steps = [], [], []
    for given, made in zip(layer.input, layer.output, strict=True):
        step = max(given // max(made, 1), 1) if layer.variant == "strided" else 1
        start = (given - ((made - 1) * step + 1)) // 2
        starts.append(start)
        ends.append(start + (made - 1) * step + 1)
        steps.append(step)
    inputs = [graph.input(layer.input, layer.dtype), *(graph.integers(*values) for values in (starts, ends, steps))]
    return [graph.operator(operator_of("STRIDED_SLICE"), inputs, layer.output, layer.dtype, options("StridedSlice"))]


def _pad(graph: Subgraph, layer: LayerSpec) -> list[int]:
    """Padded around a map, and behind the channels, as networks do that have more of them than came in."""
    channels = len(layer.input) == 3 and layer.input[-1] == 1
    layer = _lean(layer)
    more = [made - given for given, made in zip(layer.input, layer.output, strict=True)]
    pads = graph.constant(np.array([(0, m) if channels else (m // 2, m - m // 2) for m in more], np.int32))
    given = graph.input(layer.input, layer.dtype)
    if layer.variant in ("reflect", "symmetric"):
        mode = schema.MirrorPadMode.REFLECT if layer.variant == "reflect" else schema.MirrorPadMode.SYMMETRIC
        found = options("MirrorPad", mode=mode)
        return [graph.operator(operator_of("MIRROR_PAD"), [given, pads], layer.output, layer.dtype, found)]
    if layer.variant not in ("constant", ""):
        raise refused(layer)
    return [graph.operator(operator_of("PAD"), [given, pads], layer.output, layer.dtype, options("Pad"))]


def _transpose(graph: Subgraph, layer: LayerSpec) -> list[int]:
    inputs = [graph.input(layer.input, layer.dtype), graph.integers(*map(int, layer.variant.split("-")))]
    return [graph.operator(operator_of("TRANSPOSE"), inputs, layer.output, layer.dtype, options("Transpose"))]


def _quantize(graph: Subgraph, layer: LayerSpec) -> list[int]:
    given = graph.input(layer.input)
    return [graph.operator(operator_of("QUANTIZE"), [given], layer.output, layer.dtype, options("Quantize"))]


def _dequantize(graph: Subgraph, layer: LayerSpec) -> list[int]:
    given = graph.input(layer.input, layer.dtype)
    return [graph.operator(operator_of("DEQUANTIZE"), [given], layer.output, options=options("Dequantize"))]


WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "conv": _convolution,
        "depthwise_conv": _convolution,
        "transposed_conv": _transposed_convolution,
        "fully_connected": _fully_connected,
        "matmul": _matmul,
        "max_pool": _pool,
        "average_pool": _pool,
        "unary": _unary,
        "binary": _binary,
        "softmax": _softmax,
        "reduction": _reduction,
        "resize": _resize,
        "reorder": _reorder,
        "concat": _concat,
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "transpose": _transpose,
        "quantize": _quantize,
        "dequantize": _dequantize,
    }
)
