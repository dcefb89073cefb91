"""Random small networks as TFLite models: hypothesis strategies that the tests share.

`networks("float")` draws float networks, "float16" ones whose weights are DEQUANTIZEd from float16, "int8" ones
quantized by channel, "int16" ones of int16 activations. They have residual sums and branches, odd sizes, SAME and
VALID padding, strides, dilations, fused activations, and one or two inputs; every map that nothing reads is an output.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import strategies as st
from tests.formats.tflite.build import Sketch

Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]
Array = npt.NDArray[Any]
Space = tuple[int, int]

STYLES = ("float", "float16", "int8", "int16")
_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID
_VERSIONS = {"int8": 2, "int16": 3}


@dataclass
class Draft:
    """A model while it is drawn; `maps` are its feature maps, the last ones last."""

    draw: Draw
    style: str
    random: np.random.Generator
    sketch: Sketch = field(default_factory=Sketch)
    maps: list[int] = field(default_factory=list)
    read: set[int] = field(default_factory=set)

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    @property
    def is_float(self) -> bool:
        return self.style.startswith("float")

    @property
    def dtype(self) -> str:
        return "float32" if self.is_float else self.style

    def map(self) -> int:
        """A feature map: mostly the last."""
        return self.maps[-1] if self.draw(st.booleans()) else int(self.pick(*self.maps))

    def shape(self, index: int) -> Shape:
        return self.sketch.shape(index)

    def scale(self, index: int) -> tuple[float, int]:
        found = self.sketch.graph.tensors[index].quantization
        return (1.0, 0) if found is None else (float(found.scale[0]), int(found.zeroPoint[0]))

    def new(self, shape: Shape, like: int | None = None, scale: tuple[float, int] | None = None) -> int:
        """A new feature map, quantized like another, or as is said, or in some way."""
        if not self.is_float and scale is None:
            zero = self.integer(-20, 20) if self.style == "int8" else 0
            scale = self.scale(like) if like is not None else (self.pick(0.02, 0.03), zero)
        name = f"t{len(self.sketch.graph.tensors)}"
        return self.sketch.tensor(name, shape, self.dtype, *(scale if scale is not None and not self.is_float else ()))

    def weight(self, shape: Shape, axis: int, given: int) -> tuple[int, int, float]:
        """A weight and a bias that keep activations near where they are, and the scale of the weight's last channel."""
        channels, fan_in = shape[axis], max(int(np.prod(shape)) // shape[axis], 1)
        if self.is_float:
            value = (self.random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)
            bias = self.random.standard_normal(channels).astype(np.float32)
            return self._float(value), self._float(bias), 1.0
        scales = (self.random.uniform(0.005, 0.012, channels) / np.sqrt(fan_in)).astype(np.float32)
        stored = self.random.integers(-127, 128, shape).astype(np.int8)
        bias = self.random.integers(-500, 500, channels).astype(np.int32 if self.style == "int8" else np.int64)
        bias_scales = scales * np.float32(self.scale(given)[0])
        return self.sketch.constant(stored, scales, axis), self.sketch.constant(bias, bias_scales), float(scales[-1])

    def _float(self, value: Array) -> int:
        if self.style == "float":
            return self.sketch.constant(value)
        stored = self.sketch.constant(value.astype(np.float16))
        made = self.sketch.tensor(f"t{len(self.sketch.graph.tensors)}", value.shape)
        self.sketch.op("DEQUANTIZE", [stored], [made], schema.DequantizeOptionsT())
        return made

    def add(
        self, builtin: str, inputs: list[int], outputs: list[int], options: Any = None, version: int | None = None
    ) -> None:
        """An operator whose outputs become feature maps."""
        self.sketch.op(builtin, inputs, outputs, options, version or _VERSIONS.get(self.style, 1))
        self.read.update(inputs)
        self.maps += outputs

    def window(self, space: Space, largest: int = 4, dilations: bool = False) -> tuple[Any, Space, Space, Space, Space]:
        """Padding mode, kernel, stride, dilation, and the size of the output; one that fits."""
        mode = self.pick(_SAME, _SAME, _VALID)
        kernel = tuple(self.integer(1, min(largest, size)) for size in space)
        dilation = (1, 1)
        if dilations and all((k - 1) * 2 + 1 <= size for k, size in zip(kernel, space, strict=True)):
            dilation = self.pick((1, 1), (1, 1), (2, 2), (1, 2))
        # Runtimes stride or dilate, not both.
        stride = self.pick((1, 1), (1, 1), (2, 2), (3, 3), (2, 1)) if dilation == (1, 1) else (1, 1)
        extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
        rows = zip(space, extent, stride, strict=True)
        made = tuple(-(-size // step) if mode == _SAME else (size - span) // step + 1 for size, span, step in rows)
        return mode, kernel, stride, dilation, made  # type: ignore[return-value]

    def activation(self) -> Any:
        kind = schema.ActivationFunctionType
        return self.pick(kind.NONE, kind.NONE, kind.RELU, kind.RELU6)

    def others(self, index: int, axis: int | None = None) -> list[int]:
        """Other maps of the same shape, or of one that differs on an axis."""

        def rest(shape: Shape) -> Shape:
            return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])

        return [one for one in self.maps if one != index and rest(self.shape(one)) == rest(self.shape(index))]


def _conv(draft: Draft) -> None:
    given = draft.map()
    _, *space, channels = draft.shape(given)
    mode, kernel, stride, dilation, made = draft.window((space[0], space[1]), dilations=True)
    numbers = {
        "padding": mode, "strideH": stride[0], "strideW": stride[1],
        "dilationHFactor": dilation[0], "dilationWFactor": dilation[1],
        "fusedActivationFunction": draft.activation(),
    }  # fmt: skip
    if draft.draw(st.booleans()):
        multiplier = draft.pick(1, 1, 2) if channels > 1 else draft.integer(1, 3)
        weight, bias, _ = draft.weight((1, *kernel, channels * multiplier), 3, given)
        output = draft.new((1, *made, channels * multiplier))
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=multiplier, **numbers)
        draft.add("DEPTHWISE_CONV_2D", [given, weight, bias], [output], options)
        return
    filters = draft.integer(1, 6)
    weight, bias, _ = draft.weight((filters, *kernel, channels), 0, given)
    inputs = [given, weight, bias]
    draft.add("CONV_2D", inputs, [draft.new((1, *made, filters))], schema.Conv2DOptionsT(**numbers))


