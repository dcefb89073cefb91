"""Attributes of each kind of op, in the words that `formats.onnx.ops` documents for all formats."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.schema import schema
from edgewright.formats.tflite.windows import cropping_of, padding_of
from edgewright.graph.types import Shape, Window

KEEPS_QUANTIZATION = frozenset(
    {"max_pool", "reshape", "transpose", "slice", "pad", "split", "copy", "reorder", "concat", "gather"}
)
"""Kinds that do not compute: their quantization is that of the ops around them."""

_QUANTIZED = frozenset({"int8", "uint8", "int16"})
_NARROW = frozenset({"int8", "uint8", "int4", "int2"})
_BOUNDS = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}


def attributes_of(kind: str, operator: Operator) -> dict[str, Any]:
    """The neutral attributes of an operator; the key `variant` overrides the op's variant.

    Raises ValueError, TypeError, AttributeError, IndexError or ModelError where the options do not fit the operands.
    """
    rule = _RULES.get(kind)
    found = rule(operator) if rule is not None else {}
    if operator.fused and "fused" not in found:
        found["fused"] = operator.fused
    return found | ({} if kind in KEEPS_QUANTIZATION else _scales(operator))


def window_of(kind: str, operator: Operator) -> Window:
    """The window of a convolution or pooling op; raises as `attributes_of` does."""
    data = 2 if kind == "transposed_conv" else 0
    space = operator.shape(data)[1:-1]
    stride = tuple(int(operator.option(f"stride{letter}")) for letter in "DHW"[3 - len(space) :])
    dilation = (1,) * len(space)
    if hasattr(operator.proto.builtinOptions, "dilationHFactor"):
        dilation = tuple(int(operator.option(f"dilation{letter}Factor")) for letter in "DHW"[3 - len(space) :])
    kernel = _kernel(kind, operator)
    if not len(kernel) == len(stride) == len(space) or min((*kernel, *stride, *dilation, *space)) < 1:
        raise ValueError("a window that does not fit its input")
    window = Window(kernel, stride, dilation, ((0, 0),) * len(space))
    made = operator.output_shape()[1:-1]
    mode = int(operator.option("padding"))
    if kind == "transposed_conv":
        padding, _ = cropping_of(mode, window, space, made)
    else:
        padding = padding_of(mode, window, space)
    return Window(kernel, stride, dilation, padding)


def _kernel(kind: str, operator: Operator) -> Shape:
    if "pool" in kind:
        return int(operator.option("filterHeight")), int(operator.option("filterWidth"))
    weight = operator.shape(1)
    return weight[:3] if operator.builtin == "CONV_3D" else weight[1:3]


def _scales(operator: Operator) -> dict[str, Any]:
    """Scale and zero point of the first operand and of the output, where there is one for the whole tensor."""
    found: dict[str, Any] = {}
    data = 2 if operator.builtin == "TRANSPOSE_CONV" else 0
    for side, index in (("input", operator.input(data)), ("output", operator.outputs[0])):
        if index < 0 or operator.tensors.dtype(index) not in _QUANTIZED:
            continue
        scale = operator.tensors.scale_of(index)
        if scale is not None:
            found[f"{side}_scale"], found[f"{side}_zero_point"] = scale
    return found


def groups_of(operator: Operator) -> int:
    """Groups of a convolution: its input's channels by those that a filter reads. Raises ValueError for a misfit."""
    channels, weight = operator.shape()[-1], operator.shape(1)
    if operator.builtin == "DEPTHWISE_CONV_2D":
        read, made = 1, weight[3]
    elif operator.builtin == "CONV_3D":
        read, made = weight[3], weight[4]
    else:
        read, made = weight[3], weight[0]
    if channels % read or made % (channels // read) or operator.output_shape()[-1] != made:
        raise ValueError("channels that do not fit")
    return channels // read


def _conv(operator: Operator) -> dict[str, Any]:
    return {"groups": groups_of(operator), "fused": operator.fused} | _dynamic(operator)


def _dynamic(operator: Operator) -> dict[str, Any]:
    """The variant of floats by integer weights: the input is quantized as it comes."""
    data, weight = operator.tensors.dtype(operator.inputs[0]), operator.tensors.neutral(operator.inputs[1]).dtype
    return {"variant": "dynamic"} if data == "float32" and weight in _NARROW else {}


def _transposed_conv(operator: Operator) -> dict[str, Any]:
    window = window_of("transposed_conv", operator)
    sizes = operator.shape(2)[1:-1], operator.output_shape()[1:-1]
    _, extra = cropping_of(int(operator.option("padding")), window, *sizes)
    return {"groups": 1, "output_padding": extra, "fused": operator.fused}


def _product(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = {"transpose_a": False, "transpose_b": True, "fused": operator.fused}
    if operator.builtin == "BATCH_MATMUL":
        found |= {"transpose_a": bool(operator.option("adjX")), "transpose_b": bool(operator.option("adjY"))}
    elif int(operator.option("weightsFormat")):
        raise ValueError("shuffled weights")
    return found | _dynamic(operator)


def _pool(operator: Operator) -> dict[str, Any]:
    return {"ceil_mode": False, "count_include_pad": False}


def _unary(operator: Operator) -> dict[str, Any]:
    if operator.builtin in _BOUNDS:
        low, high = _BOUNDS[operator.builtin]
        return {"min": low, "max": high}
    if operator.builtin == "LEAKY_RELU":
        return {"alpha": float(operator.option("alpha"))}
    if operator.builtin == "GELU":
        return {"approximate": "tanh" if operator.option("approximate") else "none"}
    return {}


def _normalization(operator: Operator) -> dict[str, Any]:
    axes = (operator.rank - 1,)
    if operator.builtin == "L2_NORMALIZATION":
        return {"axes": axes, "epsilon": 1e-6}
    numbers = {name: float(operator.option(name)) for name in ("alpha", "beta", "bias")}
    return {"axes": axes, "size": 2 * int(operator.option("radius")) + 1, **numbers}


def _softmax(operator: Operator) -> dict[str, Any]:
    return {"axes": (operator.axis(-1),)}


def _reduction(operator: Operator) -> dict[str, Any]:
    axes = tuple(sorted({operator.axis(axis) for axis in operator.integers(1)}))
    keepdims = False if operator.builtin.startswith("ARG") else bool(operator.option("keepDims"))
    return {"axes": axes, "keepdims": keepdims}


def _resize(operator: Operator) -> dict[str, Any]:
    sizes = zip(operator.output_shape(), operator.shape(), strict=True)
    corners, half = bool(operator.option("alignCorners")), bool(operator.option("halfPixelCenters"))
    coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    found = {"scales": tuple(out / size for out, size in sizes), "coordinates": coordinates}
    if operator.builtin == "RESIZE_BILINEAR":
        return {"variant": "linear", **found}
    return {"variant": "nearest", **found, "rounding": "round_prefer_ceil" if corners else "floor"}


def _concat(operator: Operator) -> dict[str, Any]:
    rank = len(operator.output_shape())
    if any(len(operator.shape(position)) != rank for position in range(len(operator.inputs))):
        raise ValueError("operands of different rank")
    return {"axis": operator.axis(int(operator.option("axis")), rank)}


def _split(operator: Operator) -> dict[str, Any]:
    data, axis = (0, 2) if operator.builtin == "SPLIT_V" else (1, 0)
    (number,) = operator.integers(axis)
    found = operator.axis(number, len(operator.shape(data)))
    return {"axis": found, "sizes": tuple(operator.output_shape(i)[found] for i in range(len(operator.outputs)))}


def _slice(operator: Operator) -> dict[str, Any]:
    """Axes that are left whole are those that say so themselves: size -1, or masks of both ends."""
    cuts = _begin_and_size(operator) if operator.builtin == "SLICE" else _strides(operator)
    shape = operator.shape()
    parts = []
    for axis, (size, cut) in enumerate(zip(shape, cuts, strict=True)):
        if cut != slice(None, None, 1):
            parts.append((axis, *cut.indices(size)))
    columns = tuple(zip(*parts, strict=True)) or ((), (), (), ())
    return dict(zip(("axes", "starts", "ends", "steps"), columns, strict=True))


def _begin_and_size(operator: Operator) -> list[slice]:
    rows = zip(operator.integers(1), operator.integers(2), strict=True)
    return [slice(begin or None, None if size == -1 else begin + size, 1) for begin, size in rows]


def _strides(operator: Operator) -> list[slice]:
    options = operator.proto.builtinOptions
    if options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask or options.offset:
        raise ValueError("axes come or go")
    cuts = []
    for axis, (begin, end, step) in enumerate(zip(*(operator.integers(i) for i in (1, 2, 3)), strict=True)):
        first = None if options.beginMask >> axis & 1 else begin
        cuts.append(slice(first, None if options.endMask >> axis & 1 else end, step))
    return cuts


def _pad(operator: Operator) -> dict[str, Any]:
    pads = operator.integers(1)
    padding = tuple(zip(pads[::2], pads[1::2], strict=True))
    if len(padding) != operator.rank or any(min(pair) < 0 for pair in padding):
        raise ValueError("padding does not fit")
    if operator.builtin == "MIRROR_PAD":
        reflects = int(operator.option("mode")) == schema.MirrorPadMode.REFLECT
        return {"variant": "reflect" if reflects else "symmetric", "padding": padding, "value": 0.0}
    value: float = 0.0
    index = operator.inputs[0]
    if operator.builtin == "PADV2":
        stored = operator.value(2)
        if stored is None or stored.size != 1:
            raise ValueError("the value is not known")
        value = stored.reshape(-1)[0].item()
    elif operator.tensors.dtype(index) in _QUANTIZED:
        scale = operator.tensors.scale_of(index)
        value = scale[1] if scale is not None else 0
    return {"variant": "constant", "padding": padding, "value": value}


def _transpose(operator: Operator) -> dict[str, Any]:
    perm = tuple(operator.axis(axis) for axis in operator.integers(1))
    if sorted(perm) != list(range(operator.rank)):
        raise ValueError(f"{perm} does not permute {operator.rank} axes")
    return {"perm": perm}


def _reorder(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = {"block_size": int(operator.option("blockSize"))}
    return found | ({"mode": "dcr"} if operator.builtin == "DEPTH_TO_SPACE" else {})


def _gather(operator: Operator) -> dict[str, Any]:
    if operator.builtin == "GATHER_ND":
        return {}
    if int(operator.option("batchDims")):
        raise ValueError("gathers by batch")
    return {"axis": operator.axis(int(operator.option("axis")))}


def _recurrent(operator: Operator) -> dict[str, Any]:
    return {
        "hidden_size": operator.output_shape()[-1],
        "direction": "forward",
        "layout": 0 if operator.option("timeMajor") else 1,
    }


def _quantization(operator: Operator) -> dict[str, Any]:
    narrow = operator.outputs[0] if operator.builtin == "QUANTIZE" else operator.inputs[0]
    quantization = operator.tensors.stored[narrow].quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) == 1:
        return {}
    return {"axis": operator.axis(int(quantization.quantizedDimension))}


_RULES: Mapping[str, Callable[[Operator], dict[str, Any]]] = MappingProxyType(
    {
        "conv": _conv, "depthwise_conv": _conv, "transposed_conv": _transposed_conv, "matmul": _product,
        "fully_connected": _product, "max_pool": _pool, "average_pool": _pool, "unary": _unary,
        "normalization": _normalization, "softmax": _softmax, "reduction": _reduction, "resize": _resize,
        "concat": _concat, "split": _split, "slice": _slice, "pad": _pad, "transpose": _transpose,
        "reorder": _reorder, "gather": _gather, "lstm": _recurrent, "rnn": _recurrent,
        "quantize": _quantization, "dequantize": _quantization,
    }
)  # fmt: skip
