"""Random networks whose layers can change width: hypothesis strategies for the tests of channel groups.

Every branch ends in a head, so that inner widths are free: residual blocks, concatenation, split, grouped and depthwise
convolution, squeeze-and-excitation, channel shuffle, flattened maps, recurrent layers, attention. Styles as in
`tests.networks`: float, qdq, qlinear.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from tests.networks import Draw, Sketch, finished

OPSETS = (9, 11, 13, 18, 21)


class WidthSketch(Sketch):
    """A sketch with layers that have biases, and scales for each channel where it is quantized."""

    def stored(self, shape: Sequence[int], axis: int, size: float) -> str:
        """An int8 weight behind DequantizeLinear, with a scale for each item of an axis or for all."""
        low, high, zero = self.pick((-127, 127, 0), (-128, 127, 3))
        weight = self.constant(self.random.integers(low, high + 1, shape).astype(np.int8))
        if self.pick(True, False):
            scales = self.random.uniform(0.5, 1.5, shape[axis]).astype(np.float32) * np.float32(size)
            zeros = np.full(shape[axis], zero, np.int8)
            inputs = [weight, self.constant(scales), self.constant(zeros)]
            return self.made_weight(self.node("DequantizeLinear", inputs, axis=axis), shape)
        inputs = [weight, self.constant(np.float32(size)), self.constant(np.int8(zero))]
        return self.made_weight(self.node("DequantizeLinear", inputs), shape)

    def layer_weight(self, shape: Sequence[int], axis: int) -> str:
        """The weight of a layer whose output channels lie on this axis."""
        fan_in = max(int(np.prod(shape)) // shape[axis], 1)
        if self.style == "qdq":
            return self.stored(shape, axis, 0.02 / np.sqrt(fan_in))
        value = (self.random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)
        how = self.integer(0, 7)
        if how == 0:
            stored = helper.make_tensor("", TensorProto.FLOAT, shape, value.tobytes(), True)
            return self.made_weight(self.node("Constant", [], value=stored), shape)
        if how == 1:
            perm = [int(axis) for axis in self.random.permutation(len(shape))]
            back = [perm.index(axis) for axis in range(len(perm))]
            return self.made_weight(self.node("Transpose", [self.constant(value.transpose(perm))], perm=back), shape)
        return self.constant(value)

    def bias(self, size: int) -> str:
        value = self.random.standard_normal(size).astype(np.float32)
        if self.style != "qdq":
            return self.constant(value)
        stored = self.constant(self.random.integers(-500, 500, size).astype(np.int32))
        if self.pick(True, False):
            inputs, how = [stored, self.constant(np.float32(1e-3))], {}
        else:
            inputs = [stored, self.constant(self.random.uniform(0.5e-3, 1.5e-3, size).astype(np.float32))]
            how = {"axis": 0}
        return self.made_weight(self.node("DequantizeLinear", inputs, **how), (size,))

    def last(self) -> str:
        return list(self.shapes)[-1]

    def conv(self, name: str, made: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        """A padded convolution; the name of its map."""
        depth, pad = self.shapes[name][1] // groups, kernel // 2
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        if self.style == "qlinear":
            return self.qlinear_conv(name, made, depth, window)
        inputs = [name, self.layer_weight((made, depth, kernel, kernel), 0)]
        if self.pick(True, False):
            inputs.append(self.bias(made))
        self.made(self.node("Conv", inputs, **window))
        return self.last()

    def qlinear_conv(self, name: str, made: int, depth: int, window: dict[str, Any]) -> str:
        scale, zero = self.constant(np.float32(0.02)), self.constant(np.uint8(117))
        kernel = window["kernel_shape"]
        per_channel, dtype = self.pick(True, False), self.pick(np.int8, np.uint8)
        low, high, w_zero = (-127, 128, 0) if dtype is np.int8 else (0, 256, 121)
        weight = self.constant(self.random.integers(low, high, (made, depth, *kernel)).astype(dtype))
        w_scale = self.random.uniform(0.001, 0.003, made).astype(np.float32) if per_channel else np.float32(0.002)
        zeros = np.full(made, w_zero, dtype) if per_channel else dtype(w_zero)
        inputs = [name, scale, zero, weight, self.constant(w_scale), self.constant(zeros), scale, zero]
        if self.pick(True, False):
            inputs.append(self.constant(self.random.integers(-500, 500, made).astype(np.int32)))
        self.made(self.node("QLinearConv", inputs, **window))
        return self.last()

    def op(self, op_type: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        """A node that makes an activation; one that is too large is no network for a test."""
        count = len(self.shapes)
        self.made(self.node(op_type, inputs, outputs, **attributes))
        assume(len(self.shapes) > count)
        return self.last()

    def steer(self, *items: int) -> str:
        return self.constant(np.array(items, np.int64))

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """A reshape whose target is plain, has 0 or -1 in it, or is computed from the shape of its input."""
        target = list(shape)
        hows = ("plain", "rest", "zero", "computed") if self.shapes[name][0] == shape[0] else ("plain", "rest")
        how = self.pick(*hows)
        if how == "computed":
            size = self.node("Gather", [self.node("Shape", [name]), self.steer(0)])
            pieces = [self.node("Reshape", [size, self.steer(1)]), *(self.steer(item) for item in shape[1:])]
            made = self.node("Reshape", [name, self.node("Concat", pieces, axis=0)])
        else:
            target[0] = 0 if how == "zero" else target[0]
            target[self.integer(1, len(shape) - 1)] *= -1 if how == "rest" else 1
            rest = [-1 if size < 0 else size for size in target]
            made = self.node("Reshape", [name, self.steer(*rest)])
        made = self.requantized(made) if self.style == "qdq" else made
        self.shapes[made] = tuple(shape)
        return made

    def unary(self, name: str) -> str:
        if self.style == "qlinear":
            return name
        kinds = ("Relu", "Relu", "Sigmoid", "Tanh", "Elu", "Softplus", "HardSigmoid")
        return self.op(self.pick(*kinds), [name])


def _conv(sketch: WidthSketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    kind = sketch.pick("full", "full", "depthwise", "grouped")
    groups = channels if kind == "depthwise" else 2 if kind == "grouped" and channels % 2 == 0 else 1
    made = channels * sketch.pick(1, 1, 2) if kind == "depthwise" else groups * sketch.integer(1, 5)
    if made <= 16:
        sketch.conv(name, made, sketch.pick(1, 3), sketch.pick(1, 1, 1, 2), groups)


def _normalized(sketch: WidthSketch) -> None:
    name = sketch.conv(sketch.map(), sketch.integer(2, 7))
    channels = sketch.shapes[name][1]
    vectors = [sketch.constant(sketch.random.uniform(0.5, 1.5, channels).astype(np.float32)) for _ in range(4)]
    sketch.unary(sketch.op("BatchNormalization", [name, *vectors]))


def _residual(sketch: WidthSketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    y = sketch.unary(sketch.conv(name, sketch.integer(2, 7), sketch.pick(1, 3)))
    if sketch.pick(True, False):
        channels = sketch.integer(2, 7)
        name = sketch.conv(name, channels, 1)
    _sum(sketch, name, sketch.conv(y, channels))


def _sum(sketch: WidthSketch, first: str, second: str) -> None:
    if sketch.style != "qlinear":
        sketch.op("Add", [first, second])
        return
    scale, zero = sketch.constant(np.float32(0.02)), sketch.constant(np.uint8(117))
    made = sketch.node("QLinearAdd", [first, scale, zero, second, scale, zero, scale, zero], domain="com.microsoft")
    sketch.shapes[made] = sketch.shapes[first]


def _concat(sketch: WidthSketch) -> None:
    name = sketch.map()
    parts = [sketch.conv(name, sketch.integer(2, 5), sketch.pick(1, 3)) for _ in range(sketch.integer(1, 2))]
    parts.insert(sketch.integer(0, len(parts)), sketch.pick(name, *sketch.like(name, axis=1)))
    sketch.op("Concat", parts, axis=1)


def _split(sketch: WidthSketch) -> None:
    """Two parts of a map, of which one is worked on; both are joined again."""
    name = sketch.map()
    channels = sketch.shapes[name][1]
    if channels < 2 or sketch.style == "qdq":
        return
    first = sketch.pick(channels // 2, sketch.integer(1, channels - 1))
    sizes = [first, channels - first]
    if sketch.opset >= 18 and sizes[0] - sizes[1] in {0, 1} and sketch.pick(True, False):
        left = sketch.node("Split", [name], 2, axis=1, num_outputs=2)
    elif sketch.opset < 13:
        left = sketch.node("Split", [name], 2, axis=1, split=sizes)
    else:
        left = sketch.node("Split", [name, sketch.steer(*sizes)], 2, axis=1)
    parts = [left, f"{left}_1"]
    for part, size in zip(parts, sizes, strict=True):
        sketch.shapes[part] = (1, size, *sketch.shapes[name][2:])
    parts[0] = sketch.conv(parts[0], sizes[0] if sketch.pick(True, False) else sketch.integer(1, 5))
    if sketch.style == "qlinear":
        return
    sketch.op("Concat", parts if sketch.pick(True, False) else parts[::-1], axis=1)


def _slice(sketch: WidthSketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    start = sketch.integer(0, channels - 1)
    end = sketch.pick(sketch.integer(start + 1, channels), 2**31)
    if sketch.opset < 10:
        sketch.op("Slice", [name], starts=[start], ends=[end], axes=[1])
    else:
        sketch.op("Slice", [name, *(sketch.steer(part) for part in (start, end, 1))])


def _shuffle(sketch: WidthSketch) -> None:
    """A channel shuffle (Zhang et al., arXiv 1707.01083)."""
    name = sketch.map()
    _, channels, height, width = sketch.shapes[name]
    groups = next((groups for groups in (sketch.pick(2, 3), 2, 3) if channels % groups == 0), 0)
    if not groups:
        return
    y = sketch.reshape(name, (1, groups, channels // groups, height, width))
    y = sketch.op("Transpose", [y], perm=[0, 2, 1, 3, 4])
    sketch.reshape(y, (1, channels, height, width))


def _squeeze_and_excitation(sketch: WidthSketch) -> None:
    name = sketch.map()
    y = sketch.op("GlobalAveragePool", [name])
    y = sketch.op("Relu", [sketch.conv(y, sketch.integer(1, 4), 1)])
    y = sketch.op("Sigmoid", [sketch.conv(y, sketch.shapes[name][1], 1)])
    sketch.op("Mul", [name, y] if sketch.pick(True, False) else [y, name])


def _per_channel(sketch: WidthSketch) -> None:
    """A unary with a slope for each channel, or a constant on each."""
    name = sketch.map()
    channels, *space = sketch.shapes[name][1:]
    shape = sketch.pick((channels, 1, 1), (1, channels, 1, 1), (channels, *space), (1,))
    value = sketch.constant(sketch.random.uniform(0.5, 1.5, shape).astype(np.float32))
    op_type = sketch.pick("PRelu", "Add", "Mul", "Sub", "Div")
    sketch.op(op_type, [name, value])


def _transposed(sketch: WidthSketch) -> None:
    name = sketch.map()
    channels, *space = sketch.shapes[name][1:]
    if max(space) > 8:
        return
    groups = sketch.pick(1, 1, channels)
    made = groups * (sketch.integer(1, 5) if groups == 1 else sketch.pick(1, 2))
    weight = sketch.layer_weight((channels, made // groups, 2, 2), 1)
    inputs = [name, weight, *([sketch.bias(made)] if sketch.pick(True, False) else [])]
    sketch.op("ConvTranspose", inputs, kernel_shape=[2, 2], strides=[2, 2], group=groups)


def _spatial(sketch: WidthSketch) -> None:
    """Pooling, padding or resizing."""
    name = sketch.map()
    _, channels, height, width = sketch.shapes[name]
    kind = sketch.pick("MaxPool", "AveragePool", "Resize", "Pad")
    if kind.endswith("Pool") and min(height, width) >= 2:
        kind = "MaxPool" if sketch.style == "qlinear" else kind
        sketch.op(kind, [name], kernel_shape=[2, 2], strides=[2, 2])
    elif kind == "Resize" and sketch.opset >= 11 and sketch.style != "qlinear" and max(height, width) <= 8:
        empty = sketch.constant(np.zeros(0, np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        scales = sketch.constant(np.array([1, 1, 2, 2], np.float32))
        sizes = [name, empty, empty, sketch.steer(1, channels, 2 * height, 2 * width)]
        sketch.op("Resize", sketch.pick(sizes, [name, empty, scales]), **how)
    elif kind == "Pad" and sketch.opset >= 11 and sketch.style != "qlinear":
        sketch.op("Pad", [name, sketch.steer(0, 0, 1, 0, 0, 0, 0, 1), sketch.constant(np.float32(0.5))])


def _activation(sketch: WidthSketch) -> None:
    sketch.unary(sketch.map())


_STEPS: dict[str, Sequence[Callable[[WidthSketch], None]]] = {
    "float": (_conv, _conv, _normalized, _residual, _concat, _split, _slice, _shuffle, _squeeze_and_excitation,
              _per_channel, _transposed, _spatial, _activation),
    "qdq": (_conv, _conv, _residual, _concat, _slice, _shuffle, _squeeze_and_excitation, _spatial, _activation),
    "qlinear": (_conv, _conv, _residual, _split, _slice, _shuffle, _spatial),
}  # fmt: skip


def _conv_head(sketch: WidthSketch, name: str) -> None:
    sketch.conv(name, 3, 1)


def _dense(sketch: WidthSketch, name: str, made: int) -> str:
    """A fully connected layer on the last axis of (rows, features)."""
    features = sketch.shapes[name][-1]
    transposed = len(sketch.shapes[name]) == 2 and sketch.pick(True, False)
    if transposed:
        weight = sketch.layer_weight((made, features), 0)
        return sketch.op("Gemm", [name, weight, sketch.bias(made)], transB=1)
    y = sketch.op("MatMul", [name, sketch.layer_weight((features, made), 1)])
    return sketch.op("Add", [y, sketch.bias(made)]) if sketch.pick(True, False) else y


def _classifier(sketch: WidthSketch, name: str) -> None:
    """Fully connected layers after a flattened map, or after the mean of a map."""
    _, channels, height, width = sketch.shapes[name]
    if sketch.pick(True, False):
        name, height, width = sketch.op("GlobalAveragePool", [name]), 1, 1
    elif sketch.pick(True, False):
        name = sketch.op("Transpose", [name], perm=[0, 2, 3, 1])
    if sketch.pick(True, False):
        y = sketch.op("Flatten", [name], axis=1)
    else:
        y = sketch.reshape(name, (1, channels * height * width))
    y = sketch.op("Relu", [_dense(sketch, y, sketch.integer(2, 7))])
    _dense(sketch, y, 4)


def _recurrent(sketch: WidthSketch, name: str) -> None:
    """One or two recurrent layers over the columns of a map, and a fully connected one."""
    _, channels, height, width = sketch.shapes[name]
    y = sketch.reshape(name, (1, channels * height, width))
    y = sketch.op("Transpose", [y], perm=[2, 0, 1])
    for _ in range(sketch.integer(1, 2)):
        y = _recurrent_layer(sketch, y)
    _dense(sketch, y, 3)


def _recurrent_layer(sketch: WidthSketch, name: str) -> str:
    """A GRU, LSTM or RNN on (steps, 1, features)."""
    steps, _, features = sketch.shapes[name]
    op_type, gates = sketch.pick(("GRU", 3), ("LSTM", 4), ("RNN", 1))
    directions, hidden = sketch.pick(1, 2), sketch.integer(2, 5)
    shapes = ((directions, gates * hidden, features), (directions, gates * hidden, hidden))
    values = [sketch.random.standard_normal(shape).astype(np.float32) / 2 for shape in shapes]
    inputs = [name, *map(sketch.constant, values)]
    if sketch.pick(True, False):
        inputs.append(
            sketch.constant(sketch.random.standard_normal((directions, 2 * gates * hidden)).astype(np.float32))
        )
        if sketch.pick(True, False):
            start = sketch.random.standard_normal((directions, 1, hidden)) * sketch.pick(0, 1)
            inputs += ["", sketch.constant(start.astype(np.float32))]
    how = {"hidden_size": hidden, "direction": "bidirectional" if directions == 2 else "forward"}
    if op_type == "GRU":
        how["linear_before_reset"] = sketch.pick(0, 1)
    y = sketch.op(op_type, inputs, **how)
    y = sketch.op("Transpose", [y], perm=[0, 2, 1, 3])
    return sketch.reshape(y, (steps, 1, directions * hidden))


def _attention(sketch: WidthSketch, name: str) -> None:
    """Self-attention over the places of a map (Vaswani et al., arXiv 1706.03762), with heads, and a residual sum."""
    _, channels, height, width = sketch.shapes[name]
    if height * width > 49:
        _conv_head(sketch, name)
        return
    places, heads, size = height * width, sketch.integer(1, 3), sketch.integer(2, 3)
    x = sketch.op("Transpose", [sketch.reshape(name, (1, channels, places))], perm=[0, 2, 1])
    parts = []
    for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        y = sketch.reshape(_dense(sketch, x, heads * size), (1, places, heads, size))
        parts.append(sketch.op("Transpose", [y], perm=perm))
    scores = sketch.op("Mul", [sketch.op("MatMul", parts[:2]), sketch.constant(np.float32(size**-0.5))])
    scores = sketch.op("Softmax", [scores], axis=3)
    y = sketch.op("Transpose", [sketch.op("MatMul", [scores, parts[2]])], perm=[0, 2, 1, 3])
    y = _dense(sketch, sketch.reshape(y, (1, places, heads * size)), channels)
    y = sketch.op("Add", [x, y])
    if sketch.opset >= 18:
        scale = sketch.constant(sketch.random.uniform(0.5, 1.5, channels).astype(np.float32))
        y = sketch.op("LayerNormalization", [y, scale])
    _dense(sketch, y, 3)


_HEADS: dict[str, Sequence[Callable[[WidthSketch, str], None]]] = {
    "float": (_conv_head, _classifier, _recurrent, _attention),
    "qdq": (_conv_head, _classifier),
    "qlinear": (_conv_head,),
}


@st.composite
def width_networks(draw: Draw, style: str = "float", most_steps: int = 5) -> ModelProto:
    """A random network with a map of about 5x5 and 3 channels as input, and heads on all maps that nothing reads."""
    opset = draw(st.sampled_from([opset for opset in OPSETS if opset >= (13 if style != "float" else 0)]))
    sketch = WidthSketch(draw, opset, style, np.random.default_rng(draw(st.integers(0, 2**16))))
    sketch.shapes["x0"] = (1, 3, draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    inputs = [sketch.value("x0")]
    sketch.conv("x0", sketch.integer(2, 6))
    for _ in range(draw(st.integers(1, most_steps))):
        sketch.pick(*_STEPS[style])(sketch)
    read = {name for node in sketch.nodes for name in node.input}
    for name in [name for name in sketch.shapes if name not in read]:
        sketch.pick(*_HEADS[style])(sketch, name)
    return finished(sketch, inputs)