def _pool(draft: Draft) -> None:
    given = draft.map()
    _, *space, channels = draft.shape(given)
    mode, kernel, stride, _, made = draft.window((space[0], space[1]), largest=3)
    options = schema.Pool2DOptionsT(
        padding=mode, strideH=stride[0], strideW=stride[1], filterHeight=kernel[0], filterWidth=kernel[1],
        fusedActivationFunction=draft.activation(),
    )  # fmt: skip
    builtin = draft.pick("MAX_POOL_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")
    draft.add(builtin, [given], [draft.new((1, *made, channels), like=given)], options)


def _transposed(draft: Draft) -> None:
    given = draft.map()
    if draft.style == "int16":
        return
    _, *space, channels = draft.shape(given)
    stride, kernel, filters = draft.pick(1, 2), draft.integer(1, 3), draft.integer(1, 4)
    mode = draft.pick(_SAME, _VALID)
    if mode == _SAME:
        made = tuple(size * stride for size in space)
    else:
        made = tuple((size - 1) * stride + kernel for size in space)
    weight, bias, _ = draft.weight((filters, kernel, kernel, channels), 0, given)
    inputs = [draft.sketch.integers(1, *made, filters), weight, given, bias]
    options = schema.TransposeConvOptionsT(padding=mode, strideH=stride, strideW=stride)
    draft.add("TRANSPOSE_CONV", inputs, [draft.new((1, *made, filters))], options, 3)


def _unary(draft: Draft) -> None:
    given = draft.map()
    shape = draft.shape(given)
    builtin = draft.pick("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "PRELU", "TANH")
    if draft.style == "int16" and builtin in {"LEAKY_RELU", "PRELU", "RELU", "RELU6"}:
        builtin = "LOGISTIC"
    if builtin in {"LOGISTIC", "TANH"}:
        signed = {"int8": (1 / 256, -128) if builtin == "LOGISTIC" else (1 / 128, 0), "int16": (1 / 32768, 0)}
        draft.add(builtin, [given], [draft.new(shape, scale=signed.get(draft.style))])
        return
    if builtin == "PRELU":
        slope = draft.random.integers(-127, 128, (1, 1, shape[-1])).astype(np.int8)
        stored = slope.astype(np.float32) / 256 if draft.is_float else slope
        alpha = draft.sketch.constant(stored, None if draft.is_float else 0.004)
        draft.add(builtin, [given, alpha], [draft.new(shape)], version=1)
        return
    options = schema.LeakyReluOptionsT(alpha=0.25) if builtin == "LEAKY_RELU" else None
    draft.add(builtin, [given], [draft.new(shape)], options)


def _sum(draft: Draft) -> None:
    """A residual sum where there is another map of that shape, else a sum or product with a constant."""
    given = draft.map()
    shape, others = draft.shape(given), draft.others(given)
    builtin = draft.pick("ADD", "MUL")
    if others:
        second = int(draft.pick(*others))
    else:
        part = draft.pick((1, 1, 1, shape[3]), shape, (1, 1, shape[2], shape[3]), (shape[3],))
        value = draft.random.integers(-100, 100, part)
        if draft.is_float:
            second = draft.sketch.constant((value / 64).astype(np.float32))
        else:
            second = draft.sketch.constant(value.astype(draft.dtype), 0.02)
    kind = schema.AddOptionsT if builtin == "ADD" else schema.MulOptionsT
    options = kind(fusedActivationFunction=draft.activation())
    if builtin == "ADD":
        options.potScaleInt16 = False
    draft.add(builtin, [given, second], [draft.new(shape)], options)


def _concat(draft: Draft) -> None:
    given = draft.map()
    others = [one for one in draft.others(given, 3) if draft.scale(one) == draft.scale(given)]
    if others:
        second = int(draft.pick(*others))
        *rest, channels = draft.shape(given)
        made = draft.new((*rest, channels + draft.shape(second)[3]), like=given)
        draft.add("CONCATENATION", [given, second], [made], schema.ConcatenationOptionsT(axis=draft.pick(3, -1)))


def _pad(draft: Draft) -> None:
    given = draft.map()
    pads = [0, 0, *(draft.integer(0, 2) for _ in range(4)), 0, 0]
    shape = draft.shape(given)
    made = tuple(size + pads[2 * i] + pads[2 * i + 1] for i, size in enumerate(shape))
    inputs = [given, draft.sketch.integers(*pads, shape=(4, 2))]
    builtin, options = "PAD", schema.PadOptionsT()
    if draft.draw(st.booleans()):
        builtin, options = "PADV2", schema.PadV2OptionsT()
        scale, zero = draft.scale(given)
        value = np.array([0.5 if draft.is_float else 7], draft.dtype)
        inputs.append(draft.sketch.constant(value, None if draft.is_float else scale, zero=zero))
    draft.add(builtin, inputs, [draft.new(made, like=given)], options)


def _resize(draft: Draft) -> None:
    given, factor = draft.map(), draft.pick(2, 3)
    batch, height, width, channels = draft.shape(given)
    made = (batch, height * factor, width * factor, channels)
    if draft.draw(st.booleans()):
        builtin, options = "RESIZE_NEAREST_NEIGHBOR", schema.ResizeNearestNeighborOptionsT()
    else:
        half = draft.draw(st.booleans())
        builtin, options = "RESIZE_BILINEAR", schema.ResizeBilinearOptionsT(halfPixelCenters=half)
    draft.add(builtin, [given, draft.sketch.integers(*made[1:3])], [draft.new(made, like=given)], options)


def _channel_slice(draft: Draft) -> None:
    given = draft.map()
    *rest, channels = draft.shape(given)
    start = draft.integer(0, channels - 1)
    end = draft.integer(start + 1, channels)
    made = draft.new((*rest, end - start), like=given)
    if draft.draw(st.booleans()):
        size = -1 if end == channels else end - start
        bounds = [draft.sketch.integers(0, 0, 0, start), draft.sketch.integers(-1, -1, -1, size)]
        draft.add("SLICE", [given, *bounds], [made], schema.SliceOptionsT())
        return
    ends = draft.sketch.integers(*(99, 99, 99, end))
    bounds = [draft.sketch.integers(0, 0, 0, start), ends, draft.sketch.integers(1, 1, 1, 1)]
    mask = draft.pick(0b0111, 0b0010)
    draft.add("STRIDED_SLICE", [given, *bounds], [made], schema.StridedSliceOptionsT(beginMask=mask, endMask=0b0111))


def _split(draft: Draft) -> None:
    given = draft.map()
    *rest, channels = draft.shape(given)
    if channels % 2 == 0:
        made = [draft.new((*rest, channels // 2), like=given) for _ in range(2)]
        draft.add("SPLIT", [draft.sketch.integers(3, shape=(1,)), given], made, schema.SplitOptionsT(numSplits=2))


def _reorder(draft: Draft) -> None:
    given = draft.map()
    batch, height, width, channels = draft.shape(given)
    if draft.style == "int16":
        return
    if channels % 4 == 0:
        made = draft.new((batch, height * 2, width * 2, channels // 4), like=given)
        draft.add("DEPTH_TO_SPACE", [given], [made], schema.DepthToSpaceOptionsT(blockSize=2), 1)
    elif height % 2 == 0 and width % 2 == 0:
        made = draft.new((batch, height // 2, width // 2, channels * 4), like=given)
        draft.add("SPACE_TO_DEPTH", [given], [made], schema.SpaceToDepthOptionsT(blockSize=2))


def _softmax(draft: Draft) -> None:
    given = draft.map()
    scale = {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}.get(draft.style)
    draft.add("SOFTMAX", [given], [draft.new(draft.shape(given), scale=scale)], schema.SoftmaxOptionsT(beta=1.0))


def _open(draft: Draft, given: int) -> None:
    """Behind an input a convolution, whose width nothing outside decides."""
    batch, height, width, channels = draft.shape(given)
    kernel, filters = draft.integer(1, 3), draft.integer(2, 5)
    weight, bias, _ = draft.weight((filters, kernel, kernel, channels), 0, given)
    options = schema.Conv2DOptionsT(
        padding=_SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
        fusedActivationFunction=draft.activation(),
    )  # fmt: skip
    draft.add("CONV_2D", [given, weight, bias], [draft.new((batch, height, width, filters))], options)


def _close(draft: Draft, given: int) -> None:
    """Behind a map a convolution of 1x1, or a fully connected layer on all of it or on its mean."""
    batch, height, width, channels = draft.shape(given)
    way = draft.pick("conv", "flat", "mean")
    if way == "conv" or draft.style == "int16":
        weight, bias, _ = draft.weight((2, 1, 1, channels), 0, given)
        options = schema.Conv2DOptionsT(padding=_VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
        draft.add("CONV_2D", [given, weight, bias], [draft.new((batch, height, width, 2))], options)
        return
    if way == "mean":
        made = draft.new((batch, channels), like=given)
        draft.add("MEAN", [given, draft.sketch.integers(1, 2)], [made], schema.ReducerOptionsT(keepDims=False))
    else:
        made = draft.new((batch, height * width * channels), like=given)
        target = draft.sketch.integers(*draft.pick((-1, draft.shape(made)[1]), (batch, -1), draft.shape(made)))
        draft.add("RESHAPE", [given, target], [made], schema.ReshapeOptionsT(newShape=draft.pick(None, [batch, -1])), 1)
    weight, bias, _ = draft.weight((3, draft.shape(made)[1]), 0, made)
    draft.add("FULLY_CONNECTED", [made, weight, bias], [draft.new((batch, 3))], schema.FullyConnectedOptionsT(), 9)


_STEPS = (
    _conv, _conv, _conv, _conv, _pool, _pool, _unary, _sum, _sum, _concat, _pad, _resize, _channel_slice, _split,
    _reorder, _softmax, _transposed,
)  # fmt: skip


@st.composite
def networks(draw: Draw, style: str = "float", most_ops: int = 8, is_closed: bool = False) -> bytes:
    """A random network with feature maps of about 10x10; if it is closed, convolutions read every input, and
    layers with weights make every output, so that most widths are free."""
    draft = Draft(draw, style, np.random.default_rng(draw(st.integers(0, 2**16))))
    space = (draw(st.integers(5, 13)), draw(st.integers(5, 13)))
    inputs = [draft.new((1, *space, draw(st.integers(1, 4)))) for _ in range(draw(st.sampled_from((1, 1, 1, 2))))]
    draft.maps += inputs
    for index in inputs if is_closed else ():
        _open(draft, index)
    draft.maps = [one for one in draft.maps if one not in draft.read]
    for _ in range(draw(st.integers(1, most_ops))):
        if all(np.prod(draft.shape(one)) < 10_000 for one in draft.maps):
            draft.pick(*_STEPS)(draft)
    if draft.maps == inputs:
        _softmax(draft)
    for index in [index for index in draft.maps if index not in draft.read] if is_closed else ():
        _close(draft, index)
    outputs = [index for index in draft.maps if index not in draft.read and index not in inputs]
    return draft.sketch.finish(inputs, outputs)


RESOLVERS = {
    "reference": OpResolverType.BUILTIN_REF,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
}


def feed(model: bytes, seed: int = 0) -> list[Array]:
    """Random inputs of a model."""
    random = np.random.default_rng(seed)
    found: list[Array] = []
    for entry in Interpreter(model_content=model).get_input_details():
        if entry["dtype"] == np.float32:
            found.append(random.standard_normal(entry["shape"]).astype(np.float32))
        else:
            limits = np.iinfo(entry["dtype"])
            found.append(random.integers(limits.min, limits.max + 1, entry["shape"]).astype(entry["dtype"]))
    return found


def run(model: bytes, inputs: list[Array], kernels: str = "reference") -> list[Array]:
    """The outputs of a model on LiteRT: the oracle of the tests."""
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=RESOLVERS[kernels])
    interpreter.allocate_tensors()
    for entry, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(entry["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]
